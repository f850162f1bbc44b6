//! What the documents say of sources: each mapping that they show is taken, and that of a device
//! is the one that reads what the device sends (`golden.rs`).

use std::collections::BTreeMap;

use http::Method;
use isotherm::http::Request;
use isotherm_it::root;
use serde_json::Value;

use super::golden_files::Golden;
use crate::support::node::Node;

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_mapping_of_the_manual_is_taken() {
    let manual = text("docs/sources.md");
    let mut node = Node::quiet(&[]);
    let mut count = 0;
    for block in manual.split("```json\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let mapping: Value = serde_json::from_str(block).unwrap();
        if mapping.get("take").is_some() || mapping.get("preset").is_some() {
            node.source("shown", &mapping);
            count += 1;
        }
    }
    assert!(count > 12, "{count} mappings");
}

#[test]
fn every_preset_that_the_manual_names_is_there_and_the_other_way_round() {
    let manual = text("docs/sources.md");
    let listed = manual.split("The presets are `").nth(1).unwrap().split("`.\n").next().unwrap();
    let listed: Vec<&str> = listed.split('`').step_by(2).collect();
    let directory = std::fs::read_dir(root().join("shared/src/sources/presets")).unwrap();
    let mut known: Vec<String> = directory
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".json").to_owned())
        .collect();
    known.sort();
    assert_eq!(listed, known);
}

/// The rows of the manual's table of devices, by their numbers.
fn rows(manual: &str) -> BTreeMap<u32, &str> {
    let devices = manual.split("## Which device needs what").nth(1).unwrap();
    let number = |row: &str| row.strip_prefix("| ")?.split(" |").next()?.parse().ok();
    devices.lines().filter_map(|row| Some((number(row)?, row))).collect()
}

/// The golden files that a row names.
fn files(row: &str) -> Vec<&str> {
    let links = row.split("](../tests/data/sources/").skip(1);
    links.map(|rest| rest.split(')').next().unwrap()).collect()
}

/// The mappings that the manual shows for devices, by the names of their headings.
fn shown(manual: &str) -> BTreeMap<&str, Value> {
    let blocks = manual.split("### Mappings without a preset\n").nth(1).unwrap();
    let mut shown = BTreeMap::new();
    for block in blocks.split("#### ").skip(1) {
        let name = block.lines().next().unwrap();
        let json = block.split("```json\n").nth(1).unwrap_or_else(|| panic!("{name}: no mapping"));
        let mapping = serde_json::from_str(json.split("```").next().unwrap()).unwrap();
        assert!(shown.insert(name, mapping).is_none(), "{name} is there twice");
    }
    shown
}

#[test]
fn each_row_of_the_manual_has_the_files_of_its_device() {
    let manual = text("docs/sources.md");
    let rows = rows(&manual);
    let mut named = Vec::new();
    for (number, row) in &rows {
        let files = files(row);
        let is_own = |name: &&str| name.starts_with(&format!("{number:02}-"));
        assert!(!files.is_empty() && files.iter().all(is_own), "row {number}: {files:?}");
        named.extend(files);
    }
    assert_eq!(rows.len(), 35);
    let all: Vec<String> = Golden::all().into_iter().map(|golden| golden.name).collect();
    assert_eq!(named, all);
}

#[test]
fn each_mapping_of_a_device_is_that_of_its_files_and_the_other_way_round() {
    let manual = text("docs/sources.md");
    let (rows, shown, goldens) = (rows(&manual), shown(&manual), Golden::all());
    // Whether a row links to the mapping, and has these files.
    let is_of = |name: &str, golden: &Golden| {
        let link = format!("](#{name})");
        rows.values().any(|row| row.contains(&link) && files(row).contains(&golden.name.as_str()))
    };
    let is_same = |name: &str, mapping: &Value, golden: &Golden| {
        golden.mapping.as_ref() == Some(mapping) && is_of(name, golden)
    };
    let mut wrong = Vec::new();
    for (name, mapping) in &shown {
        if !goldens.iter().any(|golden| is_same(name, mapping, golden)) {
            wrong.push(format!("{name}: no files of a row that links to it have this mapping"));
        }
    }
    for golden in &goldens {
        let is_own = |mapping: &Value| !mapping.is_string() && mapping.get("preset").is_none();
        let is_shown = || shown.iter().any(|(name, mapping)| is_same(name, mapping, golden));
        if golden.mapping.as_ref().is_some_and(is_own) && !is_shown() {
            wrong.push(format!("{}: the manual's row shows no such mapping", golden.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(shown.len() > 25, "{} mappings", shown.len());
}

#[test]
fn each_configuration_of_telegraf_sends_what_its_mapping_reads() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let directory = std::fs::read_dir(root().join("deploy/telegraf")).unwrap();
    let files = directory.map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.filter(|path| path.extension().is_some_and(|e| e == "conf")) {
        let configuration = std::fs::read_to_string(&file).unwrap();
        let table: toml::Table = configuration.parse().unwrap();
        let output = &table["outputs"]["influxdb_v2"][0];
        let source = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(output["bucket"].as_str(), Some(source), "{}", file.display());
        assert_eq!(output["token"].as_str(), Some("${ISOTHERM_TOKEN}"));
        let comment = |name: &str| {
            let begin = format!("# {name}: ");
            configuration.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
        };
        node.source(source, &serde_json::from_str(&comment("mapping")).unwrap());
        let request = Request::post(&format!("/api/v2/write?org=isotherm&bucket={source}"));
        node.deliver(&request, &comment("line"));
        let path = format!("/v1/sources/{source}/unknown");
        let unknown = node.read(&path);
        let id = unknown["devices"][0]["id"].as_str().unwrap().to_owned();
        let row = serde_json::json!({"id": id, "device": source, "region": source});
        let path = format!("/v1/sources/{source}/devices");
        assert_eq!(node.change(Method::POST, &path, &row.to_string()).status, 200);
        assert_eq!(node.deliver(&request, &comment("line")).status, 204);
        assert_eq!(node.read(&format!("/v1/regions/{source}"))["count"], 1);
        count += 1;
    }
    assert_eq!(count, 4);
}
