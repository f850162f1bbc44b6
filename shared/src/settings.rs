//! The configuration variables, parsed once per request.

use crate::domain::decimal::{Decimal, Rounding};
use crate::domain::duration::{duration_in_words, parse_duration_ms, rough_duration};
use crate::domain::reading::{MilliCelsius, Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::domain::zone::Zone;
use crate::error::Error;
use crate::host::{Host, StoreError};
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

    /// The earliest timestamp that is accepted.
    pub(crate) fn oldest(&self, now: UnixMillis) -> UnixMillis {
        self.retention_ms.map_or(UnixMillis::MIN, |ms| now.saturating_sub(ms))
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
        // A slot of the arrival may have begun a while ago.
        let is_late = !reading.is_time_assumed()
            && reading.timestamp < now.saturating_sub(self.late_after_ms);
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

/// After how long without a contact a sender is silent, in milliseconds: the variable
/// `sender_silent_after`.
pub(crate) fn sender_silent_ms(host: &impl Host) -> Result<i64, Error> {
    duration(host, "sender_silent_after", limits::SENDER_SILENT_MS_DEFAULT)
}

/// How many bytes of the ledger are kept at most beyond `retention`, as a peer may not have
/// them: the variable `outbox_max_bytes`.
pub(crate) fn outbox_max_bytes(host: &impl Host) -> Result<i64, Error> {
    let (default, most) = (limits::OUTBOX_BYTES_DEFAULT, limits::OUTBOX_BYTES_MAX);
    number(host, "outbox_max_bytes", default, most)
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
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

/// Whether access control is on: the variable `auth`.
pub(crate) fn access_is_on(host: &impl Host) -> Result<bool, Error> {
    const NAME: &str = "auth";
    match host.variable(NAME).map_err(Error::Variables)?.as_deref().map(str::trim) {
        None | Some("off") => Ok(false),
        Some("on") => Ok(true),
        Some(_) => {
            let cause = "must be on or off".to_owned();
            Err(Error::Misconfigured { variable: NAME, cause })
        }
    }
}

/// What is said where access control is off.
pub(crate) const ACCESS_IS_OFF: &str =
    "Access control is off: anyone who reaches the port can read and write (variable auth)";

/// Reads every variable that is parsed here: a node with an unreadable one is not ready, even
/// if no request has needed it yet.
pub fn check(host: &impl Host) -> Result<(), Error> {
    Horizon::from_variables(host)?;
    max_body_bytes(host)?;
    JournalBound::from_variables(host)?;
    NamesBound::from_variables(host)?;
    void_values(host)?;
    time_zone(host)?;
    outbox_max_bytes(host)?;
    sender_silent_ms(host)?;
    Ok(())
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
