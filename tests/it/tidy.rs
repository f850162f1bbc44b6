//! The house rules, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isotherm_it::root;

use crate::support::sources::{sources, without_tests};

#[test]
fn every_file_opens_with_what_it_is() {
    for (path, source) in sources("rs") {
        assert!(source.starts_with("//! "), "{} opens without `//!`", path.display());
    }
}

/// Files that do one thing which takes more lines.
const LONG_FILES: [&str; 1] = ["shared/src/limits.rs"];

#[test]
fn files_are_short_enough_to_be_read() {
    for (path, source) in sources("rs") {
        let lines = without_tests(&source).lines().count();
        let is_long = LONG_FILES.iter().any(|long| path.ends_with(long));
        assert!(lines <= if is_long { 450 } else { 350 }, "{} has {lines} lines", path.display());
        assert!(!is_long || lines > 350, "{} is short by now", path.display());
    }
}

/// How many lines each function of a source has, as rustfmt writes them.
fn function_lengths(source: &str) -> Vec<usize> {
    let lines: Vec<&str> = source.lines().collect();
    let mut lengths = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let begin = code.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let begin = begin.trim_start_matches("pub ").trim_start_matches("const ");
        if !begin.trim_start_matches("async ").starts_with("fn ") || line.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(line.len() - code.len()));
        let length = match line.ends_with('}') {
            true => Some(1),
            false => lines[first..].iter().position(|line| *line == end).map(|last| last + 1),
        };
        lengths.extend(length);
    }
    lengths
}

#[test]
fn functions_are_short() {
    let sources = sources("rs");
    let mut lengths: Vec<usize> = sources.iter().flat_map(|(_, s)| function_lengths(s)).collect();
    lengths.sort_unstable();
    assert!(lengths.len() > 1_500, "{} functions", lengths.len());
    let (median, ninth) = (lengths[lengths.len() / 2], lengths[lengths.len() / 10 * 9]);
    assert!(median < 15 && ninth < 40, "the median has {median} lines, nine in ten {ninth}");
}

/// Files that are the roots of programs and libraries.
const ROOTS: [&str; 4] = ["main.rs", "lib.rs", "mod.rs", "examples/database.rs"];

#[test]
fn every_file_of_the_tests_is_a_module() {
    let tests = root().join("tests/it");
    let all = sources("rs");
    for (path, _) in all.iter().filter(|(path, _)| path.starts_with(&tests)) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let declared = format!("mod {name};");
        let siblings = all.iter().filter(|(other, _)| other.parent() == path.parent());
        let is_declared = siblings.into_iter().any(|(_, source)| source.contains(&declared));
        let is_root = ROOTS.iter().any(|root| path.ends_with(root));
        assert!(is_declared || is_root, "{} is in no `mod`, and never run", path.display());
    }
}

#[test]
fn nothing_is_left_for_later_and_no_error_is_swallowed() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "let _ =", "#[ignore"];
    for (path, source) in sources("rs") {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        for (number, line) in source.lines().enumerate() {
            let found = marks.iter().find(|mark| line.contains(*mark));
            assert_eq!(found, None, "{}:{}", path.display(), number + 1);
        }
    }
}

/// `drop(result)` lets an error go without a word. `best_effort` says that it may, and
/// the call why. Streams are dropped before the body that they belong to.
#[test]
fn no_result_is_dropped_in_the_application() {
    for (path, source) in sources("rs") {
        let of_application = ["shared", "ingest", "query", "inspect"]
            .iter()
            .any(|name| path.starts_with(root().join(name)));
        if !of_application {
            continue;
        }
        for (number, line) in without_tests(&source).lines().enumerate() {
            let dropped = line.replace("drop(stream)", "").contains("drop(");
            let mapped = line.contains("(drop)");
            assert!(!dropped && !mapped, "{}:{}", path.display(), number + 1);
        }
    }
}

#[test]
fn the_application_knows_no_sdk_and_no_target() {
    for (path, source) in sources("rs") {
        let in_shared = path.starts_with(root().join("shared"));
        if in_shared {
            assert!(!source.contains("spin_sdk"), "{} knows the SDK", path.display());
            assert!(!source.contains("wasi::"), "{} knows WASI", path.display());
            // The one feature: signatures that few need.
            let source = source.replace("#[cfg(feature = \"es256\")]", "");
            for word in ["target_family", "target_arch", "target_os", "cfg(feature"] {
                assert!(!source.contains(word), "{} knows {word}", path.display());
            }
        }
    }
}

/// The places below `shared/src`, from the ground up, and what each may import: only what
/// stands before it. A new pair is a decision about the structure.
const MAY_IMPORT: [(&str, &[&str]); 19] = [
    ("base", &[]),
    ("host", &[]),
    ("limits", &[]),
    ("domain", &["base", "limits"]),
    ("error", &["host", "limits"]),
    ("wire", &["base", "domain", "limits"]),
    ("sources", &["base", "domain", "wire", "limits"]),
    // A refusal logs what is wrong with the node before it becomes an answer.
    ("http", &["domain", "error", "host", "limits"]),
    ("access", &["base", "domain", "http", "limits", "wire"]),
    ("settings", &["domain", "error", "host", "limits"]),
    ("resilience", &["domain", "error", "host", "limits"]),
    ("journal", &["base", "domain", "error", "host", "limits", "resilience", "settings"]),
    ("ledger", &["base", "domain", "error", "host", "limits", "resilience"]),
    ("fold", &["domain", "error", "host", "journal", "ledger", "limits", "settings"]),
    (
        "upkeep",
        &[
            "domain",
            "error",
            "fold",
            "host",
            "journal",
            "ledger",
            "limits",
            "resilience",
            "settings",
        ],
    ),
    (
        "exchange",
        &["access", "base", "domain", "error", "host", "ledger", "limits", "upkeep", "wire"],
    ),
    (
        "read",
        &[
            "access",
            "base",
            "domain",
            "error",
            "fold",
            "host",
            "journal",
            "ledger",
            "limits",
            "resilience",
            "settings",
            "upkeep",
        ],
    ),
    ("log", &["domain", "http"]),
    (
        "api",
        &[
            "access",
            "base",
            "domain",
            "error",
            "exchange",
            "fold",
            "host",
            "http",
            "journal",
            "ledger",
            "limits",
            "log",
            "read",
            "resilience",
            "settings",
            "sources",
            "upkeep",
            "wire",
        ],
    ),
];

/// Where JSON is written or read beside `wire` and `api`: problems and documents; the last
/// good averages, which are stored as JSON; the log's lines.
const JSON: [&str; 4] = ["wire/", "http/", "read/last_good.rs", "log.rs"];

#[test]
fn below_api_few_places_know_json_and_http() {
    let shared = root().join("shared/src");
    for (path, source) in sources("rs") {
        let Ok(below) = path.strip_prefix(&shared) else { continue };
        let (below, code) = (below.to_str().unwrap(), without_tests(&source));
        if below.starts_with("api/") {
            continue;
        }
        let knows_json = code.contains("serde_json::");
        let may_json = JSON.iter().any(|place| below.starts_with(place));
        assert!(!knows_json || may_json, "{below} knows serde_json");
        let knows_http = code.contains("\nuse http::");
        let may_http = below.starts_with("http/") || below == "log.rs";
        assert!(!knows_http || may_http, "{below} knows HTTP");
    }
}

#[test]
fn paths_begin_at_the_crate() {
    let shared = root().join("shared/src");
    for (path, source) in sources("rs").iter().filter(|(path, _)| path.starts_with(&shared)) {
        assert!(!source.contains("super::super"), "{} hides an import", path.display());
    }
}

/// What a file of this crate names of it: the first parts of its `crate::` paths.
fn imports(source: &str) -> BTreeSet<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    paths.map(|path| path.split(|c| !is_part_of_a_name(c)).next().unwrap_or_default()).collect()
}

#[test]
fn imports_go_from_the_top_to_the_ground() {
    let shared = root().join("shared/src");
    let mut found = BTreeSet::new();
    for (path, source) in sources("rs") {
        let Ok(below) = path.strip_prefix(&shared) else { continue };
        if below == Path::new("lib.rs") {
            continue;
        }
        let place = below.components().next().unwrap().as_os_str().to_str().unwrap();
        let place = place.trim_end_matches(".rs");
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == place);
        let (place, allowed) = allowed.unwrap_or_else(|| panic!("{place} is in no place"));
        for import in imports(&source) {
            let file = below.display();
            assert_ne!(import, "", "{file}: a list behind `use crate::` hides what it imports");
            if import != *place {
                let name = allowed.iter().find(|name| **name == import);
                let name = name.unwrap_or_else(|| panic!("{file} may not import {import}"));
                found.insert((*place, *name));
            }
        }
    }
    for (index, (place, allowed)) in MAY_IMPORT.iter().enumerate() {
        for name in *allowed {
            let is_below = MAY_IMPORT.iter().take(index).any(|(below, _)| below == name);
            assert!(is_below, "{name} is not below {place}");
            assert!(found.contains(&(*place, *name)), "{place} does not import {name}");
        }
    }
}

/// The files of a place that a file of it names: `crate::journal::keys` in `journal`.
fn siblings(place: &str, source: &str) -> BTreeSet<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let prefix = format!("crate::{place}::");
    let paths = code.flat_map(|line| line.split(&prefix).skip(1).map(ToOwned::to_owned));
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    paths.map(|path| path.split(|c| !is_part_of_a_name(c)).next().unwrap().to_owned()).collect()
}

#[test]
fn no_two_files_of_a_place_need_each_other() {
    let shared = root().join("shared/src");
    let mut imports = BTreeMap::new();
    for (path, source) in sources("rs") {
        let Ok(below) = path.strip_prefix(&shared) else { continue };
        let parts: Vec<&str> = below.iter().map(|part| part.to_str().unwrap()).collect();
        if let [place, file] = parts[..] {
            let name = file.trim_end_matches(".rs");
            let mut found = siblings(place, without_tests(&source));
            found.remove(name);
            imports.insert((place.to_owned(), name.to_owned()), found);
        }
    }
    // A file that needs no other one of those that are left can go; a circle can't.
    let mut left: BTreeSet<_> = imports.keys().filter(|(_, name)| name != "mod").cloned().collect();
    while let Some(free) = left.iter().find(|(place, name)| {
        let needed = &imports[&(place.clone(), name.clone())];
        needed.iter().all(|other| !left.contains(&(place.clone(), other.clone())))
    }) {
        let free = free.clone();
        left.remove(&free);
    }
    assert!(left.is_empty(), "these are, or need, a circle: {left:?}");
}
