//! The interface's tables against its documents: routes, problems, reasons, variables and
//! metrics are each in the code, in `docs/api.md`, and wherever else they are told.

use std::collections::BTreeSet;

use isotherm::api::readings::MEDIA_TYPES;
use isotherm::api::routes::{Route, Scope};
use isotherm::http::Kind;
use isotherm::internals::domain::rejection::Reason;
use isotherm::internals::journal::QuarantineReason;
use isotherm::internals::ledger::schema;
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

/// Fails with the names that only one of the two has.
fn assert_same(place: &str, told: &Names, known: &Names) {
    let missing: Vec<_> = known.difference(told).collect();
    let unknown: Vec<_> = told.difference(known).collect();
    assert!(missing.is_empty(), "missing from {place}: {missing:?}");
    assert!(unknown.is_empty(), "only in {place}: {unknown:?}");
}

/// The routes of all components.
pub(crate) fn all_routes() -> impl Iterator<Item = Route<NativeHost>> {
    Route::INGEST.into_iter().chain(Route::QUERY).chain(Route::INSPECT)
}

/// `GET /v1/regions`, of every route: its first method and its pattern.
fn routes() -> Names {
    all_routes().map(|route| format!("{} {}", route.methods[0], route.pattern)).collect()
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
    assert_same("the headings of docs/api.md", &documented, &without_files(&routes()));
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
    assert_same("the paths of query/assets/openapi.json", &operations.collect(), &expected);
}

#[test]
fn every_parameter_of_a_route_is_described_and_the_other_way_round() {
    let description: Value = serde_json::from_str(&text("query/assets/openapi.json")).unwrap();
    let shared = &description["components"]["parameters"];
    let resolved = |parameter: &Value| match parameter["$ref"].as_str() {
        Some(reference) => shared[reference.rsplit('/').next().unwrap()].clone(),
        None => parameter.clone(),
    };
    for route in all_routes() {
        let path = &description["paths"][route.pattern];
        let method = route.methods[0].as_str().to_lowercase();
        let of = |value: &Value| value["parameters"].as_array().cloned().unwrap_or_default();
        let all = [of(path), of(&path[&method])].concat();
        let all = all.iter().map(resolved).filter(|parameter| parameter["in"] == "query");
        let described = all.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
        let known = route.params().unwrap_or_default().into_iter().map(ToOwned::to_owned);
        assert_same(route.pattern, &described.collect(), &known.collect());
    }
}

#[test]
fn each_component_is_triggered_by_its_routes() {
    let manifest: toml::Table = text("spin.toml").parse().unwrap();
    let triggers = manifest["trigger"]["http"].as_array().unwrap();
    let of = |component: &str| -> Names {
        let own = triggers.iter().filter(|t| t["component"].as_str() == Some(component));
        own.map(|trigger| trigger["route"].as_str().unwrap().to_owned()).collect()
    };
    let patterns = Route::<NativeHost>::INGEST.map(|route| route.pattern.to_owned());
    assert_same("the triggers of ingest in spin.toml", &of("ingest"), &patterns.into());
    assert_eq!(of("query"), Names::from(["/...".to_owned()]));
    // Each route of inspect is one of its triggers, or below one; and none is in vain.
    let triggers = of("inspect");
    let mut used = Names::new();
    for route in Route::<NativeHost>::INSPECT {
        let path = route.pattern.replace("{region}", ":region");
        let fits = |trigger: &&String| match trigger.strip_suffix("/...") {
            Some(prefix) => path == prefix || path.starts_with(&format!("{prefix}/")),
            None => **trigger == path,
        };
        let trigger = triggers.iter().find(fits);
        used.insert(trigger.unwrap_or_else(|| panic!("{path} has no trigger")).clone());
    }
    assert_same("the triggers of inspect in spin.toml", &triggers, &used);
}

#[test]
fn no_route_that_changes_or_tells_anything_is_open() {
    for route in all_routes() {
        let (pattern, is_get) = (route.pattern, route.methods[0] == http::Method::GET);
        let is_writing = matches!(route.scope, Scope::Write | Scope::Admin);
        assert_eq!(!is_get, is_writing, "{pattern}");
        let is_file = matches!(pattern, "/" | "/openapi.json" | "/assets/{name}");
        let is_probe = pattern.starts_with("/readyz") || pattern == "/healthz";
        assert_eq!(route.scope == Scope::Open, is_file || is_probe, "{pattern}");
    }
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
    assert_same("\"Problems\" of docs/api.md", &documented, &kinds.into());
}

#[test]
fn every_reason_for_a_rejection_is_documented() {
    let api = text("docs/api.md");
    let below = section(&api, "`POST /v1/readings`");
    let table = below.split("| `reason` |").nth(1).unwrap();
    let reasons = Reason::ALL.map(|reason| reason.code().to_owned()).into();
    assert_same("the reasons of docs/api.md", &first_cells(table), &reasons);
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
        // Markdown has no quotation of nothing.
        let defaults = if defaults.trim() == "empty" { "``" } else { defaults };
        let pairs = quoted(names).zip(quoted(defaults));
        pairs.map(|(name, default)| format!("{name} {default}")).collect::<Vec<_>>()
    });
    assert_same("\"Variables\" of docs/api.md", &pairs.collect(), &variables);
}

#[test]
fn every_variable_reaches_all_components_wherever_they_are_deployed() {
    let manifest: toml::Table = text("spin.toml").parse().unwrap();
    let names =
        |table: &toml::Value| -> Names { table.as_table().unwrap().keys().cloned().collect() };
    let variables = names(&manifest["variables"]);
    for component in ["ingest", "query", "inspect"] {
        let place = format!("component.{component}.variables of spin.toml");
        assert_same(&place, &names(&manifest["component"][component]["variables"]), &variables);
    }
    // The app of `query` runs `inspect`, too.
    for component in ["ingest", "query"] {
        let file = format!("deploy/spinkube/base/apps/{component}.yaml");
        let app = text(&file);
        let keys = app.lines().filter_map(|line| line.trim().strip_prefix("key: "));
        assert_same(&file, &keys.map(ToOwned::to_owned).collect(), &variables);
    }
}

#[test]
fn every_type_of_a_body_is_described_and_documented() {
    let types: Names = MEDIA_TYPES.map(ToOwned::to_owned).into();
    let description: Value = serde_json::from_str(&text("query/assets/openapi.json")).unwrap();
    let post = &description["paths"]["/v1/readings"]["post"];
    let described = post["requestBody"]["content"].as_object().unwrap().keys().cloned();
    assert_same("the body of POST in query/assets/openapi.json", &described.collect(), &types);
    let api = text("docs/api.md");
    let below = section(&api, "`POST /v1/readings`");
    for media_type in types {
        assert!(below.contains(&format!("`{media_type}`")), "docs/api.md lacks {media_type}");
    }
}

#[test]
fn the_schema_version_is_in_the_documents_and_the_one_before_is_a_fixture() {
    let version = schema::VERSION;
    let formats = text("docs/formats.md");
    assert!(formats.contains(&format!("{version} today")), "docs/formats.md: not {version} today");
    let before = root().join(format!("tests/data/regions-schema-{}.db", version - 1));
    assert!(before.exists(), "no {}", before.display());
}

#[test]
fn every_metric_is_documented() {
    let service = Service::start(&[]).unwrap();
    let metrics = service.get("/metrics").unwrap();
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    let types = metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: Names = types.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
    let api = text("docs/api.md");
    let documented = first_cells(section(&api, "`GET /metrics`"));
    assert_same("the metrics of docs/api.md", &documented, &families);
}
