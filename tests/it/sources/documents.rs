//! What the documents say of sources: each mapping that they show is taken, and reads the
//! message beside it.

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

#[test]
fn each_row_of_the_manual_has_the_files_of_its_device() {
    let manual = text("docs/sources.md");
    let manual = manual.split("## Which device needs what").nth(1).unwrap();
    let mut rows = 0;
    let mut named = Vec::new();
    for row in manual.lines() {
        let number = row.strip_prefix("| ").and_then(|row| row.split(" |").next());
        let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else { continue };
        let files: Vec<&str> = row
            .split("](../tests/data/sources/")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
            .collect();
        let is_own = |name: &&str| name.starts_with(&format!("{number:02}-"));
        assert!(!files.is_empty() && files.iter().all(is_own), "row {number}: {files:?}");
        named.extend(files.into_iter().map(str::to_owned));
        rows += 1;
    }
    assert_eq!(rows, 35);
    let all: Vec<String> = Golden::all().into_iter().map(|golden| golden.name).collect();
    assert_eq!(named, all);
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
