//! The interface's tables against its documents: routes, problems, reasons, variables and
//! metrics are each in the code, in `docs/api.md`, and wherever else they are told.

use std::collections::BTreeSet;

use isotherm::api::readings::MEDIA_TYPES;
use isotherm::api::routes::{Route, Scope};
use isotherm::http::Kind;
use isotherm::internals::domain::rejection::Reason;
use isotherm::internals::journal::QuarantineReason;
use isotherm::internals::ledger::schema;
use isotherm_it::{Service, root};
use isotherm_stores::native::NativeHost;
use serde_json::Value;

use crate::support::bare::ask;
use crate::support::service::until;

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
    let routes = Route::INGEST.into_iter().chain(Route::QUERY);
    routes.chain(Route::INSPECT).chain(Route::SYNC)
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
    // HEAD is what GET is.
    let all = all_routes().flat_map(|route| {
        let methods = route.methods.iter().filter(|method| **method != http::Method::HEAD);
        methods.map(move |method| format!("{method} {}", route.pattern))
    });
    let mut expected = without_files(&all.collect());
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
fn every_operation_is_described_with_the_scope_that_its_route_needs() {
    let description: Value = serde_json::from_str(&text("query/assets/openapi.json")).unwrap();
    let each = all_routes().flat_map(|route| {
        let methods = route.methods.iter().filter(|method| **method != http::Method::HEAD);
        methods.map(move |method| (route.pattern, route.scope, method))
    });
    for (pattern, scope, method) in each {
        let method = method.as_str().to_lowercase();
        let operation = &description["paths"][pattern][&method];
        if operation.is_null() {
            // The page and its files.
            continue;
        }
        let place = format!("{method} {pattern}");
        let needed: &[&str] = match scope {
            Scope::Open => {
                assert_eq!(operation["security"], Value::Array(Vec::new()), "{place}");
                continue;
            }
            Scope::Any => &[],
            Scope::Read => &["read:<region>"],
            Scope::ReadAll => &["read:*"],
            Scope::Write => &["write:<device>@<region>"],
            Scope::Source => &["source:<source>"],
            Scope::Sync => &["sync:<node>@<region>"],
            Scope::Metrics => &["metrics"],
            Scope::Admin => &["admin"],
        };
        // A session only reads.
        let is_read = method == "get" && !matches!(scope, Scope::Admin | Scope::Source);
        let schemes =
            if is_read { &["bearer", "basic", "session"][..] } else { &["bearer", "basic"] };
        let expected: Vec<Value> =
            schemes.iter().map(|&scheme| serde_json::json!({ scheme: needed })).collect();
        assert_eq!(operation["security"], Value::Array(expected), "{place}");
        let refusals: &[&str] = if needed.is_empty() { &["401"] } else { &["401", "403"] };
        for status in refusals {
            assert!(!operation["responses"][status].is_null(), "{place} has no {status}");
        }
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
    // Each route is one of its component's triggers, or below one; and none is in vain.
    let check = |component: &str, patterns: &[&str]| {
        let triggers = of(component);
        let mut used = Names::new();
        for pattern in patterns {
            let path = pattern.replace("{region}", ":region").replace("{key}", ":key");
            let fits = |trigger: &&String| match trigger.strip_suffix("/...") {
                Some(prefix) => path == prefix || path.starts_with(&format!("{prefix}/")),
                None => **trigger == path,
            };
            let trigger = triggers.iter().find(fits);
            used.insert(trigger.unwrap_or_else(|| panic!("{path} has no trigger")).clone());
        }
        assert_same(&format!("the triggers of {component} in spin.toml"), &triggers, &used);
    };
    check("ingest", &Route::<NativeHost>::INGEST.map(|route| route.pattern));
    check("inspect", &Route::<NativeHost>::INSPECT.map(|route| route.pattern));
    assert_eq!(of("query"), Names::from(["/...".to_owned()]));
    let patterns = Route::<NativeHost>::SYNC.map(|route| route.pattern.to_owned());
    assert_same("the triggers of sync in spin.toml", &of("sync"), &patterns.into());
}

#[test]
fn no_route_that_changes_or_tells_anything_is_open() {
    for route in all_routes() {
        let (pattern, is_get) = (route.pattern, route.methods[0] == http::Method::GET);
        let is_writing =
            matches!(route.scope, Scope::Write | Scope::Source | Scope::Sync | Scope::Admin);
        let is_session = pattern == "/v1/session";
        // What tokens there are, and what a source sent, is told to administrators alone.
        let is_secret = matches!(pattern, "/v1/tokens" | "/v1/sources/{source}/refused");
        assert_eq!(!is_get || is_secret, is_writing || is_session && !is_get, "{pattern}");
        let is_file = matches!(pattern, "/" | "/openapi.json" | "/assets/{name}");
        let is_probe =
            pattern.starts_with("/readyz") || matches!(pattern, "/healthz" | "/ping" | "/health");
        // A cookie can be deleted without one.
        let is_open =
            is_file || is_probe || (is_session && route.methods[0] == http::Method::DELETE);
        assert_eq!(route.scope == Scope::Open, is_open, "{pattern}");
    }
}

#[test]
fn what_up_prints_are_routes() {
    let source = text("xtask/src/greeting.rs");
    let of_sync = Route::<NativeHost>::SYNC.into_iter();
    let of_sync = of_sync.map(|route| format!("{} {}", route.methods[0], route.pattern));
    let known: Names = routes().into_iter().chain(of_sync).collect();
    let greeting = source.split("fn print(").nth(1).unwrap();
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

/// Variables that only `sync` takes: tokens for peers are kept from the others.
const OF_SYNC: [&str; 7] =
    ["node", "peer1", "peer1_token", "peer2", "peer2_token", "peer3", "peer3_token"];

#[test]
fn every_variable_reaches_all_components_wherever_they_are_deployed() {
    let manifest: toml::Table = text("spin.toml").parse().unwrap();
    let names =
        |table: &toml::Value| -> Names { table.as_table().unwrap().keys().cloned().collect() };
    let all = names(&manifest["variables"]);
    let of_sync: Names = OF_SYNC.map(ToOwned::to_owned).into();
    let variables = &all - &of_sync;
    for component in ["ingest", "query", "inspect", "sync"] {
        let place = format!("component.{component}.variables of spin.toml");
        let wanted = if component == "sync" { &all } else { &variables };
        assert_same(&place, &names(&manifest["component"][component]["variables"]), wanted);
    }
    // The app of `query` runs `inspect` and `sync`, too.
    for component in ["ingest", "query"] {
        let file = format!("deploy/spinkube/base/apps/{component}.yaml");
        let app = text(&file);
        let keys = app.lines().filter_map(|line| line.trim().strip_prefix("key: "));
        assert_same(&file, &keys.map(ToOwned::to_owned).collect(), &all);
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
    // What there is of other nodes is told only where there are some.
    let hub = Service::start(&[]).unwrap();
    let gateway = Service::start(&[("peer1", hub.url().as_str())]).unwrap();
    let begun = ask::<&str>(&gateway, "POST", "/v1/sync", &[], "");
    assert_eq!(begun.status, 202, "{}", begun.body);
    assert_eq!(ask::<&str>(&hub, "POST", "/write", &[], "t c=1").status, 204);
    let families = until("the hub knows the gateway, and its source", || {
        let text = [&hub, &gateway].map(|service| service.get("/metrics").unwrap().body).concat();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let families: Names = types.map(str::to_owned).collect();
        let has = |name| families.contains(name);
        (has("isotherm_sender_silent") && has("isotherm_source_readings_total")).then_some(families)
    });
    let api = text("docs/api.md");
    let documented = first_cells(section(&api, "`GET /metrics`"));
    assert_same("the metrics of docs/api.md", &documented, &families);
}
