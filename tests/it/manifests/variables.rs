//! Every variable of `spin.toml` reaches every component that is to have it, and access control
//! is on in everything that `deploy/` starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use isotherm_it::root;

use super::objects::Spin;

/// What the component `sync` alone has: the name and the peers of the node, and the tokens for
/// them.
const OF_SYNC: [&str; 7] =
    ["node", "peer1", "peer1_token", "peer2", "peer2_token", "peer3", "peer3_token"];

/// The variables that a component lacks, or that are not what the application has, or not for
/// it.
fn forgotten(spin: &Spin) -> Vec<String> {
    let mut problems = Vec::new();
    for id in spin.components() {
        let given = spin.component(id).and_then(|table| table.get("variables")?.as_table());
        for variable in spin.variables().keys() {
            let value = given.and_then(|given| given.get(*variable)?.as_str());
            if id != "sync" && OF_SYNC.contains(variable) {
                problems.extend(value.map(|_| format!("component {id} has {variable}")));
            } else if value != Some(&format!("{{{{ {variable} }}}}")) {
                problems.push(format!("component {id} lacks {variable}"));
            }
        }
        let known = spin.variables();
        let unknown = |name: &&String| !known.contains_key(name.as_str());
        let unknown = given.into_iter().flat_map(toml::Table::keys).filter(unknown);
        problems.extend(unknown.map(|name| format!("component {id} has {name}, which is none")));
    }
    problems
}

#[test]
fn every_variable_reaches_its_components_and_a_forgotten_one_is_found() {
    assert_eq!(forgotten(&Spin::read()), Vec::<String>::new());
    let manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let changed = |from: &str, to: &str| {
        let changed = manifest.replacen(from, to, 1);
        assert_ne!(changed, manifest, "{from}");
        forgotten(&Spin::parse(&changed))
    };
    let new = changed("[variables]\n", "[variables]\nnew = { default = \"1\" }\n");
    assert_eq!(
        new,
        ["ingest", "inspect", "query", "sync"].map(|id| format!("component {id} lacks new"))
    );
    let gone = changed("tokens = \"{{ tokens }}\"\n", "");
    assert_eq!(gone, ["component ingest lacks tokens"]);
    let other = changed("\"{{ session_key }}\"", "\"{{ tokens }}\"");
    assert_eq!(other, ["component ingest lacks session_key"]);
    let given = "[component.ingest.variables]\n";
    let token = changed(given, &format!("{given}peer1_token = \"{{{{ peer1_token }}}}\"\n"));
    assert_eq!(token, ["component ingest has peer1_token"]);
}

#[test]
fn sync_alone_may_call_out_and_only_its_peers() {
    let spin = Spin::read();
    let peers = ["{{ peer1 }}", "{{ peer2 }}", "{{ peer3 }}"];
    for id in spin.components() {
        let allowed = spin.labels(id, "allowed_outbound_hosts");
        let expected = if id == "sync" { peers.into() } else { BTreeSet::new() };
        assert_eq!(allowed, expected, "{id}");
    }
}

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// What starts Isotherm in `deploy/`, and the line that turns access control on. (SpinApps
/// take it from the ConfigMap, which `spinkube` looks at after rendering.)
const ON: [(&str, &str); 4] = [
    ("hosted.md", "--variable auth=on"),
    ("spinkube/base/apps/kustomization.yaml", "- auth=on\n"),
    ("spinkube/node/kustomization.yaml", "- AUTH=on\n"),
    ("systemd/isotherm.service", "\nEnvironment=SPIN_VARIABLE_AUTH=on\n"),
];

#[test]
fn access_control_is_on_in_everything_that_is_deployed() {
    let deploy = root().join("deploy");
    for path in files(&deploy) {
        let name = path.strip_prefix(&deploy).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        // A ConfigMap with variables, and no other.
        let is_map = text.to_lowercase().contains("retention=");
        let starts = ["spin up --from", "spin cloud deploy", "configMapGenerator"];
        let on = ON.iter().find(|(known, _)| *known == name);
        // An overlay adds to the ConfigMap of the base.
        let begins = starts
            .iter()
            .any(|word| text.contains(word) && (is_map || *word != "configMapGenerator"))
            && !text.contains("behavior: merge");
        match on {
            Some((_, line)) => assert!(begins && text.contains(line), "{name} lacks {line}"),
            None => assert!(!begins, "{name} starts Isotherm: is access control on?"),
        }
        for off in ["auth=off", "AUTH=off", "auth: off", "auth: \"off\""] {
            assert!(!text.contains(off), "{name}: {off}");
        }
    }
}
