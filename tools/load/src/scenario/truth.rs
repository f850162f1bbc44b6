//! The right answers, computed from what is sent alone, in plain code.

use std::collections::{BTreeMap, BTreeSet};

use super::{DAY_MS, HOUR_MS, MEANT, MINUTE_MS, RENAMED, ROOMS, Reading, TYPO, VOID};

/// How far ahead of the node's clock a reading may be (the variable `max_skew`).
const AHEAD_MS_MAX: i64 = 5 * MINUTE_MS;

/// A sensor that sends every minute is silent after three of them.
const SILENT_AFTER_MS: i64 = 3 * MINUTE_MS;

/// The right answers of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// When it ends: now.
    pub end: i64,
    /// What stands in the end, in the order of its times: accepted, not void, in the right
    /// room, and by the name that its sensor has in the end.
    pub standing: Vec<Measured>,
    /// Each room now.
    pub now: Vec<Now>,
    /// Who is silent, since when.
    pub silent: Vec<Silent>,
    /// Each time that a sensor was outside the limits of its room.
    pub outside: Vec<Outside>,
    /// What sensors sent that measured nothing.
    pub void: Vec<Measured>,
    /// The region that is none.
    pub typo: Typo,
    /// The sensor whose clock is ahead.
    pub clock: Clock,
    /// How many there are.
    pub totals: Totals,
}

/// A temperature that a sensor had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The sensor.
    pub device_id: String,
    /// The room.
    pub region: &'static str,
    /// In thousandths of a degree.
    pub millicelsius: i64,
    /// Unix milliseconds.
    pub at: i64,
}

/// A room now: of its sensors that are not silent, the newest readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The room.
    pub region: &'static str,
    /// The sum of the newest readings, in thousandths of a degree.
    pub sum: i64,
    /// How many there are.
    pub devices: i64,
    /// The readings themselves.
    pub newest: Vec<Measured>,
    /// The warmest of them, or one of them.
    pub warmest: Measured,
    /// The coldest of them, or one of them.
    pub coldest: Measured,
    /// The sensors that are silent, by name.
    pub silent: Vec<String>,
    /// Whether all of them are within the room's limits, if it has any.
    pub within: Option<bool>,
}

/// A sensor from which nothing comes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// The sensor.
    pub device_id: String,
    /// The room.
    pub region: &'static str,
    /// Its newest reading.
    pub since: i64,
}

/// A time that a sensor was outside the limits of its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The sensor.
    pub device_id: String,
    /// The room.
    pub region: &'static str,
    /// The first reading outside.
    pub begin: i64,
    /// The last reading outside.
    pub last: i64,
    /// The first reading inside again, if there is one.
    pub end: Option<i64>,
    /// The temperature that is furthest outside, in thousandths of a degree.
    pub extreme: i64,
    /// How many readings are outside: one a minute.
    pub readings: i64,
}

/// A region that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typo {
    /// Its name.
    pub region: &'static str,
    /// The room that was meant.
    pub meant: &'static str,
    /// The sensors that named it.
    pub devices: BTreeSet<String>,
    /// How many readings it has.
    pub readings: i64,
}

/// A sensor whose clock is ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The sensor.
    pub device_id: String,
    /// How many of its readings are rejected as `in_future`.
    pub rejected: i64,
    /// Its newest reading that is not.
    pub since: i64,
}

/// How many readings there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// That are sent.
    pub sent: i64,
    /// That are accepted.
    pub accepted: i64,
    /// That are rejected.
    pub rejected: i64,
    /// How many sensors there are.
    pub devices: i64,
    /// How many stand in each room, and the sum of their thousandths of a degree.
    pub rooms: BTreeMap<&'static str, (i64, i64)>,
}

impl Truth {
    /// What is true of `readings` at `end`.
    pub(super) fn of(readings: &[Reading], end: i64) -> Self {
        let is_ahead = |reading: &&Reading| reading.timestamp > end + AHEAD_MS_MAX;
        let ahead: Vec<&Reading> = readings.iter().filter(is_ahead).collect();
        let accepted: Vec<Measured> =
            readings.iter().filter(|reading| !is_ahead(reading)).map(measured).collect();
        let is_void = |it: &Measured| VOID.iter().any(|(.., value)| it.millicelsius == *value);
        let (void, mut standing): (Vec<_>, Vec<_>) = accepted.iter().cloned().partition(is_void);
        let typo = typo(&standing);
        for it in standing.iter_mut().filter(|it| it.region == typo.region) {
            it.region = typo.meant;
        }
        for it in standing.iter_mut().filter(|it| it.device_id == RENAMED.0) {
            RENAMED.1.clone_into(&mut it.device_id);
        }
        standing.sort_by(|a, b| (a.at, &a.device_id).cmp(&(b.at, &b.device_id)));
        let newest = newest(&standing);
        let silent = silent(&newest, end);
        let clock = clock(&ahead, &newest);
        let totals = Totals {
            sent: count(readings),
            accepted: count(&accepted),
            rejected: count(&ahead),
            devices: count(&newest),
            rooms: rooms(&standing),
        };
        let now = now(&newest, &silent);
        let outside = outside(&standing);
        Self { end, now, silent, outside, void, typo, clock, totals, standing }
    }

    /// What stands in a room from `from` on and before `to`.
    pub fn standing_in(&self, region: &str, from: i64, to: i64) -> impl Iterator<Item = &Measured> {
        let here = self.standing.iter().filter(move |it| it.region == region);
        here.filter(move |it| (from..to).contains(&it.at))
    }

    /// The warmest of these; of two, the earlier one.
    pub fn warmest(&self, region: &str, from: i64, to: i64) -> Option<&Measured> {
        let here = self.standing_in(region, from, to);
        here.reduce(|warmest, it| if it.millicelsius > warmest.millicelsius { it } else { warmest })
    }

    /// Yesterday in UTC: its begin and its end.
    pub fn yesterday(&self) -> (i64, i64) {
        let today = self.end.div_euclid(DAY_MS) * DAY_MS;
        (today - DAY_MS, today)
    }

    /// The minutes (Unix time) in which a sensor of the room was outside its limits.
    pub fn minutes_outside(&self, region: &str) -> BTreeSet<i64> {
        let here = self.standing.iter().filter(|it| it.region == region && is_outside(it));
        here.map(|it| it.at.div_euclid(MINUTE_MS)).collect()
    }

    /// What went wrong, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let time = |at: i64| isotherm::UnixMillis::new(at).map(|at| at.to_string());
        let time = |at: i64| time(at).unwrap_or_default();
        let degrees = |millicelsius: i64| millicelsius as f64 / 1_000.0;
        let outside = self.outside.iter().map(|it| {
            let (device, minutes, extreme) = (&it.device_id, it.readings, degrees(it.extreme));
            let (room, begin) = (it.region, time(it.begin));
            format!("{room}: {device} is outside its limits for {minutes} minutes from {begin}, up to {extreme} °C")
        });
        let void = self.void.iter().map(|it| {
            let (device, value, at) = (&it.device_id, degrees(it.millicelsius), time(it.at));
            format!("{}: {device} reports {value} °C at {at}, and measured nothing", it.region)
        });
        let silent = self.silent.iter().map(|it| {
            format!("{}: {} is silent since {}", it.region, it.device_id, time(it.since))
        });
        let Typo { region, meant, readings, .. } = &self.typo;
        let typo = format!("{region} is a typo of {meant}, with {readings} readings");
        let Clock { device_id, rejected, since } = &self.clock;
        let hour = HOUR_MS / MINUTE_MS;
        let since = time(*since);
        let clock = format!(
            "{device_id}'s clock is {hour} minutes ahead since {since}: {rejected} readings are rejected"
        );
        outside.chain(void).chain(silent).chain([typo, clock]).collect()
    }
}

fn measured(reading: &Reading) -> Measured {
    Measured {
        device_id: reading.device_id.clone(),
        region: reading.region,
        millicelsius: reading.millicelsius,
        at: reading.timestamp,
    }
}

fn count<T>(items: impl IntoIterator<Item = T>) -> i64 {
    items.into_iter().fold(0, |count, _| count + 1)
}

/// The newest reading of each sensor.
fn newest(standing: &[Measured]) -> BTreeMap<&str, &Measured> {
    standing.iter().map(|it| (it.device_id.as_str(), it)).collect()
}

fn silent(newest: &BTreeMap<&str, &Measured>, end: i64) -> Vec<Silent> {
    let old = newest.values().filter(|it| end - it.at > SILENT_AFTER_MS);
    let silent =
        old.map(|it| Silent { device_id: it.device_id.clone(), region: it.region, since: it.at });
    silent.collect()
}

fn now(newest: &BTreeMap<&str, &Measured>, silent: &[Silent]) -> Vec<Now> {
    let speaks = |it: &&Measured| !silent.iter().any(|silent| silent.device_id == it.device_id);
    let rooms = ROOMS.iter().filter_map(|room| {
        let here = || newest.values().copied().filter(|it| it.region == room.region);
        let speaking: Vec<&Measured> = here().filter(speaks).collect();
        let by_temperature = |it: &&&Measured| it.millicelsius;
        Some(Now {
            region: room.region,
            sum: speaking.iter().map(|it| it.millicelsius).sum(),
            devices: count(&speaking),
            newest: speaking.iter().map(|it| (*it).clone()).collect(),
            warmest: (**speaking.iter().max_by_key(by_temperature)?).clone(),
            coldest: (**speaking.iter().min_by_key(by_temperature)?).clone(),
            silent: here().filter(|it| !speaks(it)).map(|it| it.device_id.clone()).collect(),
            within: room.limits.map(|_| !speaking.iter().any(|it| is_outside(it))),
        })
    });
    rooms.collect()
}

fn is_outside(it: &Measured) -> bool {
    let room = ROOMS.iter().find(|room| room.region == it.region);
    let limits = room.and_then(|room| room.limits);
    limits.is_some_and(|(low, high)| it.millicelsius < low || it.millicelsius > high)
}

fn outside(standing: &[Measured]) -> Vec<Outside> {
    let mut of_device: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for it in standing {
        of_device.entry(&it.device_id).or_default().push(it);
    }
    let mut found: Vec<Outside> = Vec::new();
    for readings in of_device.values() {
        let mut open: Option<Outside> = None;
        for it in readings {
            if !is_outside(it) {
                found.extend(open.take().map(|outside| Outside { end: Some(it.at), ..outside }));
                continue;
            }
            let outside = open.get_or_insert_with(|| Outside {
                device_id: it.device_id.clone(),
                region: it.region,
                begin: it.at,
                last: it.at,
                end: None,
                extreme: it.millicelsius,
                readings: 0,
            });
            outside.last = it.at;
            outside.readings += 1;
            // No sensor is below its limit.
            outside.extreme = outside.extreme.max(it.millicelsius);
        }
        found.extend(open);
    }
    found
}

fn typo(standing: &[Measured]) -> Typo {
    let in_room = |it: &&Measured| !ROOMS.iter().any(|room| room.region == it.region);
    let in_none: Vec<&Measured> = standing.iter().filter(in_room).collect();
    Typo {
        region: in_none.first().map_or(TYPO.1, |it| it.region),
        meant: MEANT,
        devices: in_none.iter().map(|it| it.device_id.clone()).collect(),
        readings: count(&in_none),
    }
}

fn clock(ahead: &[&Reading], newest: &BTreeMap<&str, &Measured>) -> Clock {
    let device_id = ahead.first().map(|reading| reading.device_id.clone()).unwrap_or_default();
    let since = newest.get(device_id.as_str()).map_or(0, |it| it.at);
    Clock { device_id, rejected: count(ahead), since }
}

fn rooms(standing: &[Measured]) -> BTreeMap<&'static str, (i64, i64)> {
    let mut rooms = BTreeMap::new();
    for it in standing {
        let (count, sum) = rooms.entry(it.region).or_insert((0, 0));
        *count += 1;
        *sum += it.millicelsius;
    }
    rooms
}

#[cfg(test)]
mod tests {
    use super::super::{CLOCK, DOOR, SILENT, scenario, tests::END};
    use super::*;

    #[test]
    fn what_goes_wrong_is_found_in_the_readings() {
        for end in [END, END.div_euclid(DAY_MS) * DAY_MS, END.div_euclid(DAY_MS) * DAY_MS - 1] {
            let truth = scenario(3, end).truth;
            let silent: Vec<&str> = truth.silent.iter().map(|it| it.device_id.as_str()).collect();
            assert_eq!(silent, [SILENT.0, CLOCK.0]);
            let void: Vec<(&str, i64)> =
                truth.void.iter().map(|it| (it.device_id.as_str(), it.millicelsius)).collect();
            assert_eq!(void, [("t-12", 85_000), ("t-26", -127_000)]);
            assert_eq!((truth.typo.region, truth.typo.readings), ("diary", 120));
            assert_eq!(truth.typo.devices, BTreeSet::from(["t-31".to_owned()]));
            assert_eq!((truth.clock.device_id.as_str(), truth.clock.rejected), ("t-38", 30));
            assert_eq!(truth.totals.accepted, 40 * 2_880 - 300 - 30);
            assert_eq!(truth.totals.devices, 40);
            assert_eq!(truth.totals.rooms.len(), 9);
        }
    }

    #[test]
    fn a_door_is_open_for_forty_minutes_and_felt_for_longer() {
        let truth = scenario(3, END).truth;
        assert_eq!(truth.outside.len(), 4);
        let (yesterday, today) = truth.yesterday();
        for outside in &truth.outside {
            assert_eq!(outside.region, DOOR.0);
            assert!(outside.begin > yesterday + DOOR.1, "{outside:?}");
            assert!(outside.end.unwrap() < yesterday + DOOR.1 + DOOR.2 + 30 * MINUTE_MS);
            assert_eq!(outside.readings, (outside.last - outside.begin) / MINUTE_MS + 1);
        }
        let first = &truth.outside[0];
        assert!(first.readings > 40 && first.extreme > -12_500, "{first:?}");
        let minutes = truth.minutes_outside(DOOR.0);
        assert_eq!(count(&minutes), first.readings);
        let warmest = truth.warmest(DOOR.0, yesterday, today).unwrap();
        assert_eq!((warmest.millicelsius, warmest.device_id.as_str()), (first.extreme, "t-01"));
    }

    #[test]
    fn now_is_of_those_that_speak() {
        let truth = scenario(3, END).truth;
        let south = &truth.now[1];
        assert_eq!((south.region, south.devices), ("freezer-south", 4));
        assert_eq!(south.silent, [SILENT.0]);
        assert!(south.coldest.millicelsius < south.sum / 4);
        assert!(south.warmest.millicelsius > south.sum / 4);
        assert!(truth.now.iter().all(|now| now.within != Some(false)));
        assert_eq!(truth.now[8].within, None);
        assert!(truth.now.iter().all(|now| END - now.warmest.at < MINUTE_MS));
    }
}
