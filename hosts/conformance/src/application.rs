//! A check of the application itself, for what no single call shows: on a host that
//! bound doubles, it answered 103 of 150 readings with status 200.

use isotherm::UnixMillis;
use isotherm::api::{readings, router};
use isotherm::host::Host;
use isotherm::http::{Header, Request};
use isotherm::limits;
use serde_json::{Value, json};

use crate::check::{Check, Outcome, equal, holds};

/// A time after the release, in Unix milliseconds: the middle of a minute.
const NOW: i64 = 1_900_000_000_000;

pub(crate) fn checks<H: Host>() -> Vec<Check<H>> {
    vec![
        Check { name: "every_reading_is_counted_once_in_every_answer", run: counts },
        Check { name: "events_come_step_by_step_until_they_end", run: streams },
    ]
}

/// 150 readings over three hours, in two regions.
fn readings() -> Value {
    let reading = |n: i64| {
        json!({
            "device_id": format!("d{}", n % 7), "region": if n % 3 == 0 { "hall" } else { "yard" },
            "temperature_c": (n * 37 % 400) as f64 / 8.0 - 10.0, "timestamp": NOW - n * 72_000,
        })
    };
    Value::Array((0..150).map(reading).collect())
}

fn counts<H: Host>(host: &H) -> Outcome {
    let now = UnixMillis::new(NOW).ok_or("a time")?;
    let body = readings().to_string();
    for (stored, duplicate) in [(150, 0), (0, 150)] {
        let request = Request::post("/v1/readings").with(Header::Prefer, "wait");
        let answer = readings::post(host, &request, body.as_bytes(), now).response;
        equal("status", answer.status.as_u16(), 200)?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
        equal(
            "outcome",
            json!([answer["stored"], answer["duplicates"]]),
            json!([stored, duplicate]),
        )?;
    }
    let range = format!("?from={}&to={}", NOW - 4 * 3_600_000, NOW + 60_000);
    for (path, list, expected) in [
        ("/v1/regions", "regions", 150),
        (&*format!("/v1/regions{range}"), "regions", 150),
        (&*format!("/v1/regions/hall/windows{range}"), "windows", 50),
        (&*format!("/v1/regions/yard/windows{range}&step=7m"), "windows", 100),
        ("/v1/regions/yard/devices", "devices", 100),
    ] {
        let answer = router::answer(host, &Request::get(path), now).response;
        equal(path, answer.status.as_u16(), 200)?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
        let rows = answer[list].as_array().ok_or("no list")?;
        let counted = rows.iter().filter_map(|row| row["count"].as_i64()).sum::<i64>();
        equal(path, counted, expected)?;
    }
    Ok(())
}

fn streams<H: Host>(host: &H) -> Outcome {
    let now = UnixMillis::new(NOW).ok_or("a time")?;
    let request = Request::get("/v1/events");
    let (opened, ..) = router::events(host, &request, now).ok_or("no route")?;
    equal("status", opened.response.status.as_u16(), 200)?;
    let mut stream = opened.stream.ok_or("no stream")?;
    let first = stream.step(now);
    holds("the first step has no event", first.text.starts_with("event: readings\ndata: "))?;
    holds("it ends at once", first.goes_on)?;
    stream.leave();
    // A place is free again.
    for _ in 0..=limits::EVENT_STREAMS_MAX {
        let (opened, ..) = router::events(host, &request, now).ok_or("no route")?;
        opened.stream.ok_or("a place was not given back")?.leave();
    }
    Ok(())
}
