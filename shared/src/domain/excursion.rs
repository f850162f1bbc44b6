//! Excursions: the intervals in which temperatures were outside the limits of a region.
//!
//! An excursion of a device is a maximal run of its consecutive readings above the upper
//! limit, or of those below the lower one. It begins with the first of them, and ends with
//! the first reading after it that is not outside on the same side. One of a region is the
//! union of those of its devices that are on the same side and overlap, or touch.
//!
//! Pure: what is here knows no store and no clock, and the same readings give the same
//! excursions, in whichever order their devices are looked at.

use crate::domain::reading::{MilliCelsius, UnixMillis};

/// Between what a region's temperatures should be, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The lowest temperature that is within; `None` is none.
    pub low: Option<MilliCelsius>,
    /// The highest temperature that is within; `None` is none.
    pub high: Option<MilliCelsius>,
    /// How long temperatures must be outside before it is listed, in milliseconds.
    pub for_ms: i64,
}

/// On which side of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Above the upper limit.
    High,
    /// Below the lower limit.
    Low,
}

impl Kind {
    /// The word in an answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

impl Limits {
    /// Whether the temperature is neither below the lower nor above the upper limit.
    pub fn is_within(self, temperature: MilliCelsius) -> bool {
        self.outside(temperature).is_none()
    }

    /// On which side it is outside, if it is.
    pub fn outside(self, temperature: MilliCelsius) -> Option<Kind> {
        if self.high.is_some_and(|high| temperature > high) {
            Some(Kind::High)
        } else if self.low.is_some_and(|low| temperature < low) {
            Some(Kind::Low)
        } else {
            None
        }
    }

    /// Whether there is no limit at all.
    pub fn is_none(self) -> bool {
        self.low.is_none() && self.high.is_none()
    }
}

/// An interval outside the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excursion {
    /// On which side.
    pub kind: Kind,
    /// When it began.
    pub begin: UnixMillis,
    /// When it ended; while it is open, the newest reading in it.
    pub until: UnixMillis,
    /// Whether no later reading of one of its devices is inside.
    pub is_open: bool,
    /// Whether it may have begun before `begin`: no reading before that was found.
    pub begins_before: bool,
    /// The reading farthest outside; of equal ones the first.
    pub extreme: MilliCelsius,
    /// When that was measured.
    pub extreme_at: UnixMillis,
    /// By which device, if that is known.
    pub extreme_device: Option<u64>,
    /// How many readings are outside.
    pub readings: u64,
    /// The devices that were outside, by their ids, in order.
    pub devices: Vec<u64>,
    /// How many pauses of a device in it are longer than expected: during them nobody knows.
    pub gaps: u64,
    /// The longest of them, in milliseconds; 0 if there is none.
    pub longest_gap_ms: i64,
    /// The first reading that is looked at for it.
    pub first: UnixMillis,
    /// Whether it was found in the windows of minutes, as the readings are deleted.
    pub is_by_minute: bool,
}

impl Excursion {
    fn of(kind: Kind, at: UnixMillis, temperature: MilliCelsius, device: Option<u64>) -> Self {
        Self {
            kind,
            begin: at,
            until: at,
            is_open: true,
            begins_before: false,
            extreme: temperature,
            extreme_at: at,
            extreme_device: device,
            readings: 1,
            devices: device.into_iter().collect(),
            gaps: 0,
            longest_gap_ms: 0,
            first: at,
            is_by_minute: device.is_none(),
        }
    }

    /// From begin to end, or to the newest reading while it is open, in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        self.until.get() - self.begin.get()
    }

    /// Whether it lasted this long. One whose begin is not known counts as if it did.
    pub fn lasted(&self, for_ms: i64) -> bool {
        self.begins_before || self.duration_ms() >= for_ms
    }

    /// Whether some of it is after `from`.
    fn reaches(&self, from: UnixMillis) -> bool {
        self.until > from || (self.is_open && self.until == from)
    }

    fn merge(&mut self, other: Self) {
        let rank = |e: &Self| {
            let depth = i64::from(e.extreme.get()) * if e.kind == Kind::High { -1 } else { 1 };
            (depth, e.extreme_at, e.extreme_device)
        };
        if rank(&other) < rank(self) {
            self.extreme = other.extreme;
            (self.extreme_at, self.extreme_device) = (other.extreme_at, other.extreme_device);
        }
        self.begin = self.begin.min(other.begin);
        self.until = self.until.max(other.until);
        self.is_open |= other.is_open;
        self.begins_before |= other.begins_before;
        self.readings += other.readings;
        self.gaps += other.gaps;
        self.longest_gap_ms = self.longest_gap_ms.max(other.longest_gap_ms);
        self.first = self.first.min(other.first);
        self.is_by_minute |= other.is_by_minute;
        for device in other.devices {
            if let Err(place) = self.devices.binary_search(&device) {
                self.devices.insert(place, device);
            }
        }
    }
}

/// Follows the readings of one device in one region.
#[derive(Clone, Debug)]
pub struct Tracker {
    device: Option<u64>,
    limits: Limits,
    /// A pause that is longer is a gap.
    gap_ms: i64,
    /// Whether nothing is known from before the next reading.
    is_blind: bool,
    /// When it was last heard of.
    newest: UnixMillis,
    run: Option<Excursion>,
}

impl Tracker {
    /// Before the first reading that is looked at. `is_blind` is whether there are readings
    /// before it of which nothing is known.
    pub fn new(device: Option<u64>, limits: Limits, gap_ms: i64, is_blind: bool) -> Self {
        Self { device, limits, gap_ms, is_blind, newest: UnixMillis::MIN, run: None }
    }

    /// Whether nothing is known from before the next reading.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// From now on, it is known that it was not outside before the next reading.
    pub fn was_inside(&mut self) {
        self.is_blind = false;
    }

    /// From now on, a pause that is longer than this is a gap.
    pub fn expect(&mut self, gap_ms: i64) {
        self.gap_ms = gap_ms;
    }

    /// Takes the next reading, later than the one before. Returns the excursion that it
    /// ends.
    pub fn take(&mut self, at: UnixMillis, temperature: MilliCelsius) -> Option<Excursion> {
        let kind = self.limits.outside(temperature);
        let (was_blind, before) = (std::mem::take(&mut self.is_blind), self.newest);
        self.newest = at;
        if let Some(run) = &mut self.run
            && kind == Some(run.kind)
        {
            let pause_ms = at.get() - before.get();
            run.merge(Excursion::of(run.kind, at, temperature, self.device));
            if pause_ms > self.gap_ms {
                run.gaps += 1;
                run.longest_gap_ms = run.longest_gap_ms.max(pause_ms);
            }
            return None;
        }
        let ended = self.run.take().map(|run| Excursion { until: at, is_open: false, ..run });
        self.run = kind.map(|kind| {
            let run = Excursion::of(kind, at, temperature, self.device);
            Excursion { begins_before: was_blind, ..run }
        });
        ended
    }

    /// The side on which it is, when that began, and when it was last heard of.
    pub fn outside(&self) -> Option<(Kind, UnixMillis, UnixMillis)> {
        self.run.as_ref().map(|run| (run.kind, run.begin, self.newest))
    }

    /// The excursion that no reading has ended.
    pub fn finish(self) -> Option<Excursion> {
        self.run
    }
}

/// Excursions of several devices, united where they overlap or touch.
#[derive(Clone, Debug, Default)]
pub struct Union {
    /// Of each kind, in the order of their times; no two overlap.
    high: Vec<Excursion>,
    low: Vec<Excursion>,
}

impl Union {
    fn of(&mut self, kind: Kind) -> &mut Vec<Excursion> {
        match kind {
            Kind::High => &mut self.high,
            Kind::Low => &mut self.low,
        }
    }

    /// Adds the excursion of a device.
    pub fn add(&mut self, mut new: Excursion) {
        let list = self.of(new.kind);
        let place = list.partition_point(|standing| standing.until < new.begin);
        while list.get(place).is_some_and(|standing| standing.begin <= new.until) {
            new.merge(list.remove(place));
        }
        list.insert(place, new);
    }

    /// When the first one of this kind begins that does not begin before `from`.
    pub fn next_begin(&mut self, kind: Kind, from: UnixMillis) -> Option<UnixMillis> {
        let mut begins = self.of(kind).iter().map(|standing| standing.begin);
        begins.find(|begin| *begin >= from)
    }

    /// When the first one begins whose begin is not known, of those that reach into the range
    /// from `from` on.
    pub fn unknown_begin(&self, from: UnixMillis) -> Option<UnixMillis> {
        let all = self.high.iter().chain(&self.low);
        let unknown = all.filter(|standing| standing.begins_before && standing.reaches(from));
        unknown.map(|standing| standing.begin).min()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.high.len() + self.low.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops those that are too short and can't become longer: none of this kind that is
    /// still to be added begins before `settled`.
    pub fn drop_short(&mut self, kind: Kind, for_ms: i64, settled: UnixMillis) {
        self.of(kind).retain(|standing| standing.until >= settled || standing.lasted(for_ms));
    }

    /// Those that reach into the range from `from` on and lasted at least `for_ms`, in the
    /// order of their begins.
    pub fn finish(self, from: UnixMillis, for_ms: i64) -> Vec<Excursion> {
        let mut all = self.high;
        all.extend(self.low);
        all.retain(|excursion| excursion.reaches(from) && excursion.lasted(for_ms));
        crate::base::sort::sort_by_key(&mut all, |excursion| {
            u128::from(excursion.begin.get().cast_unsigned()) << 1
                | u128::from(excursion.kind == Kind::Low)
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FROM: i64 = 10_000_000;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(ms).unwrap()
    }

    fn celsius(degrees: i64) -> MilliCelsius {
        MilliCelsius::new(degrees * 1_000).unwrap()
    }

    fn limits() -> Limits {
        Limits { low: Some(celsius(2)), high: Some(celsius(8)), for_ms: 0 }
    }

    /// The excursions of a device with these readings, seconds after `FROM` and degrees;
    /// each as begin, end, and what is written of it.
    fn track(has_older: bool, readings: &[(i64, i64)]) -> Vec<Excursion> {
        let mut tracker = Tracker::new(Some(1), limits(), 120_000, has_older);
        let mut found = Vec::new();
        for (seconds, degrees) in readings {
            found.extend(tracker.take(at(FROM + seconds * 1_000), celsius(*degrees)));
        }
        found.extend(tracker.finish());
        found
    }

    fn line(e: &Excursion) -> String {
        let s = |at: UnixMillis| (at.get() - FROM) / 1_000;
        format!(
            "{} {}{}..{}{} n={} x={}@{} g={}/{}",
            e.kind.name(),
            if e.begins_before { "<" } else { "" },
            s(e.begin),
            s(e.until),
            if e.is_open { "+" } else { "" },
            e.readings,
            e.extreme.get() / 1_000,
            s(e.extreme_at),
            e.gaps,
            e.longest_gap_ms / 1_000,
        )
    }

    #[test]
    fn a_limit_itself_is_within() {
        let limits = limits();
        assert!(limits.is_within(celsius(2)) && limits.is_within(celsius(8)));
        assert_eq!(limits.outside(MilliCelsius::new(8_001).unwrap()), Some(Kind::High));
        assert_eq!(limits.outside(MilliCelsius::new(1_999).unwrap()), Some(Kind::Low));
        assert!(Limits::default().is_none() && Limits::default().is_within(MilliCelsius::MAX));
    }

    #[test]
    fn a_run_goes_from_its_first_reading_to_the_first_one_inside() {
        for (readings, expected) in [
            (&[(0, 5), (60, 6)][..], &[][..]),
            (
                &[(0, 5), (60, 9), (120, 11), (180, 11), (240, 8)],
                &["high 60..240 n=3 x=11@120 g=0/0"],
            ),
            (&[(60, 9)], &["high 60..60+ n=1 x=9@60 g=0/0"]),
            (
                &[(0, 9), (60, 1), (120, 5)],
                &["high 0..60 n=1 x=9@0 g=0/0", "low 60..120 n=1 x=1@60 g=0/0"],
            ),
            (&[(0, 9), (120, 9), (241, 9), (900, 10)], &["high 0..900+ n=4 x=10@900 g=2/659"]),
        ] {
            let found: Vec<String> = track(false, readings).iter().map(line).collect();
            assert_eq!(found, expected, "{readings:?}");
        }
    }

    #[test]
    fn what_may_have_been_outside_before_begins_with_the_first_reading_and_says_so() {
        let readings = [(-300, 30), (-200, 9), (-100, 10), (60, 9), (120, 5)];
        let found: Vec<String> = track(true, &readings).iter().map(line).collect();
        assert_eq!(found, ["high <-300..120 n=4 x=30@-300 g=1/160"]);
        let found: Vec<String> = track(false, &readings).iter().map(line).collect();
        assert_eq!(found, ["high -300..120 n=4 x=30@-300 g=1/160"]);
        // One inside tells that the next one begins where it does.
        let readings = [(-300, 5), (60, 9), (120, 5)];
        let found: Vec<String> = track(true, &readings).iter().map(line).collect();
        assert_eq!(found, ["high 60..120 n=1 x=9@60 g=0/0"]);
    }

    /// The union by another way: whether each instant is covered.
    fn covered(all: &[Excursion], kind: Kind) -> Vec<bool> {
        let is_in =
            |ms| all.iter().any(|e| e.kind == kind && e.begin.get() <= ms && ms <= e.until.get());
        (0..200).map(is_in).collect()
    }

    proptest! {
        #[test]
        fn a_union_covers_what_its_parts_cover_in_any_order(
            parts in proptest::collection::vec(
                (1_i64..180, 0_i64..20, any::<bool>(), 0_u64..4, 9_i64..12), 0..40),
            seed in any::<u64>(),
        ) {
            let of = |&(begin, length, is_high, device, degrees): &(i64, i64, bool, u64, i64)| {
                let kind = if is_high { Kind::High } else { Kind::Low };
                let one = Excursion::of(kind, at(begin), celsius(degrees), Some(device));
                Excursion { until: at(begin + length), is_open: false, ..one }
            };
            let parts: Vec<Excursion> = parts.iter().map(of).collect();
            let united = |parts: &[Excursion]| {
                let mut union = Union::default();
                parts.iter().for_each(|part| union.add(part.clone()));
                union.finish(at(0), 0)
            };
            let all = united(&parts);
            for kind in [Kind::High, Kind::Low] {
                // Instants are whole here, so those that touch share one.
                prop_assert_eq!(covered(&all, kind), covered(&parts, kind));
                let own: Vec<_> = all.iter().filter(|e| e.kind == kind).collect();
                prop_assert!(own.windows(2).all(|pair| pair[0].until < pair[1].begin));
            }
            let mut shuffled = parts.clone();
            let turn = usize::try_from(seed % (parts.len() as u64 + 1)).unwrap();
            shuffled.rotate_left(turn);
            prop_assert_eq!(&united(&shuffled), &all);
            shuffled.reverse();
            prop_assert_eq!(united(&shuffled), all);
        }

        #[test]
        fn the_runs_of_a_device_are_those_of_its_readings_looked_at_one_by_one(
            steps in proptest::collection::vec((1_i64..400, 0_i64..11), 0..60),
        ) {
            let mut seconds = 0;
            let readings: Vec<(i64, i64)> = steps
                .iter()
                .map(|(pause, degrees)| {
                    seconds += pause;
                    (seconds, *degrees)
                })
                .collect();
            let found = track(false, &readings);
            let outside: usize = readings.iter().filter(|(_, d)| !(2..=8).contains(d)).count();
            let counted: u64 = found.iter().map(|e| e.readings).sum();
            prop_assert_eq!(counted, outside as u64);
            for excursion in &found {
                for (seconds, degrees) in &readings {
                    let ms = FROM + seconds * 1_000;
                    let is_in = excursion.begin.get() <= ms
                        && (ms < excursion.until.get() || excursion.is_open);
                    let kind = limits().outside(celsius(*degrees));
                    prop_assert!(!is_in || kind == Some(excursion.kind));
                    if is_in && kind == Some(Kind::High) {
                        prop_assert!(excursion.extreme >= celsius(*degrees));
                    }
                }
            }
        }
    }
}
