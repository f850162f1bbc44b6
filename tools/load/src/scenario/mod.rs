//! Two days of nine cold rooms with 40 sensors, and what goes wrong in such rooms: the data
//! of the questions in `docs/questions.md`, with their right answers.
//!
//! A reading depends on the seed, the sensor and the time alone, so the same seed and end
//! give the same bytes on every machine: integers, in thousandths of a degree.

mod limits;
mod measured;
mod truth;

use serde::Serialize;

pub use limits::set_limits;
pub use measured::{ROOMS, Room};
pub use truth::{Clock, Measured, Now, Outside, Silent, Totals, Truth, Typo};

use measured::SENSORS;

pub(crate) const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long the rooms are measured, up to the end.
const LENGTH_MS: i64 = 2 * DAY_MS;

/// The room whose door stood open yesterday, and for how long from when (UTC).
const DOOR: (&str, i64, i64) = ("freezer-north", 14 * HOUR_MS + 10 * MINUTE_MS, 40 * MINUTE_MS);

/// The sensor that fell silent, and how long before the end.
const SILENT: (&str, i64) = ("t-07", 5 * HOUR_MS);

/// Values that a DS18B20 reports where it measures nothing, yesterday at these times (UTC):
/// after it got power, and when its wire was loose.
const VOID: [(&str, i64, i64); 2] = [
    ("t-12", 3 * HOUR_MS + 17 * MINUTE_MS, 85_000),
    ("t-26", 19 * HOUR_MS + 42 * MINUTE_MS, -127_000),
];

/// The sensor that named its room wrongly, yesterday from nine to eleven (UTC).
const TYPO: (&str, &str, i64, i64) = ("t-31", "diary", 9 * HOUR_MS, 11 * HOUR_MS);

/// The room that the typo meant.
const MEANT: &str = "dairy";

/// The sensor that is sent by the name of its factory, and the name that it gets.
const RENAMED: (&str, &str) = ("esp32-a4cf12", "t-20");

/// The sensor whose clock is an hour ahead, and how long before the end that began.
const CLOCK: (&str, i64) = ("t-38", 30 * MINUTE_MS);

/// What a sensor sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The sensor's name.
    pub device_id: String,
    /// The room that it names.
    pub region: &'static str,
    /// In thousandths of a degree; a number of degrees where it is sent.
    #[serde(rename = "temperature_c", serialize_with = "degrees")]
    pub millicelsius: i64,
    /// When it was measured, by the sensor's clock, in Unix milliseconds.
    pub timestamp: i64,
}

/// What is sent, and what is true of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Two days up to the end, in the order in which they were measured.
    pub readings: Vec<Reading>,
    /// The answers.
    pub truth: Truth,
}

fn degrees<S: serde::Serializer>(millicelsius: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    // The nearest double: written, it has the three digits and no more.
    serializer.serialize_f64(*millicelsius as f64 / 1_000.0)
}

/// The readings of two days up to `end` (Unix milliseconds), and what is true of them.
///
/// They are to be sent right after `end`: some are ahead of it by half an hour to an hour,
/// which a node rejects until then.
pub fn scenario(seed: u64, end: i64) -> Scenario {
    let first = (end - LENGTH_MS).div_euclid(MINUTE_MS);
    let last = end.div_euclid(MINUTE_MS);
    let mut readings = Vec::new();
    for minute in first..=last {
        let of_minute = (0..SENSORS).filter_map(|sensor| reading(seed, end, minute, sensor));
        readings.extend(of_minute);
    }
    let truth = Truth::of(&readings, end);
    Scenario { readings, truth }
}

/// What a sensor sends in a minute, if it sends.
fn reading(seed: u64, end: i64, minute: i64, sensor: u16) -> Option<Reading> {
    // Each sensor has its own second of the minute.
    let at = minute * MINUTE_MS + i64::from(sensor) * 1_400;
    let room = measured::room_of(sensor)?;
    let device_id = measured::name_of(sensor);
    let is_sent = at > end - LENGTH_MS && at <= end;
    let is_silent = device_id == SILENT.0 && at > end - SILENT.1;
    if !is_sent || is_silent {
        return None;
    }
    let yesterday = end.div_euclid(DAY_MS) * DAY_MS - DAY_MS;
    let mut millicelsius = measured::temperature(seed, room, sensor, minute);
    if room.region == DOOR.0 {
        millicelsius += measured::through_the_door(sensor, at - yesterday - DOOR.1, DOOR.2);
    }
    let in_minute = |of_day: i64| (yesterday + of_day).div_euclid(MINUTE_MS) == minute;
    let void = VOID.iter().find(|(name, of_day, _)| device_id == *name && in_minute(*of_day));
    if let Some((_, _, value)) = void {
        millicelsius = *value;
    }
    let (_, typo, from, to) = TYPO;
    let is_typo = device_id == TYPO.0 && (from..to).contains(&(at - yesterday));
    let is_ahead = device_id == CLOCK.0 && at > end - CLOCK.1;
    Some(Reading {
        device_id,
        region: if is_typo { typo } else { room.region },
        millicelsius,
        timestamp: if is_ahead { at + HOUR_MS } else { at },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26T07:20:30Z.
    pub(super) const END: i64 = 1_795_677_630_000;

    #[test]
    fn the_same_seed_and_end_give_the_same_bytes() {
        let bytes = |seed| serde_json::to_vec(&scenario(seed, END).readings).unwrap();
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        // And on any machine, in any release: who changes this changes docs/questions.md.
        let sum = |seed| scenario(seed, END).readings.iter().map(|r| r.millicelsius).sum::<i64>();
        assert_eq!((bytes(1).len(), sum(1)), (10_347_550, -797_738_650));
    }

    #[test]
    fn every_sensor_sends_once_a_minute_but_the_silent_one() {
        let readings = scenario(1, END).readings;
        assert_eq!(readings.len(), 40 * 2_880 - 300);
        for sensor in 0..SENSORS {
            let name = measured::name_of(sensor);
            let times: Vec<i64> =
                readings.iter().filter(|r| r.device_id == name).map(|r| r.timestamp).collect();
            let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let odd = steps.iter().filter(|&&step| step != MINUTE_MS).count();
            assert_eq!(odd, usize::from(name == CLOCK.0), "{name}");
            assert_eq!(times.len(), if name == SILENT.0 { 2_580 } else { 2_880 }, "{name}");
        }
    }

    #[test]
    fn readings_do_not_depend_on_the_end_but_for_what_went_wrong() {
        let (early, late) = (scenario(1, END), scenario(1, END + HOUR_MS));
        let known: std::collections::HashSet<_> =
            early.readings.iter().map(|r| (&r.device_id, r.timestamp, r.millicelsius)).collect();
        let both = late.readings.iter().filter(|r| r.timestamp <= END);
        let other = both.filter(|r| !known.contains(&(&r.device_id, r.timestamp, r.millicelsius)));
        // The silent one spoke an hour longer, and of the clock one hour is another.
        assert!(other.clone().all(|r| r.device_id == SILENT.0 || r.device_id == CLOCK.0));
        assert_eq!(other.count(), 60 + 30);
    }

    #[test]
    fn it_is_sent_as_degrees() {
        let reading = Reading {
            device_id: "t-01".to_owned(),
            region: "fish",
            millicelsius: -11_320,
            timestamp: END,
        };
        let text = serde_json::to_string(&reading).unwrap();
        let rest = "\"temperature_c\":-11.32,\"timestamp\":1795677630000}";
        assert_eq!(text, format!("{{\"device_id\":\"t-01\",\"region\":\"fish\",{rest}"));
    }
}
