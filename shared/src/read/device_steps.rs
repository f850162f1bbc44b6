//! The figures of one device step by step, over all its regions.
//!
//! Whole days and hours of UTC have windows of devices, which stay. An hour that a step begins
//! or ends in is taken apart: into the readings that the ledger has, and the quarter hours of
//! those that it had. What is given is exact: a step that cuts a quarter hour of deleted
//! readings is not known, and neither is one in an hour of which an older release deleted
//! readings. Of that hour, its window has more readings than were found.

use crate::domain::range::Range;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::run::RunRecord;
use crate::ledger::sorted_run::Keys;
use crate::ledger::{self, Place, dictionary, integers};
use crate::limits;

const QUARTER: i64 = 15;
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// What a device measured in a step of a range.
#[derive(Clone, Copy)]
pub(crate) struct StepFigures {
    /// `None` if it has no reading there.
    pub(crate) window: Option<DeviceWindow>,
    /// Whether that is all of the step.
    pub(crate) is_known: bool,
}

/// The figures of a device for the first of these steps: all of them, unless that would take
/// more readings than an answer may (`limits::STEP_READINGS_MAX`). At least one; a step
/// begins where the one before it ends. `None` for an unknown device.
pub(crate) fn steps(
    sql: &impl Sql,
    device: &str,
    steps: &[Range],
) -> Result<Option<Vec<StepFigures>>, Error> {
    let Some(device) = dictionary::id_of(sql, "devices", device)? else { return Ok(None) };
    let regions = "SELECT region FROM region_devices WHERE device = ?1 ORDER BY region";
    let bindings = [Value::Integer(device.cast_signed())];
    let rows = sql.execute(regions, &bindings).map_err(Error::Regions)?;
    let regions = rows.iter().map(|row| integers(row).map(|[region]| region));
    let regions = regions.collect::<Option<Vec<i64>>>().ok_or(Error::Corrupt("region"))?;
    let parts = Parts::of(steps, regions.len())?;
    let look = Look { sql, device, regions };
    let none = StepFigures { window: None, is_known: true };
    let mut figures = Figures { steps, all: vec![none; steps.len()] };
    for (span, starts) in [(DAY, &parts.days), (HOUR, &parts.hours)] {
        look.windows(span, starts, &mut |start, window| figures.add(start, span, window))?;
    }
    look.take_apart(&parts.cut, &mut figures)?;
    Ok(Some(figures.all))
}

/// Where the days and hours begin that steps are made of.
#[derive(Default)]
struct Parts {
    days: Vec<i64>,
    hours: Vec<i64>,
    /// Hours that are not whole in one step.
    cut: Vec<i64>,
}

impl Parts {
    /// Fails if a device in so many regions has too many windows there.
    fn of(steps: &[Range], regions: usize) -> Result<Self, Error> {
        let ends = steps.first().zip(steps.last()).map(|(a, b)| (a.edges()[0], b.edges()[1]));
        let (from, to) = ends.unwrap_or((0, 0));
        let (mut parts, mut windows) = (Self::default(), 0);
        let (mut minute, mut rest) = (from - from % HOUR, steps);
        while minute < to {
            let ended = rest.partition_point(|step| step.edges()[1] <= minute);
            rest = rest.get(ended..).unwrap_or_default();
            // How much of a step is left there; none if no step has begun.
            let left = rest.first().map(Range::edges).filter(|[begin, _]| *begin <= minute);
            let left = left.map_or(0, |[_, end]| end - minute);
            let (starts, span) = match left {
                DAY.. if minute % DAY == 0 => (&mut parts.days, DAY),
                HOUR.. => (&mut parts.hours, HOUR),
                _ => (&mut parts.cut, HOUR),
            };
            starts.push(minute);
            minute += span;
            windows += regions.max(1);
            if i64::try_from(windows).is_ok_and(|windows| windows > limits::WINDOWS_READ_MAX) {
                let narrow = "narrow it by from and to, or by a longer step";
                return Err(Error::TooMuch { narrow });
            }
        }
        Ok(parts)
    }
}

/// The figures of the steps, as far as they have been read.
struct Figures<'a> {
    steps: &'a [Range],
    all: Vec<StepFigures>,
}

impl Figures<'_> {
    /// How many steps have ended at this minute.
    fn ended(&self, minute: i64) -> usize {
        self.steps.partition_point(|step| step.edges()[1] <= minute)
    }

    /// Adds a window of so many minutes to the step that it is in. If it is in more than one,
    /// these are not known.
    fn add(&mut self, start: i64, minutes: i64, window: &DeviceWindow) {
        let index = self.ended(start);
        let has = |step: &Range| step.edges()[0] <= start && start + minutes <= step.edges()[1];
        if !self.steps.get(index).is_some_and(has) {
            return self.doubt(start, minutes);
        }
        match self.all.get_mut(index).map(|figures| &mut figures.window) {
            Some(Some(known)) => known.merge(window),
            Some(none) => *none = Some(*window),
            None => {}
        }
    }

    /// The steps that have some of these minutes are not known.
    fn doubt(&mut self, start: i64, minutes: i64) {
        let first = self.ended(start);
        let end = self.steps.partition_point(|step| step.edges()[0] < start + minutes);
        let doubtful = self.all.get_mut(first..end).unwrap_or_default();
        doubtful.iter_mut().for_each(|figures| figures.is_known = false);
    }
}

/// A look at a device in its regions.
struct Look<'a, S> {
    sql: &'a S,
    device: u64,
    regions: Vec<i64>,
}

impl<S: Sql> Look<'_, S> {
    /// Calls `take` with each window of this span, and its start, that is there.
    fn windows(
        &self,
        span: i64,
        starts: &[i64],
        take: &mut dyn FnMut(i64, &DeviceWindow),
    ) -> Result<(), Error> {
        /// Runs that are read at once: two megabytes.
        const AT_ONCE: usize = 1_024;
        let device = self.device;
        for region in &self.regions {
            for starts in starts.chunks(AT_ONCE) {
                let group = |start: &i64| [*region, span, *start];
                let keys = |group| Keys { group, from: device, to: device };
                let wanted: Vec<_> = starts.iter().map(group).map(keys).collect();
                for run in DEVICE_WINDOWS.load(self.sql, &wanted)? {
                    let windows: Vec<DeviceWindow> = DEVICE_WINDOWS.decode(&run)?;
                    if let Some(own) = windows.iter().find(|window| window.device() == device) {
                        take(own.group()[2], own);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what is known of parts of these hours.
    fn take_apart(&self, hours: &[i64], figures: &mut Figures<'_>) -> Result<(), Error> {
        let kept_from = ledger::tally(self.sql, ledger::PRUNED_BEFORE)? / UnixMillis::PER_MINUTE;
        let pruned = hours.partition_point(|hour| *hour < kept_from);
        // For each hour of which readings were deleted, how many are still to be found.
        let pruned: Vec<i64> = hours.get(..pruned).unwrap_or_default().to_vec();
        let mut missing = vec![0; pruned.len()];
        let missing_of = |missing: &mut Vec<i64>, minute: i64, readings: i64| {
            let hour = pruned.binary_search(&(minute - minute % HOUR)).ok();
            if let Some(missing) = hour.and_then(|hour| missing.get_mut(hour)) {
                *missing += readings;
            }
        };
        self.windows(HOUR, &pruned, &mut |start, hour| {
            missing_of(&mut missing, start, hour.readings());
        })?;
        let quarters: Vec<i64> =
            pruned.iter().flat_map(|hour| (0..4).map(move |n| hour + n * QUARTER)).collect();
        self.windows(QUARTER, &quarters, &mut |start, quarter| {
            missing_of(&mut missing, start, -quarter.readings());
            figures.add(start, QUARTER, quarter);
        })?;
        self.readings(hours, figures, &mut |minute| missing_of(&mut missing, minute, -1))?;
        for (hour, missing) in pruned.iter().zip(&missing) {
            if *missing != 0 {
                figures.doubt(*hour, HOUR);
            }
        }
        Ok(())
    }

    /// Adds the readings that the ledger has of these hours, and calls `found` with the minute
    /// of each. When they are as many as an answer may take, the figures end with the steps
    /// that are complete.
    fn readings(
        &self,
        hours: &[i64],
        figures: &mut Figures<'_>,
        found: &mut dyn FnMut(i64),
    ) -> Result<(), Error> {
        const MINUTES: usize = limits::RUNS_PER_PIECE_MAX;
        let Some([oldest, newest]) = ledger::edges(self.sql)? else { return Ok(()) };
        let mut left = limits::STEP_READINGS_MAX;
        for hours in hours.chunk_by(|a, b| *b == a + HOUR) {
            let Some((first, last)) = hours.first().zip(hours.last()) else { continue };
            let mut place = Some(Place::before(*first.max(&oldest)));
            let to = (last + HOUR).min(newest + 1);
            while let Some(begin) = place {
                let piece = ledger::piece(self.sql, Some(self.device), begin, to, MINUTES)?;
                for row in &piece.rows {
                    let minute = i64::from(row.minute);
                    let reading = DeviceWindow::of(60, row).ok_or(Error::Corrupt("ledger row"))?;
                    figures.add(minute, 1, &reading);
                    found(minute);
                }
                place = piece.end;
                let [begin, ..] = begin.parts();
                let [end, ..] = place.map_or([to, 0, 0], Place::parts);
                let minutes = usize::try_from(end - begin).unwrap_or(0);
                left = left.saturating_sub(minutes + piece.rows.len());
                let complete = figures.ended(end - end % HOUR);
                if left == 0 && complete > 0 {
                    figures.all.truncate(complete);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(edges: &[i64], regions: usize) -> Result<[Vec<i64>; 3], Error> {
        let steps: Vec<Range> =
            edges.windows(2).map(|edges| Range::of_minutes(edges[0], edges[1]).unwrap()).collect();
        let Parts { days, hours, cut } = Parts::of(&steps, regions)?;
        Ok([days, hours, cut])
    }

    #[test]
    fn steps_are_made_of_whole_days_and_hours_and_of_hours_that_they_cut() {
        for (edges, expected) in [
            (vec![], [vec![], vec![], vec![]]),
            (vec![0, 60], [vec![], vec![0], vec![]]),
            (vec![0, 5, 10], [vec![], vec![], vec![0]]),
            (vec![59, 61], [vec![], vec![], vec![0, 60]]),
            (vec![60, 120, 150, 240], [vec![], vec![60, 180], vec![120]]),
            (vec![1_440, 2_880, 5_760], [vec![1_440, 2_880, 4_320], vec![], vec![]]),
            (vec![1_380, 2_910], [vec![1_440], vec![1_380], vec![2_880]]),
            (vec![1_500, 2_880], [vec![], (25..48).map(|hour| hour * 60).collect(), vec![]]),
        ] {
            assert_eq!(parts(&edges, 3).unwrap(), expected, "{edges:?}");
        }
        let most = limits::WINDOWS_READ_MAX;
        assert!(parts(&[0, most * DAY], 1).is_ok());
        for (edges, regions) in [([0, most * DAY + HOUR], 1), ([0, most * DAY], 2)] {
            assert!(matches!(parts(&edges, regions), Err(Error::TooMuch { .. })));
        }
    }
}
