//! The questions on the page: a browser goes from its start to each answer in at most two
//! clicks (`tests/browser/questions.test.mjs`), at a service that got the scenario, and
//! compares the figures in sight with the truth.

use std::process::Command;

use isotherm_it::programs::variable;
use isotherm_it::{now_ms, root};
use isotherm_load::scenario::{Measured, Now, Outside, Scenario, Truth};
use serde_json::{Value, json};

use super::answers::{self, Answer};
use super::{QUESTIONS, document, failure, service_with_the_scenario};
use crate::support::readings::{DAY, MINUTE, celsius, instant};
use crate::support::service::Expect as _;

#[test]
fn each_question_is_answered_on_the_page_within_two_clicks() {
    let (service, Scenario { mut truth, .. }) = service_with_the_scenario(document::read().seed);
    let tested = Command::new("node")
        .args(["--test", "--test-reporter=tap", "--test-timeout=300000", "questions.test.mjs"])
        .current_dir(root().join("tests/browser"))
        .env("ISOTHERM_CHROMIUM", variable("ISOTHERM_CHROMIUM"))
        .env("ISOTHERM_URL", service.sender().url())
        .env("ISOTHERM_TRUTH", facts(&truth).to_string())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&tested.stdout);
    // Later, all sensors are silent, and what the page says of now is not true any more.
    let took = now_ms() - truth.end;
    assert!(tested.status.success(), "{took} ms after the last reading: {report}");
    for (title, _) in QUESTIONS {
        let is_shown = |line: &str| {
            line.trim().starts_with("ok ") && line.trim_end().ends_with(&format!(" - {title}"))
        };
        assert!(report.lines().any(is_shown), "no test of {title}: {report}");
    }
    // What the browser corrected stands, and its last reading; nothing else was changed.
    let (count, sum) = truth.totals.rooms.get_mut("freezer-north").unwrap();
    (*count, *sum) = (*count + 1, *sum - 9_500);
    let regions = service.settled().to_string();
    let answer = Answer { text: &regions, truth: &truth, is_excerpt: false };
    assert_eq!(failure("", || answers::what_stands(&answer)), None);
}

/// What the browser has to find.
fn facts(truth: &Truth) -> Value {
    let (from, to) = truth.yesterday();
    let silent = truth.silent.iter().map(|it| it.device_id.as_str());
    let raw = truth.standing_in("freezer-north", truth.end - 30 * DAY, truth.end + 1);
    json!({
        "now": truth.now.iter().map(now).collect::<Vec<_>>(),
        "silent": silent.collect::<Vec<_>>(),
        "yesterday": truth.now.iter().map(|it| of_day(truth, it.region, from, to)).collect::<Vec<_>>(),
        "excursion": excursion(truth),
        "raw": raw.count(),
        "void": truth.void.iter().map(measured).collect::<Vec<_>>(),
        "typo": {"region": truth.typo.region, "meant": truth.typo.meant,
            "readings": truth.typo.readings},
        "rejected": {"device_id": truth.clock.device_id, "readings": truth.clock.rejected},
        "standing": truth.standing.len(),
        "minutes": DAY / MINUTE,
    })
}

fn measured(it: &Measured) -> Value {
    json!({"device_id": it.device_id, "c": celsius(it.millicelsius), "at": instant(it.at)})
}

fn now(it: &Now) -> Value {
    // Of some that are equally warm, each may be named; and one of them by the name that it
    // has until it is renamed, which the page does later.
    let equal = |most: &Measured| -> Value {
        let equal = it.newest.iter().filter(|one| one.millicelsius == most.millicelsius);
        let names = equal.map(|one| one.device_id.as_str());
        let before = |name: &str| (name == "t-20").then_some("esp32-a4cf12");
        names.flat_map(|name| [Some(name), before(name)]).flatten().collect::<Vec<_>>().into()
    };
    json!({
        "region": it.region, "average_c": it.sum as f64 / it.devices as f64 / 1_000.0,
        "warmest_c": celsius(it.warmest.millicelsius), "warmest": equal(&it.warmest),
        "coldest_c": celsius(it.coldest.millicelsius), "coldest": equal(&it.coldest),
    })
}

fn of_day(truth: &Truth, region: &str, from: i64, to: i64) -> Value {
    let all: Vec<i64> = truth.standing_in(region, from, to).map(|it| it.millicelsius).collect();
    let average = all.iter().sum::<i64>() as f64 / all.len() as f64 / 1_000.0;
    let (min, max) = (all.iter().min().unwrap(), all.iter().max().unwrap());
    json!({"region": region, "count": all.len(), "average_c": average,
        "min_c": celsius(*min), "max_c": celsius(*max)})
}

/// The door: where one sensor is outside, the others of them are at the same time.
fn excursion(truth: &Truth) -> Value {
    let outside: Vec<&Outside> =
        truth.outside.iter().filter(|it| it.region == "freezer-north").collect();
    let begin = outside.iter().map(|it| it.begin).min().unwrap();
    let end = outside.iter().filter_map(|it| it.end).max().unwrap();
    let worst = outside.iter().max_by_key(|it| it.extreme).unwrap();
    json!({
        "begin": instant(begin), "end": instant(end), "minutes": (end - begin) / MINUTE,
        "extreme_c": celsius(worst.extreme), "extreme_device": worst.device_id,
        "readings": outside.iter().map(|it| it.readings).sum::<i64>(), "devices": outside.len(),
    })
}
