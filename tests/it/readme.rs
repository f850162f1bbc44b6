//! The README's example, run as it is written, gives the answer that it shows.

use std::process::Command;

use isotherm_it::{Service, root};
use serde_json::Value;

/// The code blocks of a language, in their order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The answer without what depends on the clock.
fn timeless(text: &str) -> Value {
    let mut answer: Value = serde_json::from_str(text).unwrap();
    for field in ["first_seen", "newest"] {
        if let Some(value) = answer.get_mut(field) {
            *value = Value::Bool(!value.is_null());
        }
    }
    answer
}

#[test]
fn the_example_of_the_readme_gives_the_answer_that_it_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let service = Service::start(&[]).unwrap();
    let commands: Vec<&str> =
        blocks(&readme, "sh").into_iter().filter(|block| block.contains("curl")).collect();
    let answers = blocks(&readme, "json");
    assert_eq!((commands.len(), answers.len()), (2, 2));
    for (command, answer) in commands.iter().zip(answers) {
        let here = command.replace("http://127.0.0.1:3000", service.sender().url());
        let output = Command::new("sh").arg("-c").arg(here).output().unwrap();
        let actual = String::from_utf8(output.stdout).unwrap();
        assert_eq!(timeless(&actual), timeless(answer));
    }
}
