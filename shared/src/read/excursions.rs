//! Excursions: when the temperatures of a region, or of a device, were outside the limits,
//! with the names and the revision of each. `outside` has the search.

use crate::base::checksum::checksum;
use crate::domain::excursion::{Excursion, Limits, Union};
use crate::domain::reading::UnixMillis;
use crate::domain::summary::Summary;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::{self, device_window, dictionary, integers, region_limits};
use crate::limits;
use crate::read::aggregate;
use crate::read::chunks::Chunks;
use crate::read::devices::{self, DeviceSummary};
use crate::read::outside::{Asked, Look};
use crate::read::silence::Expectations;

/// An excursion, with what the database knows of it.
pub(crate) struct Listed {
    pub(crate) region: String,
    pub(crate) limits: Limits,
    pub(crate) excursion: Excursion,
    pub(crate) extreme_device: Option<String>,
    /// At most `limits::EXCURSION_DEVICES_NAMED_MAX`.
    pub(crate) device_ids: Vec<String>,
    /// How many readings of the region's minutes in it were corrected.
    pub(crate) corrected: i64,
    /// Another one whenever anything of it is.
    pub(crate) revision: i64,
}

/// The excursions of a region.
pub(crate) struct OfRegion {
    /// What is set; without any limit there is no excursion.
    pub(crate) limits: Limits,
    /// The figures of the range, which say how complete it is.
    pub(crate) figures: Option<Summary>,
    /// Readings from before this were deleted, in Unix milliseconds.
    pub(crate) pruned_before: i64,
    pub(crate) list: Vec<Listed>,
}

/// The excursions of a device, in all its regions that have limits.
pub(crate) struct OfDevice {
    /// How many of its regions have limits.
    pub(crate) regions: usize,
    /// How many counted readings it has in the range.
    pub(crate) readings: usize,
    pub(crate) pruned_before: i64,
    pub(crate) list: Vec<Listed>,
}

/// The excursions of a region; `None` if it is unknown.
pub(crate) fn of_region(
    sql: &impl Sql,
    name: &str,
    asked: Asked,
) -> Result<Option<OfRegion>, Error> {
    // It may be a name that the region had before.
    let Some((id, name)) = dictionary::now(sql, "regions", name)? else { return Ok(None) };
    let (region, name) = (id.cast_signed(), name.as_str());
    let set = region_limits::of_region(sql, name)?.map(|set| set.limits).unwrap_or_default();
    let pruned_before = ledger::tally(sql, ledger::PRUNED_BEFORE)?;
    let range = Some(asked.range);
    let figures = aggregate::region(sql, name, range)?.and_then(|(_, figures)| figures);
    let mut found = OfRegion { limits: set, figures, pruned_before, list: Vec::new() };
    if set.is_none() {
        return Ok(Some(found));
    }
    // Only what is usual is asked of it, and not what is now.
    let expected = &Expectations::load(sql, asked.range.to())?;
    let kept_from = kept_from(pruned_before);
    let look = Look { sql, region, limits: set, asked, kept_from, expected };
    let rows = |from, to| ledger::rows_between(sql, from, to);
    let devices = device_window::of_all_time(sql, region)?;
    let union = look.search(&devices, &rows, true)?;
    found.list = look.listed(name, union)?;
    Ok(Some(found))
}

/// The excursions of a device; `None` if it is unknown. They are found in the readings that
/// the ledger still has.
pub(crate) fn of_device(
    sql: &impl Sql,
    name: &str,
    asked: Asked,
) -> Result<Option<OfDevice>, Error> {
    let Some(device) = dictionary::id_of(sql, "devices", name)? else { return Ok(None) };
    let pruned_before = ledger::tally(sql, ledger::PRUNED_BEFORE)?;
    let rows = |from, to| ledger::rows_of_device(sql, device, from, to);
    let [from, to] = asked.range.edges();
    let mut readings = 0;
    Chunks::of(&rows).each(from, to, &mut |_row| {
        readings += 1;
        Ok(())
    })?;
    let expected = &Expectations::load(sql, asked.range.to())?;
    let mut found = OfDevice { regions: 0, readings, pruned_before, list: Vec::new() };
    for DeviceSummary { name, window } in devices::of_device(sql, devices::EVERYWHERE, name)?.1 {
        let set = region_limits::of_region(sql, &name)?.map(|set| set.limits);
        let Some(limits) = set.filter(|limits| !limits.is_none()) else { continue };
        let region = region_id(sql, &name)?.ok_or(Error::Corrupt("region"))?;
        found.regions += 1;
        let kept_from = kept_from(pruned_before);
        let look = Look { sql, region, limits, asked, kept_from, expected };
        let union = look.search(&[window], &rows, false)?;
        found.list.extend(look.listed(&name, union)?);
    }
    crate::base::sort::sort_by_key(&mut found.list, |listed| {
        u128::from(listed.excursion.begin.get().cast_unsigned())
    });
    Ok(Some(found))
}

fn region_id(sql: &impl Sql, name: &str) -> Result<Option<i64>, Error> {
    let id = dictionary::id_of(sql, "regions", name)?;
    id.map(|id| i64::try_from(id).map_err(|_too_large| Error::Corrupt("region"))).transpose()
}

/// The first minute of which no reading was deleted.
fn kept_from(pruned_before: i64) -> i64 {
    pruned_before.saturating_add(UnixMillis::PER_MINUTE - 1) / UnixMillis::PER_MINUTE
}

impl<S: Sql> Look<'_, S> {
    /// What was found, with names and revisions.
    fn listed(&self, region: &str, union: Union) -> Result<Vec<Listed>, Error> {
        let found = union.finish(self.asked.range.from(), self.for_ms());
        let sums = self.sums(&found)?;
        let named = |e: &Excursion| -> Vec<u64> {
            let first = e.devices.iter().take(limits::EXCURSION_DEVICES_NAMED_MAX);
            first.chain(&e.extreme_device).copied().collect()
        };
        let names = dictionary::of(self.sql, "devices", found.iter().flat_map(named))?;
        let name = |id: &u64| names.get(*id).map(ToOwned::to_owned);
        let listed = |(excursion, [minutes, corrected]): (Excursion, [i64; 2])| {
            let first = excursion.devices.iter().take(limits::EXCURSION_DEVICES_NAMED_MAX);
            let mut device_ids = Vec::new();
            for name in first.filter_map(name) {
                let place = device_ids.partition_point(|other| *other < name);
                device_ids.insert(place, name);
            }
            let extreme_device = excursion.extreme_device.as_ref().and_then(name);
            let (region, limits) = (region.to_owned(), self.limits);
            let mut listed = Listed {
                region,
                limits,
                excursion,
                extreme_device,
                device_ids,
                corrected,
                revision: 0,
            };
            listed.revision = listed.revision_of(minutes);
            listed
        };
        Ok(found.into_iter().zip(sums).map(listed).collect())
    }

    /// For each excursion, of the region's minutes in it, both ends included, the sum of their
    /// revisions, and how many readings were corrected.
    fn sums(&self, found: &[Excursion]) -> Result<Vec<[i64; 2]>, Error> {
        let statement = "\
            SELECT coalesce(sum(w.revision), 0), coalesce(sum(w.corrected), 0) \
            FROM json_each(?2) AS j LEFT JOIN windows AS w ON w.span = 1 AND w.region = ?1 \
                 AND w.start >= j.value ->> 0 AND w.start <= j.value ->> 1 \
            GROUP BY j.key ORDER BY j.key";
        let ends: Vec<String> = found
            .iter()
            .map(|e| format!("[{},{}]", e.first.min(e.begin).minute(), e.until.minute()))
            .collect();
        let ends = Value::Text(format!("[{}]", ends.join(",")));
        let rows = self.statement(statement, &[Value::Integer(self.region), ends])?;
        rows.iter().map(|row| integers(row)).collect::<Option<_>>().ok_or(Error::Corrupt("window"))
    }
}

impl Listed {
    /// The revision, from the sum of those of its minutes. What else it depends on (the
    /// pauses that are gaps, names, limits) has a checksum in its last six digits.
    fn revision_of(&self, minutes: i64) -> i64 {
        const CHECKSUMS: i64 = 1_000_000;
        let (e, low_high) = (&self.excursion, (self.limits.low, self.limits.high));
        let all = format!(
            "{} {:?} {:?} {low_high:?} {} {} {} {} {} {:?} {:?} {} {} {} {} {} {} {}",
            self.region,
            self.extreme_device,
            self.device_ids,
            e.kind.name(),
            e.begin.get(),
            e.until.get(),
            e.is_open,
            e.begins_before,
            e.extreme,
            e.extreme_at,
            e.readings,
            e.devices.len(),
            e.gaps,
            e.longest_gap_ms,
            e.first.get(),
            e.is_by_minute,
            self.corrected,
        );
        let checksum = i64::from(u32::from_le_bytes(checksum(0, all.as_bytes())));
        minutes.saturating_mul(CHECKSUMS).saturating_add(checksum % CHECKSUMS)
    }
}
