//! The README's examples, run as they are written and in their order, give the answers that it
//! shows; and what it says beside them, of the page and of the alert, is there.

use std::process::Command;

use isotherm::UnixMillis;
use isotherm_it::{Service, now_ms, root};
use serde_json::Value;

use crate::support::readings::instant;

/// What the README writes for the time at which its readings are sent.
const SHOWN_TIME: &str = "2026-11-26T05:30:00.000Z";

/// The code blocks in their order, each with its language.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// The heading of the section that has a node of its own.
const ACCESS: &str = "Turn on access control";

/// The part of the README below a heading.
fn section(heading: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The answer without what depends on the clock, and without what is random in a token.
fn timeless(text: &str) -> Value {
    let mut answer: Value = serde_json::from_str(text).unwrap();
    for field in ["first_seen", "newest", "made"] {
        if let Some(value) = answer.get_mut(field) {
            *value = Value::Bool(!value.is_null());
        }
    }
    if let Some(Value::String(token)) = answer.get_mut("token") {
        let random = token.split_off(token.len() - 43);
        assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    }
    answer
}

/// A shell in which the commands of the README are given one after the other.
struct Terminal {
    service: Service,
    /// The shell's variable `now`: Unix milliseconds.
    now: String,
}

impl Terminal {
    /// The status that a block's request is answered with, and what it prints.
    #[track_caller]
    fn run(&mut self, block: &str) -> (u16, String) {
        let here = block.replace("http://127.0.0.1:3000", self.service.sender().url());
        let script = format!(
            "curl() {{ command curl -w '%{{stderr}}%{{http_code}}\\n' \"$@\"; }}\n\
             {here}\necho \"$now\" >&2"
        );
        let mut shell = Command::new("sh");
        let output = shell.arg("-c").arg(script).env("now", &self.now).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        let [status, now] = lines[..] else { panic!("{told}") };
        self.now = now.to_owned();
        (status.parse().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// What the README shows, of the time at which its readings were sent.
    fn at_that_time(&self, shown: &str) -> String {
        shown.replace(SHOWN_TIME, instant(self.now.parse().unwrap()).as_str().unwrap())
    }

    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.service.sender().get(path).unwrap();
        (answer.status, answer.body)
    }

    /// The address of the chart opens a view that there is, and its region has the readings.
    fn check_chart(&self, readme: &str) {
        let address = readme.split("<http://127.0.0.1:3000/#/").nth(1).unwrap();
        let (kind, region) = address.split('>').next().unwrap().split_once('/').unwrap();
        let (status, page) = self.get("/");
        assert_eq!(status, 200);
        assert!(page.contains("<title>"), "{page}");
        let (status, program) = self.get("/assets/app.js");
        assert_eq!(status, 200);
        let views = program.split("const NAMED = {").nth(1).unwrap().split('}').next().unwrap();
        assert!(views.contains(&format!("{kind}:")), "no view {kind} of {views}");
        let (_, windows) = self.get(&format!("/v1/regions/{region}/windows?from=-1h&step=2h"));
        let windows: Value = serde_json::from_str(&windows).unwrap();
        assert_eq!(windows["windows"][0]["count"], 2, "{windows}");
    }

    /// The job scrapes what the rule that the README names asks for, and the rule would fire.
    fn check_alert(&self, readme: &str, job: &str) {
        let rules = std::fs::read_to_string(root().join("deploy/observability/rules.yml")).unwrap();
        assert!(readme.contains("(deploy/observability/rules.yml)"));
        let rule = readme.split("Its rule\n`").nth(1).unwrap().split('`').next().unwrap();
        let rule = rules.split(&format!("- alert: {rule}\n")).nth(1).unwrap();
        let rule = rule.split("- alert: ").next().unwrap();
        assert!(rule.contains("isotherm_region_outside_limits[3m])) == 1"), "{rule}");
        assert!(rule.contains("for: 20m"), "{rule}");
        let name = job.split("job_name: ").nth(1).unwrap().lines().next().unwrap();
        assert!(rules.contains(&format!("job=\"{name}\"")), "no rule is about the job {name}");
        assert!(job.contains("[{ targets: [\"127.0.0.1:3000\"] }]"), "{job}");
        // Prometheus asks for /metrics where a job names no path.
        let (status, metrics) = self.get("/metrics");
        assert_eq!(status, 200);
        let outside = "isotherm_region_outside_limits{region=\"cold-room\"} 1";
        assert!(metrics.lines().any(|line| line == outside), "{metrics}");
    }
}

/// Asserts that all that is shown of an answer is in it. `path` is where in the answer it is.
#[track_caller]
fn check_shown(answer: &Value, shown: &Value, path: &str) {
    match shown {
        Value::Object(fields) => {
            for (name, value) in fields {
                let found = answer.get(name).unwrap_or_else(|| panic!("no {path}.{name}"));
                check_shown(found, value, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let found = answer.as_array().unwrap();
            assert_eq!(found.len(), items.len(), "{path}: {answer}");
            for (found, shown) in found.iter().zip(items) {
                check_shown(found, shown, path);
            }
        }
        _ => assert_eq!(answer, shown, "{path}"),
    }
}

/// What a command of the README prints, sent to the service.
fn printed(service: &Service, command: &str, environment: &[(&str, &str)]) -> String {
    let here = command.replace("http://127.0.0.1:3000", service.sender().url());
    let mut shell = Command::new("sh");
    let output = shell.arg("-c").arg(here).envs(environment.iter().copied()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_examples_of_the_readme_give_the_answers_that_it_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let readme = readme.replace(&section(ACCESS), "");
    let (example, shortened) = readme.split_once("answers are shortened").unwrap();
    let in_full = blocks(example).iter().filter(|(language, _)| *language == "json").count();
    let mut terminal = Terminal { service: Service::start(&[]).unwrap(), now: String::new() };
    let blocks = blocks(&readme);
    let mut answers = Vec::new();
    for (n, (language, block)) in blocks.iter().enumerate() {
        match *language {
            "sh" if block.contains("curl") => {
                let (status, answer) = terminal.run(block);
                assert_eq!(status, 200, "{block}{answer}");
                let (format, shown) = blocks[n + 1];
                let shown = terminal.at_that_time(shown);
                answers.push(format);
                if format == "csv" {
                    assert_eq!(answer.replace("\r\n", "\n"), shown);
                    continue;
                }
                let [answer, shown]: [Value; 2] =
                    [&answer, &shown].map(|text| serde_json::from_str(text).unwrap());
                match answers.len() <= in_full {
                    true => assert_eq!(answer, shown),
                    false => check_shown(&answer, &shown, ""),
                }
                if answers.len() == 2 {
                    terminal.check_chart(&readme);
                }
            }
            "yaml" => {
                terminal.check_alert(&readme, block);
                answers.push("alert");
            }
            _ => {}
        }
    }
    let expected = ["json", "json", "json", "alert", "json", "json", "csv"];
    assert_eq!(answers, expected, "{shortened}");
    // What the README says of the correction.
    let (_, excursions) = terminal.get("/v1/regions/cold-room/excursions");
    let excursions: Value = serde_json::from_str(&excursions).unwrap();
    assert_eq!(excursions["excursions"], Value::Array(Vec::new()));
}

#[test]
fn access_control_of_the_readme_is_turned_on_as_it_says() {
    let section = section(ACCESS);
    // As the first command makes it: tests/it/xtask_access.rs.
    let now = UnixMillis::new(now_ms()).unwrap();
    let (admin, line) = isotherm::new_token("admin", &[7; 32], &["admin"], None, now).unwrap();
    let service = Service::start(&[("auth", "on"), ("tokens", &line)]).unwrap();
    let of = |language: &str| -> Vec<&str> {
        blocks(&section)
            .into_iter()
            .filter(|(is, _)| *is == language)
            .map(|(_, block)| block)
            .collect()
    };
    let (commands, answers) = (of("sh"), of("json"));
    let [up, make, send] = commands[..] else { panic!("{} commands", commands.len()) };
    assert_eq!((up, answers.len()), ("cargo xtask up --auth\n", 2));

    let made = printed(&service, make, &[("ADMIN", &admin)]);
    assert_eq!(timeless(&made), timeless(answers[0]));
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    assert_eq!(timeless(&printed(&service, send, &[("TOKEN", token)])), timeless(answers[1]));
    // Nothing else, and nothing without it.
    let as_other = send.replace("\"door\"", "\"shelf\"");
    let refused = printed(&service, &as_other, &[("TOKEN", token)]);
    assert_eq!(timeless(&refused)["status"], 403, "{refused}");
    let refused = printed(&service, send, &[("TOKEN", "")]);
    assert_eq!(timeless(&refused)["status"], 401, "{refused}");
}
