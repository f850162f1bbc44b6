//! `docs/questions.md` as it is run.

use std::process::Command;

use isotherm::UnixMillis;
use isotherm_it::{Service, root};

use crate::support::readings::DAY;

/// The document.
pub(super) struct Document {
    /// The seed and the end of the scenario whose answers it shows.
    pub(super) seed: u64,
    pub(super) end: i64,
    pub(super) questions: Vec<Question>,
}

/// A heading and what stands below it.
pub(super) struct Question {
    pub(super) title: String,
    /// Its text.
    pub(super) text: String,
    /// What one types; empty where a document answers.
    pub(super) command: String,
    /// What comes of it, in part.
    pub(super) answer: String,
}

/// The first block of code in one of these languages.
fn block(text: &str, languages: &[&str]) -> String {
    let fences = text.split("\n```").skip(1).step_by(2);
    let mut blocks = fences.filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(language, _)| languages.contains(language));
    found.map(|(_, code)| code.to_owned()).unwrap_or_default()
}

/// What stands behind `option` in `text`.
fn argument<'a>(text: &'a str, option: &str) -> &'a str {
    let rest = text.split_once(option).unwrap_or_else(|| panic!("no {option}")).1;
    rest.split_whitespace().next().unwrap()
}

/// Reads the document.
pub(super) fn read() -> Document {
    let text = std::fs::read_to_string(root().join("docs/questions.md")).unwrap();
    let (head, rest) = text.split_once("\n## ").unwrap();
    let questions = rest.split("\n## ").map(|section| {
        let (title, text) = section.split_once('\n').unwrap();
        Question {
            title: title.to_owned(),
            text: text.to_owned(),
            command: block(text, &["sh"]),
            answer: block(text, &["json", "text", "csv"]),
        }
    });
    Document {
        seed: argument(head, "--seed").parse().unwrap(),
        end: UnixMillis::parse_rfc3339(argument(head, "--now")).unwrap().get(),
        questions: questions.collect(),
    }
}

/// The date of an instant in UTC.
fn date(at: i64) -> String {
    UnixMillis::new(at).unwrap().to_string()[..10].to_owned()
}

impl Document {
    /// Runs a question's command as it stands there, but against `service`, on its stores,
    /// and for the days before `end`. Returns what it prints.
    pub(super) fn run(&self, question: &Question, service: &Service, end: i64) -> String {
        let directory = service.directory();
        // An error is one.
        std::fs::write(directory.join(".curlrc"), "fail-with-body\nmax-time = 60\n").unwrap();
        let mut command = question
            .command
            .replace("http://127.0.0.1:3000", service.sender().url())
            .replace(".spin", directory.to_str().unwrap());
        for days in [0, 1] {
            command = command.replace(&date(self.end - days * DAY), &date(end - days * DAY));
        }
        let output = Command::new("sh")
            .args(["-e", "-c", &command])
            .current_dir(root())
            .env("CURL_HOME", directory)
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}\nfailed: {printed}{said}");
        printed
    }
}
