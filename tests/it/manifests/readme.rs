//! The commands in the README of the overlays: each parses, has its namespace, and names files
//! that exist; and the workflow that runs them on a cluster has the same versions and files.

use std::io::Write as _;
use std::process::{Command, Stdio};

use isotherm_it::root;

/// The commands of a README in Markdown: those in blocks, and those in a line of text. Lines that
/// are continued are one.
fn commands(text: &str) -> Vec<String> {
    let (mut all, mut is_block) = (Vec::new(), false);
    let joined = text.replace("\\\n", " ");
    for line in joined.lines() {
        if line.starts_with("```") {
            is_block = line == "```sh";
        } else if is_block {
            all.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        } else {
            let quoted = line.split('`').skip(1).step_by(2);
            all.extend(quoted.filter(|one| one.contains(' ')).map(str::to_owned));
        }
    }
    all
}

/// What is wrong with the commands.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for command in commands(text) {
        let mut report = |what: &str| problems.push(format!("{what}: {command}"));
        // Overlays name their namespace themselves.
        let of_cluster = [
            "kubectl apply --kustomize ",
            "kubectl delete --kustomize ",
            "kubectl delete --ignore-not-found --kustomize ",
            "kubectl apply --filename $OPERATOR/",
            "kubectl apply --filename https://",
            "kubectl --namespace cert-manager ",
        ];
        let is_of_cluster = of_cluster.iter().any(|begin| command.starts_with(begin));
        if command.starts_with("kubectl ") {
            // (`kubectl delete --kustomize` and the like are talked about, and not run.)
            let is_whole = command.split(' ').count() > 3 || command.contains(" describe ");
            if is_whole && !is_of_cluster && !command.contains(" --namespace isotherm ") {
                report("no namespace");
            }
            if command.contains(" wait ") && !command.contains(" --timeout=") {
                report("it waits for thirty seconds");
            }
        }
        if command.contains("kustomize edit") {
            report("kubectl can't do that");
        }
        for word in command.split(' ').filter(|word| word.starts_with("deploy/")) {
            if !root().join(word).exists() {
                report("no such file");
            }
        }
    }
    problems
}

#[test]
fn every_command_has_its_namespace_and_names_what_exists() {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let of_kubectl = commands(&readme).into_iter().filter(|one| one.starts_with("kubectl "));
    assert!(of_kubectl.count() > 15, "the commands are not found");
    assert_eq!(problems(&readme), Vec::<String>::new());
}

/// Whether a shell can read it.
fn parses(script: &str) -> bool {
    let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    shell.wait().unwrap().success()
}

#[test]
fn every_block_of_commands_can_be_read_by_a_shell() {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```sh\n").skip(1).collect();
    assert!(blocks.len() > 10);
    for block in blocks {
        let block = block.split("```").next().unwrap();
        assert!(parses(block), "{block}");
    }
    assert!(!parses("kubectl get pods \"\n"));
}

#[test]
fn the_workflow_on_a_cluster_has_what_the_readme_has() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (readme, workflow) = (read("deploy/spinkube/README.md"), read(".github/workflows/k3s.yml"));
    for version in ["SHIM", "OPERATOR"] {
        let line = workflow.lines().find(|line| line.trim().starts_with(&format!("{version}: ")));
        let version = line.unwrap().split(": ").nth(1).unwrap();
        assert!(readme.contains(&format!("/{version}")), "the README has not {version}");
    }
    for overlay in ["edge", "edge-operator", "fleet"] {
        assert!(workflow.contains(&format!("overlays/{overlay}\n")), "{overlay} is not tried");
    }
    let words = workflow.split_whitespace().map(|word| word.trim_end_matches([')', ',']));
    let ours = words.filter(|word| word.starts_with("deploy/") || word.starts_with(".github/"));
    for word in ours {
        assert!(root().join(word).exists(), "no {word}");
    }
}

#[test]
fn a_mistake_in_a_command_is_found() {
    for (text, what) in [
        ("Run `kubectl annotate --overwrite spinapp --all a=b` then.", "no namespace"),
        ("```sh\nkubectl get \\\n    pods --all x\n```", "no namespace"),
        (
            "```sh\nkubectl --namespace isotherm wait --for=condition=Available x\n```",
            "thirty seconds",
        ),
        ("```sh\n(cd next && kustomize edit set image a=b)\n```", "kubectl can't"),
        ("```sh\nkubectl apply --kustomize deploy/spinkube/overlays/gone\n```", "no such file"),
    ] {
        let found = problems(text);
        assert!(matches!(&found[..], [one] if one.contains(what)), "{text}: {found:?}");
    }
}
