//! The interface's tables against its documents: routes, problems, reasons, variables and
//! metrics are each in the code, in `docs/api.md`, and wherever else they are told.

use std::collections::BTreeSet;

use isotherm::api::routes::Route;
use isotherm::http::Kind;
use isotherm::internals::domain::rejection::Reason;
use isotherm::internals::journal::QuarantineReason;
use isotherm_host::native::NativeHost;
use isotherm_it::{Service, root};
use serde_json::Value;

type Names = BTreeSet<String>;

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The part of `docs/api.md` below a heading.
fn section<'a>(api: &'a str, heading: &str) -> &'a str {
    let (_, rest) = api.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// What the first cells of a section's table name in backticks, without labels.
fn first_cells(section: &str) -> Names {
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let names = cells.flat_map(quoted).map(|name| name.split('{').next().unwrap().to_owned());
    names.collect()
}

/// `GET /v1/regions`, of every route: its first method and its pattern.
fn routes() -> Names {
    let all = Route::<NativeHost>::INGEST.into_iter().chain(Route::QUERY);
    all.map(|route| format!("{} {}", route.methods[0], route.pattern)).collect()
}

/// Files of the page, which are no part of the interface.
fn without_files(names: &Names) -> Names {
    names.iter().filter(|name| *name != "GET /assets/{name}").cloned().collect()
}

#[test]
fn every_route_is_documented_and_every_documented_route_exists() {
    let api = text("docs/api.md");
    let headings = api.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    let documented: Names = headings.map(ToOwned::to_owned).collect();
    assert_eq!(documented, without_files(&routes()));
}

#[test]
fn every_route_is_described_and_every_described_route_exists() {
    let description: Value = serde_json::from_str(&text("query/assets/openapi.json")).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let mut expected = without_files(&routes());
    // The page is for people.
    expected.remove("GET /");
    assert_eq!(operations.collect::<Names>(), expected);
}

#[test]
fn what_up_prints_are_routes() {
    let source = text("xtask/src/up.rs");
    let known = routes();
    let greeting = source.split("fn greet(").nth(1).unwrap();
    let lines = greeting.lines().map(|line| line.replace("{{", "{").replace("}}", "}"));
    let mut found = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        if method != "GET" && method != "POST" {
            continue;
        }
        for path in words.take_while(|word| word.starts_with('/')) {
            assert!(known.contains(&format!("{method} {path}")), "{method} {path} is no route");
            found += 1;
        }
    }
    assert!(found > 10, "{found} routes");
}

#[test]
fn every_kind_of_problem_is_documented_with_its_status() {
    let api = text("docs/api.md");
    let rows = section(&api, "Problems").lines().filter(|line| line.starts_with("| `"));
    // Above the rows the heading has one in backticks, too.
    let rows = rows.filter(|row| !row.contains("urn:"));
    let pair = |row: &str| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        format!("{} {}", cells.next().unwrap(), cells.next().unwrap())
    };
    let documented: Names = rows.map(pair).collect();
    let kinds = Kind::ALL.map(|kind| format!("{} {}", kind.code(), kind.status()));
    assert_eq!(documented, kinds.into());
}

#[test]
fn every_reason_for_a_rejection_is_documented() {
    let api = text("docs/api.md");
    let below = section(&api, "`POST /v1/readings`");
    let table = below.split("| `reason` |").nth(1).unwrap();
    assert_eq!(first_cells(table), Reason::ALL.map(|reason| reason.code().to_owned()).into());
}

#[test]
fn every_reason_for_quarantine_is_documented() {
    let api = text("docs/api.md");
    let below = section(&api, "`GET /v1/quarantine`");
    for reason in QuarantineReason::ALL {
        assert!(below.contains(&format!("`{}`", reason.code())), "{}", reason.code());
    }
}

#[test]
fn every_variable_is_documented_with_its_default() {
    let manifest: toml::Table = text("spin.toml").parse().unwrap();
    let default = |value: &toml::Value| value["default"].as_str().unwrap().to_owned();
    let variables = manifest["variables"].as_table().unwrap().iter();
    let variables: Names = variables.map(|(name, v)| format!("{name} {}", default(v))).collect();
    let api = text("docs/api.md");
    let rows = section(&api, "Variables").lines().filter(|line| line.starts_with("| `"));
    let pairs = rows.flat_map(|row| {
        let mut cells = row.split('|').skip(1);
        let (names, defaults) = (cells.next().unwrap(), cells.next().unwrap());
        let pairs = quoted(names).zip(quoted(defaults));
        pairs.map(|(name, default)| format!("{name} {default}")).collect::<Vec<_>>()
    });
    assert_eq!(pairs.collect::<Names>(), variables);
}

#[test]
fn every_metric_is_documented() {
    let service = Service::start(&[]).unwrap();
    let metrics = service.get("/metrics").unwrap();
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    let types = metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: Names = types.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
    let api = text("docs/api.md");
    assert_eq!(first_cells(section(&api, "`GET /metrics`")), families);
}
