//! Local times of devices: the instants that a POSIX rule gives them are those of Python's
//! `zoneinfo`, also where the clocks are changed.

use std::fmt::Write as _;

use isotherm::internals::domain::local::LocalTime;
use isotherm::internals::domain::zone::Zone;
use isotherm_it::root;

use crate::support::python::python;

/// Zones of all kinds: both hemispheres, odd offsets and odd changes, and some without any.
const ZONES: [&str; 20] = [
    "Europe.Berlin",
    "Europe.London",
    "Europe.Dublin",
    "Europe.Lisbon",
    "Europe.Chisinau",
    "America.New_York",
    "America.St_Johns",
    "America.Los_Angeles",
    "America.Havana",
    "America.Santiago",
    "America.Asuncion",
    "America.Nuuk",
    "Asia.Beirut",
    "Asia.Jerusalem",
    "Asia.Kolkata",
    "Asia.Kathmandu",
    "Australia.Lord_Howe",
    "Australia.Adelaide",
    "Pacific.Auckland",
    "Pacific.Chatham",
];

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// 2028-01-01T00:00:00Z: after the last change that a file names by itself.
const BEGIN: i64 = 1_830_297_600;

/// The rule at the end of a zone file (RFC 9636, 3.3).
fn rule_of(zone: &str) -> String {
    let file = std::fs::read(root().join(format!("query/assets/zones/{zone}.tzif"))).unwrap();
    let content = file.strip_suffix(b"\n").unwrap();
    let begin = content.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    String::from_utf8(content[begin..].to_vec()).unwrap()
}

/// The local times to look at: every hour of 400 days around each change of two years, and
/// every minute of the hours around it.
fn local_times(zone: &Zone) -> Vec<i64> {
    let mut times = Vec::new();
    for at in (BEGIN..BEGIN + 730 * DAY).step_by(usize::try_from(HOUR).unwrap()) {
        let (before, after) = (zone.offset_s(at - HOUR), zone.offset_s(at));
        if before != after {
            times.extend((-200 * 24..200 * 24).map(|hours| at + before + hours * HOUR));
            times.extend((-240..240).map(|minutes| at + before + minutes * 60));
        }
    }
    if times.is_empty() {
        times.extend((0..400 * 24).map(|hours| BEGIN + hours * HOUR));
    }
    times
}

#[test]
fn a_local_time_is_the_instant_that_python_takes_it_for() {
    let mut lines = String::new();
    for name in ZONES {
        let rule = rule_of(name);
        let zone = Zone::without_file(&rule).unwrap_or_else(|| panic!("{name}: {rule}"));
        let path = root().join(format!("query/assets/zones/{name}.tzif"));
        for local_s in local_times(&zone) {
            write!(lines, "{} {local_s}", path.display()).unwrap();
            match zone.instants(local_s) {
                LocalTime::Never => {}
                LocalTime::Once(at) => write!(lines, " {at}").unwrap(),
                LocalTime::Twice(first, second) => write!(lines, " {first} {second}").unwrap(),
            }
            lines.push('\n');
        }
    }
    let said = python("tests/python/local_instants.py", &lines);
    let counts: Vec<u32> = said.split_whitespace().map(|count| count.parse().unwrap()).collect();
    // All, those that the clocks leave out, and those that they show twice.
    assert!(counts[0] > 500_000 && counts[1] > 1_000 && counts[2] > 1_000, "{counts:?}");
}
