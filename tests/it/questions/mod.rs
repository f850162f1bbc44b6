//! The questions of `docs/questions.md`: each is asked of a running service as it is written
//! there, and answered with the right figure of the scenario. The answers that the document
//! shows are right for the scenario that it names.

mod answers;
mod days;
mod document;
mod on_page;

use std::panic::{AssertUnwindSafe, catch_unwind};

use isotherm_it::{Service, now_ms, root};
use isotherm_load::scenario::{self, Scenario, Truth};
use serde_json::json;

use self::answers::Answer;
use self::document::{Document, Question};
use crate::support::readings::{MINUTE, celsius, json_reading};
use crate::support::service::{Expect as _, until};

type Check = fn(&Answer<'_>);

/// The questions in their order, and what their answers have to say. (What comes of
/// corrections is asked for afterwards, and who may write is said in a document.)
const QUESTIONS: [(&str, Option<Check>); 12] = [
    ("What is it now, and which sensor is warmest?", Some(answers::now)),
    ("Warmest yesterday?", Some(answers::warmest_yesterday)),
    ("For how long above -18?", Some(answers::for_how_long)),
    ("Which sensor is silent?", Some(answers::silent)),
    ("A call when a room is too warm, or a sensor silent?", Some(answers::alerts)),
    ("Grafana?", Some(answers::grafana)),
    ("Last month, raw, for the inspector?", Some(answers::raw)),
    (CORRECTIONS, None),
    ("Which of my boards is rejected, and why?", Some(answers::rejections)),
    ("Disk, and wear of the card, in a year?", Some(answers::disk)),
    ("Back up, every day?", Some(answers::backup)),
    ("Who may write?", None),
];

const CORRECTIONS: &str = "Delete the typo region, rename the sensor, void the 85?";

#[test]
fn the_document_has_each_question_with_a_request_and_a_place_on_the_page() {
    let document = document::read();
    let titles: Vec<&str> = document.questions.iter().map(|it| it.title.as_str()).collect();
    assert_eq!(titles, QUESTIONS.map(|(title, _)| title));
    for Question { title, text, command, .. } in &document.questions {
        assert!(text.contains("**On the page:**"), "{title}: where on the page?");
        let requests =
            command.matches("curl ").count() + command.matches("isotherm-backup").count();
        let expected = match title.as_str() {
            // Each part of the question is a request.
            CORRECTIONS => 4,
            "Who may write?" => 0,
            _ => 1,
        };
        assert_eq!(requests, expected, "{title}: requests");
    }
    let security = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let who = document.questions.last().unwrap();
    let quoted = who.text.split("**").find(|part| part.starts_with("Anyone")).unwrap();
    assert!(security.replace('\n', " ").contains(&quoted.replace('\n', " ")), "{quoted}");
}

#[test]
fn the_answers_in_the_document_are_those_of_its_scenario() {
    let document = document::read();
    let truth = scenario::scenario(document.seed, document.end).truth;
    let mut failures = Vec::new();
    for (question, (title, check)) in document.questions.iter().zip(QUESTIONS) {
        let Some(check) = check else { continue };
        let answer = Answer { text: &question.answer, truth: &truth, is_excerpt: true };
        // What its stores take differs from run to run.
        if !matches!(title, "Disk, and wear of the card, in a year?" | "Back up, every day?") {
            failures.extend(failure(title, || check(&answer)));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn each_question_has_one_request_with_the_right_answer() {
    let document = document::read();
    let (service, Scenario { truth, .. }) = service_with_the_scenario(document.seed);
    let mut failures = Vec::new();
    // First the corrections: the others are about what stands.
    let correction = document.questions.iter().find(|it| it.title == CORRECTIONS).unwrap();
    failures.extend(failure(CORRECTIONS, || correct(&document, correction, &service, &truth)));
    for (question, (title, check)) in document.questions.iter().zip(QUESTIONS) {
        let Some(check) = check else { continue };
        failures.extend(failure(title, || {
            let text = document.run(question, &service, truth.end);
            check(&Answer { text: &text, truth: &truth, is_excerpt: false });
        }));
    }
    // Later, all sensors are silent, and none of it is true any more.
    let took = now_ms() - truth.end;
    assert!(took < 2 * MINUTE, "the machine is too slow: {took} ms; {failures:?}");
    let (count, all) = (failures.len(), failures.join("\n"));
    assert!(failures.is_empty(), "{count} questions have no right answer:\n{all}");
}

/// What `body` fails with, after the question.
pub(crate) fn failure(title: &str, body: impl FnOnce()) -> Option<String> {
    let panicked = catch_unwind(AssertUnwindSafe(body)).err()?;
    let said = panicked.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panicked.downcast_ref::<&str>().copied());
    Some(format!("- {title}\n  {}", said.unwrap_or("no reason")))
}

/// A service that was just sent the scenario, and counted it.
fn service_with_the_scenario(seed: u64) -> (Service, Scenario) {
    let service = Service::start(&[]).unwrap();
    let text = std::fs::read_to_string(root().join("deploy/systemd/runtime-config.toml")).unwrap();
    let text = text
        .replace("/var/lib/isotherm/journal.db", service.journal_file().to_str().unwrap())
        .replace("/var/lib/isotherm/regions.db", service.regions_file().to_str().unwrap());
    std::fs::write(service.directory().join("runtime-config.toml"), text).unwrap();
    let scenario = scenario::scenario(seed, now_ms());
    send(&service, &scenario);
    (service, scenario)
}

/// Sends the scenario, and sets the limits of its rooms.
pub(crate) fn send(service: &Service, scenario: &Scenario) {
    let batches: Vec<_> = scenario.readings.chunks(1_000).map(<[_]>::to_vec).collect();
    let (mut accepted, mut rejected) = (0, 0);
    let mut rest = batches.as_slice();
    // Of requests that are the first to note what they rejected, at the same moment, one note may be
    // lost (`journal::noted`). So one of them comes alone.
    while let Some((first, others)) = rest.split_first().filter(|_| rejected == 0) {
        let totals = service.sender().deliver(first).unwrap();
        (accepted, rejected) = (accepted + totals.accepted, rejected + totals.rejected);
        rest = others;
    }
    let device = scenario.truth.clock.device_id.as_str();
    until("it is noted", || {
        service.get("/v1/rejections").ok()?.body.contains(device).then_some(())
    });
    let totals = service.sender().deliver_all(rest, 4).unwrap();
    let totals = (accepted + totals.accepted, rejected + totals.rejected);
    let facts = &scenario.truth.totals;
    let expected = [facts.accepted, facts.rejected].map(|count| usize::try_from(count).unwrap());
    assert_eq!([totals.0, totals.1], expected);
    service.settled();
    // Where the node keeps no limits, the questions about them say so.
    scenario::set_limits(service.sender()).unwrap();
}

/// Makes the corrections, and waits until what stands is right: they are made in steps.
fn correct(document: &Document, question: &Question, service: &Service, truth: &Truth) {
    document.run(question, service, truth.end);
    let stands = || {
        let regions = service.settled().to_string();
        let answer = Answer { text: &regions, truth, is_excerpt: false };
        failure("", || answers::what_stands(&answer))
    };
    let is_right = catch_unwind(AssertUnwindSafe(|| {
        until("what stands is right", || stands().is_none().then_some(()));
    }));
    assert!(is_right.is_ok(), "afterwards: {}", stands().unwrap_or_default());
    // Its old name answers with the new one.
    assert_eq!(service.read("/v1/devices/esp32-a4cf12")["device_id"], "t-20");
}

#[test]
fn a_value_that_is_never_to_be_counted_is_rejected_where_the_variable_says_so() {
    let service = Service::start(&[("void_values", "85,-127")]).unwrap();
    let truth = scenario::scenario(1, now_ms()).truth;
    let void: Vec<_> = truth
        .void
        .iter()
        .map(|it| json_reading(&it.device_id, it.region, celsius(it.millicelsius), it.at))
        .collect();
    let right = json_reading("t-12", "freezer-east", -20.5, truth.void[0].at - MINUTE);
    let told = service.accept(&json!([right, void[0], void[1]]));
    assert_eq!(told["accepted"], 1, "{told}");
    let rejected = told["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 2, "{told}");
    let regions = service.settled()["regions"].clone();
    assert_eq!(regions.as_array().unwrap().len(), 1, "{regions}");
    let region = &regions[0];
    assert_eq!((&region["count"], &region["max_c"]), (&json!(1), &json!(-20.5)));
}
