//! The rooms, and what the sensors in them measure.

use super::{MINUTE_MS, RENAMED};

/// A room, as its region is named, and how warm it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The region's name.
    pub region: &'static str,
    /// How many sensors it has.
    pub sensors: u16,
    /// What its controller is set to, in thousandths of a degree, as all that follows.
    base: i64,
    /// How far it goes from there while the compressor runs or rests.
    swing: i64,
    /// By how much a defrost warms it.
    defrost: i64,
    /// The lowest and highest temperature that it may have, if it has such limits.
    pub limits: Option<(i64, i64)>,
}

/// How many sensors the rooms have.
pub(super) const SENSORS: u16 = 40;

const fn room(
    region: &'static str,
    sensors: u16,
    (base, swing, defrost): (i64, i64, i64),
    limits: Option<(i64, i64)>,
) -> Room {
    Room { region, sensors, base, swing, defrost, limits }
}

/// Nine rooms.
pub const ROOMS: [Room; 9] = [
    room("freezer-north", 5, (-21_000, 400, 1_200), Some((-25_000, -18_000))),
    room("freezer-south", 5, (-21_200, 400, 1_200), Some((-25_000, -18_000))),
    room("freezer-east", 4, (-20_800, 400, 1_200), Some((-25_000, -18_000))),
    room("ice-cream", 4, (-24_000, 400, 1_200), Some((-28_000, -20_000))),
    room("fish", 4, (1_000, 300, 800), Some((-1_000, 4_000))),
    room("meat", 5, (2_500, 300, 800), Some((0, 5_000))),
    room("dairy", 5, (4_500, 300, 800), Some((2_000, 7_000))),
    room("vegetables", 4, (7_000, 300, 500), Some((4_000, 10_000))),
    // Nobody keeps it cold.
    room("loading-bay", 4, (11_000, 900, 0), None),
];

/// The room that a sensor, from 0, is in.
pub(super) fn room_of(sensor: u16) -> Option<&'static Room> {
    let mut behind = 0;
    ROOMS.iter().find(|room| {
        behind += room.sensors;
        sensor < behind
    })
}

/// The name of a sensor, from 0. One has that of its factory.
pub(super) fn name_of(sensor: u16) -> String {
    match sensor + 1 {
        20 => RENAMED.0.to_owned(),
        number => format!("t-{number:02}"),
    }
}

/// What a sensor measures in a minute (Unix time) while nothing is wrong.
pub(super) fn temperature(seed: u64, room: &Room, sensor: u16, minute: i64) -> i64 {
    let of = |what: u64, when: i64, most: i64| random(seed, what, sensor, when, most);
    // The rooms don't run in step.
    let here = minute + i64::try_from(room.region.len()).unwrap_or(0) * 17;
    let compressor = room.swing * (wave(here, 36) - 500) / 500;
    let since_defrost = here.rem_euclid(6 * 60);
    let defrost =
        if since_defrost < 30 { room.defrost * wave(since_defrost, 30) / 1_000 } else { 0 };
    // From one hour's value to the next.
    let (hour, within) = (minute.div_euclid(60), minute.rem_euclid(60));
    let drift = (of(2, hour, 200) * (60 - within) + of(2, hour + 1, 200) * within) / 60;
    let sum = room.base + of(1, 0, 400) + compressor + defrost + drift + of(3, minute, 120);
    // Sensors tell hundredths.
    sum.div_euclid(10) * 10
}

/// A triangle from 0 to 1,000 and back within `period`.
fn wave(at: i64, period: i64) -> i64 {
    let at = at.rem_euclid(period) * 2_000 / period;
    at.min(2_000 - at)
}

/// How much an open door warms a sensor in its room, `since` it was opened (milliseconds,
/// negative before): more and more slowly for as long as it is `open`, and back to nothing
/// in half an hour.
pub(super) fn through_the_door(sensor: u16, since: i64, open: i64) -> i64 {
    // The first stands beside the door, the last in the far corner.
    const MOST: [i64; 5] = [9_300, 5_500, 4_200, 3_700, 1_100];
    const BACK_MS: i64 = 30 * MINUTE_MS;
    let most = MOST.get(usize::from(sensor)).copied().unwrap_or(0);
    let to_go = (open - since).max(0);
    let left = (open + BACK_MS - since).clamp(0, BACK_MS);
    // Seconds, so that the squares fit.
    let square = |ms: i64| (ms / 1_000) * (ms / 1_000);
    let rise = match since {
        ..0 => return 0,
        _ if to_go > 0 => most - most * square(to_go) / square(open),
        _ => most * square(left) / square(BACK_MS),
    };
    rise.div_euclid(10) * 10
}

/// A number from `-most` to `most`: always the same for the same question.
fn random(seed: u64, what: u64, sensor: u16, when: i64, most: i64) -> i64 {
    let mut state = seed;
    for word in [what, u64::from(sensor), when.unsigned_abs()] {
        state = mix(state ^ word);
    }
    let bits = i64::try_from(state >> 32).unwrap_or(0);
    bits.rem_euclid(2 * most + 1) - most
}

/// A step of `SplitMix64` (Steele, Lea and Flood, 2014).
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_rooms_have_forty_sensors() {
        assert_eq!(ROOMS.iter().map(|room| room.sensors).sum::<u16>(), SENSORS);
        let rooms: Vec<_> = [0, 4, 5, 39].map(|sensor| room_of(sensor).unwrap().region).into();
        assert_eq!(rooms, ["freezer-north", "freezer-north", "freezer-south", "loading-bay"]);
        assert_eq!(room_of(40), None);
        assert_eq!([name_of(0), name_of(39)], ["t-01", "t-40"]);
    }

    #[test]
    fn no_room_leaves_its_limits_by_itself() {
        for sensor in 0..SENSORS {
            let room = room_of(sensor).unwrap();
            let measured = (0..10_000).map(|minute| temperature(7, room, sensor, minute));
            let (low, high) = measured.fold((i64::MAX, i64::MIN), |(l, h), t| (l.min(t), h.max(t)));
            let (least, most) = room.limits.unwrap_or((5_000, 15_000));
            assert!(least < low && high < most, "{}: {low} to {high}", room.region);
            assert!(high - low > 500, "{}: nothing moves", room.region);
        }
    }

    #[test]
    fn an_open_door_warms_and_is_forgotten() {
        let open = 40 * MINUTE_MS;
        let at = |minute: i64| through_the_door(0, minute * MINUTE_MS, open);
        assert_eq!([-1, 0, 40, 70, 700].map(at), [0, 0, 9_300, 0, 0]);
        assert!(at(10) > 3_000 && at(30) > at(20) && at(50) < at(41), "{} {}", at(10), at(50));
    }
}
