//! Documents and text: links, line ends, and the log's messages that the manual names.

use isotherm_it::root;

use crate::support::sources::sources;

#[test]
fn text_ends_in_one_newline_and_no_line_in_a_space() {
    for extension in ["rs", "toml", "md", "sql", "wit", "yml"] {
        for (path, text) in sources(extension) {
            let end = text.ends_with('\n') && !text.ends_with("\n\n");
            assert!(end, "{} does not end in one newline", path.display());
            let trailing = text.lines().position(|line| line.ends_with([' ', '\t']));
            assert_eq!(trailing, None, "{} has a space at a line's end", path.display());
        }
    }
}

#[test]
fn the_log_says_what_the_operations_manual_names() {
    let manual = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let table = manual.split("## What the log says of the node").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let code: String = sources("rs")
        .into_iter()
        .filter(|(path, _)| !path.starts_with(root().join("tests")))
        .map(|(_, source)| source)
        .collect();
    let mut count = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let messages = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        for message in messages {
            // What is in a message by its occasion comes after its first words.
            let words = message.split('…').max_by_key(|words| words.len()).unwrap();
            let words: String = words.chars().take(24).collect();
            assert!(code.contains(words.trim()), "nobody logs {message:?}");
            count += 1;
        }
    }
    assert!(count > 15, "{count} messages");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in sources("md") {
        let directory = path.parent().unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(directory.join(target).exists(), "{}: {target}", path.display());
        }
    }
}
