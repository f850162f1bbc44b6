//! What an answer has to say, by the truth of the scenario. An excerpt in the document may
//! say less, but nothing else.

use std::collections::BTreeMap;

use isotherm_load::scenario::{Measured, Now, Outside, ROOMS, Truth};
use serde_json::{Map, Value, json};

use super::days::yesterday_in_berlin;
use crate::support::readings::{DAY, MINUTE, celsius, instant};

/// An answer, and what it is to be compared with.
pub(super) struct Answer<'a> {
    pub(super) text: &'a str,
    pub(super) truth: &'a Truth,
    /// Whether it is the part of an answer that the document shows.
    pub(super) is_excerpt: bool,
}

impl Answer<'_> {
    fn json(&self) -> Value {
        serde_json::from_str(self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn list(&self, name: &str) -> Vec<Value> {
        let answer = self.json();
        let list = answer[name].as_array();
        list.unwrap_or_else(|| panic!("no {name} in {}", self.text)).clone()
    }

    /// `found` has these facts: all of them, or in an excerpt at least one, and no others.
    #[track_caller]
    fn check(&self, found: &Value, facts: &Value) {
        let facts = facts.as_object().unwrap();
        let found = found.as_object().unwrap_or_else(|| panic!("no object: {found}"));
        for (name, fact) in facts {
            match found.get(name) {
                Some(value) => assert!(is_same(value, fact), "{name} is {value}, not {fact}"),
                None => assert!(self.is_excerpt, "no {name} in {found:?}"),
            }
        }
        if self.is_excerpt {
            let other: Vec<_> = found.keys().filter(|name| !facts.contains_key(*name)).collect();
            assert!(other.is_empty() && !found.is_empty(), "not checked: {other:?}");
        }
    }

    /// `found` are these items, told apart by the field `key`: all of them, or in an excerpt
    /// some.
    #[track_caller]
    fn check_list(&self, found: &[Value], facts: &[Value], key: &str) {
        for item in found {
            let of_item = facts.iter().find(|fact| fact[key] == item[key]);
            self.check(item, of_item.unwrap_or_else(|| panic!("{item} is not among {facts:?}")));
        }
        let is_whole = found.len() == facts.len() || (self.is_excerpt && !found.is_empty());
        assert!(is_whole, "{} of {}: {found:?}", found.len(), facts.len());
    }

    /// The samples of the metrics have these values, and those of their names are no others.
    #[track_caller]
    fn check_samples(&self, facts: &BTreeMap<String, f64>) {
        let samples = samples(self.text);
        let is_meant = |sample: &&String| {
            let name = sample.split('{').next();
            facts.keys().any(|fact| fact.split('{').next() == name)
        };
        for sample in samples.keys().filter(is_meant) {
            assert!(facts.contains_key(sample), "{sample} is not to be there");
        }
        for (sample, fact) in facts {
            match samples.get(sample) {
                Some(value) => {
                    assert!((value - fact).abs() < 1e-3, "{sample} is {value}, not {fact}")
                }
                None => assert!(self.is_excerpt, "no {sample}"),
            }
        }
        assert!(samples.keys().any(|sample| facts.contains_key(sample)), "{samples:?}");
    }
}

/// Averages are rounded once, where they are divided.
fn is_same(value: &Value, fact: &Value) -> bool {
    match (value.as_f64(), fact.as_f64()) {
        (Some(value), Some(fact)) => (value - fact).abs() < 1e-3,
        _ => value == fact,
    }
}

/// The samples of metrics, with their labels in the order of their names.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| line.starts_with("isotherm_"));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let pairs = labels.map(|label| label.split_once('=').unwrap());
        let pairs: Vec<_> = pairs.map(|(name, value)| (name, value.trim_matches('"'))).collect();
        (sample_name(name, &pairs), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

fn sample_name(name: &str, labels: &[(&str, &str)]) -> String {
    let sorted: BTreeMap<_, _> = labels.iter().copied().collect();
    format!("{name}{sorted:?}")
}

/// "What is it now, and which sensor is warmest?"
pub(super) fn now(answer: &Answer<'_>) {
    let regions = answer.list("regions");
    let facts: Vec<Value> = answer
        .truth
        .now
        .iter()
        .map(|now| {
            let found = regions.iter().find(|region| region["region"] == now.region);
            facts_now(now, found.unwrap_or(&Value::Null))
        })
        .collect();
    answer.check_list(&regions, &facts, "region");
}

fn facts_now(now: &Now, found: &Value) -> Value {
    // Of two that are equally warm, either may be named.
    let named = |field: &str, most: &Measured| {
        let equal = now.newest.iter().filter(|it| it.millicelsius == most.millicelsius);
        let named = equal.clone().find(|it| found[field] == it.device_id.as_str());
        named.unwrap_or(most).clone()
    };
    let (warmest, coldest) =
        (named("warmest_device", &now.warmest), named("coldest_device", &now.coldest));
    let room = ROOMS.iter().find(|room| room.region == now.region).unwrap();
    let (low, high) = room.limits.unzip();
    json!({
        "region": now.region,
        "latest_average_c": now.sum as f64 / now.devices as f64 / 1_000.0,
        "latest_devices": now.devices,
        "warmest_device": warmest.device_id, "warmest_c": celsius(warmest.millicelsius),
        "warmest_at": instant(warmest.at),
        "coldest_device": coldest.device_id, "coldest_c": celsius(coldest.millicelsius),
        "coldest_at": instant(coldest.at),
        "silent_devices": now.silent.len(), "silent": now.silent,
        "low_c": low.map(celsius), "high_c": high.map(celsius), "within_limits": now.within,
    })
}

/// "Warmest yesterday?"
pub(super) fn warmest_yesterday(answer: &Answer<'_>) {
    let (from, to) = yesterday_in_berlin(answer.truth.end);
    let region = "freezer-east";
    let here: Vec<&Measured> = answer.truth.standing_in(region, from, to).collect();
    let warmest = answer.truth.warmest(region, from, to).unwrap();
    let coldest = here.iter().map(|it| it.millicelsius).min().unwrap();
    let facts = json!({
        "region": region, "from": instant(from), "to": instant(to), "count": here.len(),
        "sum_millicelsius": here.iter().map(|it| it.millicelsius).sum::<i64>(),
        "min_c": celsius(coldest), "max_c": celsius(warmest.millicelsius),
    });
    answer.check(&answer.json(), &facts);
}

/// "For how long above -18?"
pub(super) fn for_how_long(answer: &Answer<'_>) {
    let (from, to) = yesterday_in_berlin(answer.truth.end);
    let of_day =
        |it: &&Outside| it.region == "freezer-north" && it.begin < to && it.end.unwrap() > from;
    let outside: Vec<&Outside> = answer.truth.outside.iter().filter(of_day).collect();
    // One door: where one sensor is outside, the others of them are at the same time.
    let facts: Vec<Value> = outside
        .iter()
        .map(|it| it.begin)
        .min()
        .map(|begin| {
            let end = outside.iter().filter_map(|it| it.end).max().unwrap();
            let minutes = answer.truth.minutes_outside("freezer-north").len();
            assert_eq!(end - begin, i64::try_from(minutes).unwrap() * 60_000);
            let worst = outside.iter().max_by_key(|it| it.extreme).unwrap();
            json!({
                "begin": instant(begin), "end": instant(end), "duration_ms": end - begin,
                "extreme_c": celsius(worst.extreme), "extreme_device": worst.device_id,
                "readings": outside.iter().map(|it| it.readings).sum::<i64>(),
                "devices": outside.len(), "gaps": 0,
            })
        })
        .into_iter()
        .collect();
    answer.check_list(&answer.list("excursions"), &facts, "begin");
}

/// "Which sensor is silent?"
pub(super) fn silent(answer: &Answer<'_>) {
    let silent = answer.truth.silent.iter().map(|it| {
        json!({
            "device_id": it.device_id, "region": it.region, "newest": instant(it.since),
            "expected_interval_ms": 60_000, "silent_after_ms": 180_000, "silent": true,
        })
    });
    let silent: Vec<Value> = silent.collect();
    answer.check_list(&answer.list("devices"), &silent, "device_id");
}

/// "A call when …?": what the alerts rest on.
pub(super) fn alerts(answer: &Answer<'_>) {
    let name = "isotherm_region_outside_limits";
    let limited = answer.truth.now.iter().filter_map(|now| Some((now.region, now.within?)));
    let outside = limited.map(|(region, within)| {
        (sample_name(name, &[("region", region)]), f64::from(u8::from(!within)))
    });
    answer.check_samples(&outside.collect());
    let silent = |region, device| {
        sample_name("isotherm_device_silent", &[("device_id", device), ("region", region)])
    };
    let samples = samples(answer.text);
    let found: Vec<&String> = samples
        .iter()
        .filter(|(name, value)| name.starts_with("isotherm_device_silent") && **value > 0.0)
        .map(|(name, _)| name)
        .collect();
    let facts: Vec<String> =
        answer.truth.silent.iter().map(|it| silent(it.region, &it.device_id)).collect();
    assert!(found.iter().all(|name| facts.contains(name)), "{found:?} and not {facts:?}");
    assert!(answer.is_excerpt || found.len() == facts.len(), "{found:?} and not {facts:?}");
}

/// "Grafana?": what its first row shows.
pub(super) fn grafana(answer: &Answer<'_>) {
    let of_room = |now: &Now| {
        let average = now.sum as f64 / now.devices as f64 / 1_000.0;
        let values = [
            ("average", average),
            ("max", celsius(now.warmest.millicelsius)),
            ("min", celsius(now.coldest.millicelsius)),
        ];
        values.map(|(stat, value)| {
            let labels = [("region", now.region), ("stat", stat)];
            (sample_name("isotherm_region_temperature_celsius", &labels), value)
        })
    };
    answer.check_samples(&answer.truth.now.iter().flat_map(of_room).collect());
}

/// "Last month, raw, for the inspector?"
pub(super) fn raw(answer: &Answer<'_>) {
    let mut rows = csv::Reader::from_reader(answer.text.as_bytes());
    let header = rows.headers().unwrap().clone();
    assert_eq!(
        header.iter().collect::<Vec<_>>(),
        ["timestamp", "device_id", "region", "temperature_c"]
    );
    let mut found = BTreeMap::new();
    for row in rows.records() {
        let row = row.unwrap();
        let temperature: f64 = row[3].parse().unwrap();
        let key = (row[1].to_owned(), row[0].to_owned(), row[2].to_owned());
        found.insert(key, temperature);
    }
    let (from, to) = (answer.truth.end - 30 * DAY, answer.truth.end + 1);
    let facts: BTreeMap<_, _> = answer
        .truth
        .standing_in("freezer-north", from, to)
        .map(|it| {
            let at = instant(it.at).as_str().unwrap().to_owned();
            ((it.device_id.clone(), at, it.region.to_owned()), celsius(it.millicelsius))
        })
        .collect();
    let other = found.iter().find(|(key, value)| facts.get(*key) != Some(*value));
    assert_eq!(other, None, "is not true");
    assert!(answer.is_excerpt || found.len() == facts.len(), "{} rows", found.len());
}

/// "Delete the typo region, rename the sensor, void the 85?": what stands afterwards.
pub(super) fn what_stands(regions: &Answer<'_>) {
    let rooms = regions.truth.totals.rooms.iter().map(
        |(region, (count, sum))| json!({"region": region, "count": count, "sum_millicelsius": sum}),
    );
    regions.check_list(&regions.list("regions"), &rooms.collect::<Vec<_>>(), "region");
}

/// "Which of my boards is rejected, and why?"
pub(super) fn rejections(answer: &Answer<'_>) {
    let clock = &answer.truth.clock;
    let records = answer.list("rejections");
    let mut count = 0;
    for record in &records {
        let facts = json!({
            "device_id": clock.device_id, "region": "loading-bay", "reason": "in_future",
        });
        let facts = facts.as_object().unwrap();
        let record = record.as_object().unwrap();
        let told: Map<String, Value> =
            record.clone().into_iter().filter(|(name, _)| facts.contains_key(name)).collect();
        assert_eq!(&told, facts);
        assert!(record["detail"].as_str().unwrap().contains("clock"), "{record:?}");
        // A record may stand for others that were not kept.
        count += record.get("stands_for").map_or(1, |number| number.as_i64().unwrap());
    }
    assert!(count == clock.rejected || (answer.is_excerpt && count > 0), "{count} rejected");
}

/// "Disk, and wear of the card, in a year?"
pub(super) fn disk(answer: &Answer<'_>) {
    let status = answer.json();
    // To the minute.
    let oldest = answer.truth.standing.first().unwrap().at;
    assert_eq!(status["oldest_reading"], instant(oldest - oldest.rem_euclid(MINUTE)));
    let number = |name: &str| {
        let number = status[name].as_f64();
        number.unwrap_or_else(|| panic!("{name} is no number in {status}"))
    };
    // 40 sensors a minute: at least five bytes a reading stay, and more are written.
    let a_day = 40.0 * 1_440.0;
    assert!(number("database_bytes") > 5.0 * 2.0 * a_day, "{status}");
    let (growth, flash) = (number("growth_bytes_per_day"), number("written_bytes_per_day"));
    assert!((5.0 * a_day..100.0 * a_day).contains(&growth), "{growth} bytes a day");
    assert!(flash > growth, "{flash} bytes written a day");
    let forecast = number("forecast_bytes_in_a_year");
    assert!(forecast > 100.0 * growth && forecast < 500.0 * growth, "{forecast} bytes in a year");
}

/// "Back up, every day?"
pub(super) fn backup(answer: &Answer<'_>) {
    let line = answer.text.trim();
    let (_, counts) = line.rsplit_once(": ").unwrap_or_else(|| panic!("no counts: {line}"));
    let counted = counts.split(", ").find_map(|part| part.strip_suffix(" readings counted"));
    let counted: i64 = counted.unwrap_or_else(|| panic!("{counts}")).parse().unwrap();
    // Those that stand: what was withdrawn is kept beside them.
    assert_eq!(counted, i64::try_from(answer.truth.standing.len()).unwrap(), "{line}");
}
