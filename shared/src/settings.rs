//! The configuration variables, parsed once per request.

use crate::domain::decimal::{Decimal, Rounding};
use crate::domain::duration::{duration_in_words, parse_duration_ms, rough_duration};
use crate::domain::reading::{MilliCelsius, Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::domain::zone::Zone;
use crate::error::Error;
use crate::host::{Host, StoreError, Variables};
use crate::limits;

/// Which timestamps the node accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// How long the ledger is kept, in milliseconds; `None` is forever.
    pub retention_ms: Option<i64>,
    /// How far a device's clock may be ahead of the node's, in milliseconds.
    pub max_skew_ms: i64,
    /// The age on arrival above which a reading is late, in milliseconds.
    pub late_after_ms: i64,
}

impl Horizon {
    /// From the variables `retention` (default 400 days, `0` is forever), `max_skew` and
    /// `late_after` (default 5 minutes each).
    pub fn from_variables(host: &impl Host) -> Result<Self, Error> {
        let retention_ms = duration(host, "retention", 400 * DAY_MS)?;
        Ok(Self {
            retention_ms: (retention_ms > 0).then_some(retention_ms),
            max_skew_ms: duration(host, "max_skew", 5 * MINUTE_MS)?,
            late_after_ms: duration(host, "late_after", 5 * MINUTE_MS)?,
        })
    }

    /// The latest timestamp that is accepted.
    pub fn latest(&self, now: UnixMillis) -> UnixMillis {
        now.saturating_add(self.max_skew_ms)
    }

    /// Whether the reading is too far ahead of the node's clock.
    pub(crate) fn is_ahead(&self, reading: &Reading<'_>, now: UnixMillis) -> bool {
        reading.timestamp > self.latest(now)
    }

    /// Accepts a reading that can be counted exactly once, and marks it if it is late.
    /// `pruned_before` is the door's.
    pub fn admit<'a>(
        &self,
        reading: Reading<'a>,
        now: UnixMillis,
        pruned_before: UnixMillis,
    ) -> Result<Reading<'a>, Rejection> {
        if reading.timestamp > self.latest(now) {
            let detail = self.too_far_ahead(reading.timestamp, now);
            return Err(Rejection::new(Reason::InFuture, detail).of(&reading));
        }
        if self.retention_ms.is_some_and(|ms| reading.timestamp < now.saturating_sub(ms)) {
            let detail = self.too_old(reading.timestamp, now);
            return Err(Rejection::new(Reason::TooOld, detail).of(&reading));
        }
        // If `retention` was shorter before, or the node's clock was ahead.
        if reading.timestamp < pruned_before {
            let detail = format!("{OLDER_THAN_LEDGER} ({pruned_before} and later)");
            return Err(Rejection::new(Reason::TooOld, detail).of(&reading));
        }
        let is_late = reading.timestamp < now.saturating_sub(self.late_after_ms);
        Ok(reading.arrived(is_late))
    }

    fn too_far_ahead(&self, timestamp: UnixMillis, now: UnixMillis) -> String {
        let ahead = rough_duration(timestamp.get() - now.get());
        let most = duration_in_words(self.max_skew_ms);
        format!(
            "timestamp is {ahead} ahead of this node's clock, and at most {most} are accepted \
             (variable max_skew); check the device's clock"
        )
    }

    fn too_old(&self, timestamp: UnixMillis, now: UnixMillis) -> String {
        let age = rough_duration(now.get() - timestamp.get());
        let most = duration_in_words(self.retention_ms.unwrap_or(0));
        format!(
            "timestamp is {age} old, and at most {most} are accepted (variable retention); check \
             the device's clock, or raise the variable"
        )
    }

    /// Ledger rows before this may be pruned: a little older than the readings that are
    /// still accepted.
    pub fn prune_before(&self, now: UnixMillis) -> Option<UnixMillis> {
        let slack = limits::PRUNE_SLACK_MS;
        self.retention_ms.map(|ms| now.saturating_sub(ms.saturating_add(slack)))
    }
}

/// The detail for a reading from before what was pruned.
pub(crate) const OLDER_THAN_LEDGER: &str = "timestamp is older than the readings that this node still has: a duplicate could not be \
     detected";

/// The variable `max_body_bytes`: the largest request body, in bytes.
pub fn max_body_bytes(host: &impl Host) -> Result<usize, Error> {
    const NAME: &str = "max_body_bytes";
    number(host, NAME, limits::BODY_BYTES_DEFAULT, limits::BODY_BYTES_MAX)
}

/// The variable `void_values`: temperatures that are never counted, with commas between.
pub fn void_values(host: &impl Host) -> Result<Vec<MilliCelsius>, Error> {
    const NAME: &str = "void_values";
    let Some(text) = host.variable(NAME).map_err(Error::Variables)? else {
        return Ok(Vec::new());
    };
    let value = |text: &str| {
        let number = Decimal::parse(text.trim())?.scaled(3, Rounding::HalfAwayFromZero)?;
        MilliCelsius::new(number)
    };
    let texts = text.split(',').filter(|text| !text.trim().is_empty());
    let values: Option<Vec<MilliCelsius>> = texts.map(value).collect();
    values.filter(|values| values.len() <= limits::VOID_VALUES_MAX).ok_or_else(|| {
        let most = limits::VOID_VALUES_MAX;
        let cause =
            format!("must be at most {most} temperatures with commas between, like 85,-127");
        Error::Misconfigured { variable: NAME, cause }
    })
}

/// How large the journal may become before readings are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalBound {
    /// The most entries.
    pub entries: usize,
    /// The most bytes of entries.
    pub bytes: usize,
}

impl JournalBound {
    /// From the variables `journal_max_entries` and `journal_max_bytes`.
    pub fn from_variables(host: &impl Host) -> Result<Self, Error> {
        let (entries, bytes) = (limits::JOURNAL_ENTRIES_DEFAULT, limits::JOURNAL_BYTES_DEFAULT);
        Ok(Self {
            entries: number(host, "journal_max_entries", entries, limits::JOURNAL_ENTRIES_MAX)?,
            bytes: number(host, "journal_max_bytes", bytes, limits::JOURNAL_BYTES_MAX)?,
        })
    }
}

/// The most regions and devices there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesBound {
    /// The most regions.
    pub regions: usize,
    /// The most devices.
    pub devices: usize,
}

impl NamesBound {
    /// From the variables `regions_max` and `devices_max`.
    pub fn from_variables(host: &impl Host) -> Result<Self, Error> {
        let most = limits::NAMES_MAX;
        Ok(Self {
            regions: number(host, "regions_max", limits::REGIONS_DEFAULT, most)?,
            devices: number(host, "devices_max", limits::DEVICES_DEFAULT, most)?,
        })
    }
}

/// The zone of this name, whose file is mounted with the component, or of this rule;
/// `None` if it is neither.
pub fn zone(host: &impl Host, text: &str) -> Result<Option<Zone>, Error> {
    if text == Zone::UTC {
        return Ok(Some(Zone::utc()));
    }
    let content = match Zone::file_of(text) {
        Some(file) => host.asset(&file).map_err(Error::Assets)?,
        None => None,
    };
    let Some(content) = content else { return Ok(Zone::from_rule(text)) };
    let damaged = || Error::Assets(StoreError::from_message("a zone file that can't be read"));
    Zone::from_file(text, &content).map(Some).ok_or_else(damaged)
}

/// The variable `time_zone`: the zone of requests that name none.
pub fn time_zone(host: &impl Host) -> Result<Zone, Error> {
    const NAME: &str = "time_zone";
    let text = host.variable(NAME).map_err(Error::Variables)?;
    let found = zone(host, text.as_deref().map_or(Zone::UTC, str::trim))?;
    let rule = || format!("must be {}", Zone::FORMS);
    found.ok_or_else(|| Error::Misconfigured { variable: NAME, cause: rule() })
}

/// Reads every variable: a node with an unreadable one is not ready, even if no request has
/// needed it yet.
pub fn check(host: &impl Host) -> Result<(), Error> {
    Horizon::from_variables(host)?;
    max_body_bytes(host)?;
    JournalBound::from_variables(host)?;
    NamesBound::from_variables(host)?;
    void_values(host)?;
    time_zone(host)?;
    Ok(())
}

/// What a program says that starts a node with these variables: how long single readings are
/// kept. `asset` is the content of a file that is mounted with the component, by its name; a
/// time zone is looked for there. Fails with one line that names a variable that can't be
/// used, its value, and the rule.
pub fn check_at_start(
    value: &dyn Fn(&str) -> Option<String>,
    asset: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<String, String> {
    let host = Variables { value, asset };
    check(&host).map_err(|error| match error {
        Error::Misconfigured { variable, cause } => {
            format!("variable {variable}: {:?} {cause}", value(variable).unwrap_or_default())
        }
        error => error.to_string(),
    })?;
    let horizon = Horizon::from_variables(&host).map_err(|error| error.to_string())?;
    let kept = horizon
        .retention_ms
        .map_or("for ever".to_owned(), |ms| format!("for {}", duration_in_words(ms)));
    Ok(format!("Single readings are kept {kept} (variable retention)"))
}

fn number(
    host: &impl Host,
    name: &'static str,
    default: usize,
    max: usize,
) -> Result<usize, Error> {
    let Some(text) = host.variable(name).map_err(Error::Variables)? else {
        return Ok(default);
    };
    let number = text.trim().parse().ok();
    number.filter(|number| (1..=max).contains(number)).ok_or_else(|| {
        let rule = format!("must be a number from 1 to {max}");
        Error::Misconfigured { variable: name, cause: rule }
    })
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn duration(host: &impl Host, name: &'static str, default_ms: i64) -> Result<i64, Error> {
    let Some(text) = host.variable(name).map_err(Error::Variables)? else {
        return Ok(default_ms);
    };
    parse_duration_ms(text.trim()).ok_or_else(|| {
        let rule = "must be 0 or a number with ms, s, m, h or d behind it, at most 36500d";
        Error::Misconfigured { variable: name, cause: rule.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::{DeviceId, Region};

    #[test]
    fn before_the_start_a_bad_variable_is_named_with_its_value_and_the_rule() {
        let with = |name: &'static str, text: &'static str| {
            check_at_start(&move |asked| (asked == name).then(|| text.to_owned()), &|file| {
                let zones = concat!(env!("CARGO_MANIFEST_DIR"), "/../query/assets/");
                std::fs::read(format!("{zones}{file}")).ok()
            })
        };
        let kept = |time: &str| Ok(format!("Single readings are kept {time} (variable retention)"));
        assert_eq!(with("retention", "30d"), kept("for 30 days"));
        assert_eq!(with("retention", "0"), kept("for ever"));
        assert_eq!(with("unknown", "x"), kept("for 400 days"));
        let said = "variable max_skew: \"a \\\"day\" must be 0 or a number with ms, s, m, h or d \
                    behind it, at most 36500d";
        assert_eq!(with("max_skew", "a \"day"), Err(said.to_owned()));
        let said = "variable devices_max: \"0\" must be a number from 1 to 100000000";
        assert_eq!(with("devices_max", "0"), Err(said.to_owned()));
        for zone in ["UTC", "Europe/Berlin", " Asia/Kathmandu ", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            assert_eq!(with("time_zone", zone), kept("for 400 days"), "{zone}");
        }
        let said = "variable time_zone: \"Europe/Berln\" must be the name of a time zone, like ";
        let refused = with("time_zone", "Europe/Berln").unwrap_err();
        assert!(refused.starts_with(said), "{refused}");
    }

    #[test]
    fn the_horizon_is_closed_at_both_ends() {
        let now = UnixMillis::new(1_700_000_000_000).unwrap();
        let horizon = Horizon {
            retention_ms: Some(DAY_MS),
            max_skew_ms: MINUTE_MS,
            late_after_ms: 2 * MINUTE_MS,
        };
        let verdict = |horizon: Horizon, offset: i64| {
            let reading = Reading::new(
                DeviceId::new("d").unwrap(),
                Region::new("r").unwrap(),
                MilliCelsius::new(0).unwrap(),
                UnixMillis::new(now.get() + offset).unwrap(),
            );
            let admitted = horizon.admit(reading, now, UnixMillis::MIN);
            admitted.map(|reading| reading.is_late()).map_err(|rejection| rejection.reason)
        };
        assert_eq!(verdict(horizon, MINUTE_MS), Ok(false));
        assert_eq!(verdict(horizon, -2 * MINUTE_MS), Ok(false));
        assert_eq!(verdict(horizon, -2 * MINUTE_MS - 1), Ok(true));
        assert_eq!(verdict(horizon, MINUTE_MS + 1), Err(Reason::InFuture));
        assert_eq!(verdict(horizon, -DAY_MS), Ok(true));
        assert_eq!(verdict(horizon, -DAY_MS - 1), Err(Reason::TooOld));
        assert!(horizon.prune_before(now).unwrap() < now.saturating_sub(DAY_MS));

        let pruned = |ms| {
            let reading = Reading::new(
                DeviceId::new("d").unwrap(),
                Region::new("r").unwrap(),
                MilliCelsius::new(0).unwrap(),
                now.saturating_sub(10),
            );
            horizon.admit(reading, now, now.saturating_sub(ms)).is_ok()
        };
        assert!(pruned(10) && pruned(11) && !pruned(9), "what was pruned is closed, too");

        let for_ever = Horizon { retention_ms: None, ..horizon };
        assert_eq!(verdict(for_ever, -now.get()), Ok(true));
        assert_eq!(for_ever.prune_before(now), None);
    }
}
