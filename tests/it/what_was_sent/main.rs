//! Every text of SQL in the sources went through libSQL's parser, and ran as that rendered it.
//!
//! The tests of `it` run each statement of a `Node` in this way (`support::libsql`), and note it in
//! the file that `ISOTHERM_STATEMENTS` names. This is looked through after them: cargo runs tests in
//! the order of their names. The texts of the sources are looked for in it. A text with `{}` stands
//! for any that has the same around it.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use isotherm_it::programs::variable;
use isotherm_it::root;

const VERBS: [&str; 13] = [
    "PRAGMA ", "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "CREATE ", "REPLACE ", "DROP ",
    "ALTER ", "BEGIN", "COMMIT", "ROLLBACK",
];

/// The literals in a source of Rust that begin like a statement, each as the parts between its
/// placeholders. Tests are left out.
fn texts(source: &str) -> Vec<Vec<String>> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut texts = Vec::new();
    let mut rest = source;
    while let Some(begin) = rest.find('"') {
        let (literal, after) = literal(&rest[begin + 1..]);
        rest = after;
        // Some begin with a part that is given to them.
        let begin = match literal.strip_prefix('{').and_then(|rest| rest.split_once("} ")) {
            Some((_, rest)) => rest,
            None => literal.as_str(),
        };
        if VERBS.iter().any(|verb| begin.starts_with(verb)) {
            let mut parts = literal.split('{');
            let first = parts.next().unwrap_or_default().to_owned();
            let others = parts.map(|part| part.split_once('}').unwrap_or_default().1.to_owned());
            texts.push([first].into_iter().chain(others).collect());
        }
    }
    texts
}

/// What a literal says whose first quote was read, and what comes after its last one.
fn literal(text: &str) -> (String, &str) {
    let (mut said, mut chars) = (String::new(), text.char_indices());
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return (said, &text[place + 1..]),
            '\\' => match chars.next() {
                // A line that is continued: what comes before its first word is not said.
                Some((_, '\n')) => {
                    let next = chars.clone().find(|(_, c)| !c.is_whitespace());
                    while next.is_some_and(|(next, _)| {
                        chars.clone().next().is_some_and(|(at, _)| at < next)
                    }) {
                        chars.next();
                    }
                }
                Some((_, escaped)) => said.push(escaped),
                None => break,
            },
            c => said.push(c),
        }
    }
    (said, "")
}

/// Whether the text is in the statement. (Some texts are parts of longer ones.)
fn is_in(statement: &str, parts: &[String]) -> bool {
    let mut rest = statement;
    for part in parts {
        let Some(place) = rest.find(part.as_str()) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}

fn sources(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A statement without comments and without what indents it.
fn plain(statement: &str) -> String {
    let lines = statement.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_text_of_sql_went_through_the_parser() {
    let sent = std::fs::read_to_string(variable("ISOTHERM_STATEMENTS")).unwrap();
    let sent: BTreeSet<&str> = sent.split('\0').collect();
    let (mut count, mut missing, mut files) = (0, Vec::new(), Vec::new());
    for directory in ["shared/src", "ingest/src", "query/src", "inspect/src", "sync/src"] {
        sources(&root().join(directory), &mut files);
    }
    for file in files {
        for parts in texts(&std::fs::read_to_string(&file).unwrap()) {
            count += 1;
            if !sent.iter().any(|statement| is_in(statement, &parts)) {
                missing.push(format!("{}: {}", file.display(), parts.join("{}")));
            }
        }
    }
    let plainly: BTreeSet<String> = sent.iter().map(|statement| plain(statement)).collect();
    for file in std::fs::read_dir(root().join("shared/schema")).unwrap() {
        let path = file.unwrap().path();
        // The oldest databases have what this made. A new one gets `current`, so it is never run.
        if path.ends_with("0001_ledger_and_windows.sql") {
            continue;
        }
        // As `ledger::schema` cuts them.
        let text = std::fs::read_to_string(&path).unwrap();
        for statement in text.split_inclusive(";\n").map(plain).filter(|one| !one.is_empty()) {
            count += 1;
            if !plainly.contains(&statement) {
                missing.push(format!("{}: {statement}", path.display()));
            }
        }
    }
    assert!(count > 200, "only {count} texts were found");
    assert_eq!(missing, Vec::<String>::new(), "no test has run these, of {count}");
}

#[test]
fn texts_are_found_and_told_apart() {
    let source = "let a = \"no\"; run(\"SELECT a \\\n    FROM {table} WHERE b = {} \\\n LIMIT 1\");
        format!(\"DELETE FROM {table}\") #[cfg(test)] \"SELECT 2\"";
    let found = texts(source);
    let parts = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        [parts(&["SELECT a FROM ", " WHERE b = ", " LIMIT 1"]), parts(&["DELETE FROM ", ""])]
    );
    assert!(is_in("SELECT a FROM t WHERE b = ?1 LIMIT 1", &found[0]));
    assert!(is_in("DELETE FROM t", &found[1]));
    assert!(is_in("WITH c AS (SELECT a FROM t WHERE b = ?1 LIMIT 1)", &found[0]));
    for other in ["SELECT a FROM t WHERE b = ?1", "SELECT b FROM t WHERE b = ?1 LIMIT 1", ""] {
        assert!(!is_in(other, &found[0]), "{other}");
    }
}
