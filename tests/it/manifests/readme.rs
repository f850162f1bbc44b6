//! The commands in the README of the overlays: each parses, has its namespace, and names files
//! that exist; and the workflow that runs them on a cluster has the same versions and files.

use std::io::Write as _;
use std::process::{Command, Stdio};

use isotherm_it::root;

/// The commands of a README in Markdown: those in blocks, and those in a line of text. Lines that
/// are continued are one.
pub(super) fn commands(text: &str) -> Vec<String> {
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

/// The blocks of commands.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default())
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
        // Also those within others.
        let inner = command.split("$(").skip(1).filter(|one| one.starts_with("kubectl "));
        if inner.clone().any(|one| !one.contains(" --namespace isotherm ")) {
            report("no namespace");
        }
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

/// What a shell has by itself, and what the text before a block says to set.
const GIVEN: [&str; 3] = ["USER", "HOME", "READ_TOKEN"];

/// What the commands use before it is there: variables, and what an earlier command has to make.
fn out_of_order(text: &str) -> Vec<String> {
    let blocks: String = blocks(text).collect();
    let mut problems = Vec::new();
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    for (place, _) in blocks.match_indices('$') {
        let name = blocks[place + 1..].trim_start_matches('{');
        let name = &name[..name.find(|c| !is_name(c)).unwrap_or(name.len())];
        let before = &blocks[..place];
        let is_set = before.match_indices(&format!("{name}=")).any(|(at, _)| {
            // Not within another name. (Python writes some of them into a file that is read.)
            !before[..at].ends_with(is_name)
        });
        // The variable of a pod, within quotes that this shell leaves alone.
        let is_of_pod = before.ends_with("sh -c 'REDISCLI_AUTH=");
        if !name.is_empty() && !is_set && !is_of_pod && !GIVEN.contains(&name) {
            problems.push(format!("${name} is used before it is set"));
        }
    }
    for (first, then) in [
        ("cargo xtask build\n", "spin registry push "),
        ("spin registry push ", "overlays/edge\n"),
        ("--kustomize deploy/spinkube/namespace\n", "create secret docker-registry "),
        ("spin-operator.runtime-class.yaml", "overlays/edge-operator\n"),
        ("scale deployment/isotherm --replicas=0\n", "--restore "),
        ("--for=delete ", "--restore "),
        ("overlays/canary ", "delete ingress/isotherm "),
        ("--kustomize deploy/spinkube/namespace\n", "create secret generic isotherm-access "),
        ("create secret generic isotherm-access ", "overlays/edge\n"),
        ("create secret tls isotherm-tls ", "overlays/edge\n"),
        ("--kustomize deploy/spinkube/volume ", "overlays/edge\n"),
        ("spin-operator.crds.yaml", "helm upgrade --install spin-operator "),
        ("cert-manager wait ", "helm upgrade --install spin-operator "),
        ("helm upgrade --install spin-operator ", "base/executor.yaml"),
        ("base/executor.yaml", "overlays/edge-operator\n"),
        ("create secret generic isotherm-stores ", "overlays/cloud "),
    ] {
        let at = |what: &str| blocks.find(what);
        if at(first).is_none_or(|at_first| at(then).is_none_or(|at_then| at_then < at_first)) {
            problems.push(format!("{first:?} does not come before {then:?}"));
        }
    }
    problems
}

/// The options of `isotherm-backup` that the commands have and the script does not.
fn unknown_options(text: &str) -> Vec<String> {
    let script = root().join("deploy/backup/isotherm-backup");
    let help = Command::new(script).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known: Vec<&str> =
        help.split_whitespace().map(|word| word.trim_matches(['[', ']'])).collect();
    let all =
        commands(text).into_iter().filter(|one| one.contains("deploy/backup/isotherm-backup "));
    let options = all.flat_map(|one| {
        let words = one.split(' ').filter(|word| word.starts_with("--")).map(str::to_owned);
        words.collect::<Vec<_>>()
    });
    options.filter(|option| !known.contains(&option.as_str())).collect()
}

/// Which Spin a release of the shim has, by the table in the shim's own README, and which of
/// them Isotherm needs (`docs/architecture.md`).
const SHIMS: [(&str, &str); 3] = [("0.23", "3.6.2"), ("0.24", "3.6.3"), ("0.25.1", "4.0.1")];

/// What is wrong with the versions of the shim that the README names.
fn versions(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut problems = Vec::new();
    for (shim, spin) in SHIMS {
        if !["", "Spin "].iter().any(|of| text.contains(&format!("{shim} has {of}{spin}"))) {
            problems.push(format!("it does not say that shim {shim} has Spin {spin}"));
        }
    }
    let loaded = text.split("containerd-shim-spin/releases/download/v").nth(1);
    let loaded = loaded.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if !SHIMS.iter().any(|(shim, _)| *shim == loaded) {
        problems.push(format!("nobody knows which Spin shim {loaded} has"));
    }
    problems
}

#[test]
fn telemetry_is_switched_on_at_the_executor_that_the_overlays_have() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let readme = read("deploy/observability/README.md");
    let said = readme.split("kind: SpinAppExecutor\n").nth(1).unwrap();
    let said = said.split("    otel:\n").next().unwrap();
    let executor = read("deploy/spinkube/base/executor.yaml");
    assert!(executor.ends_with(said), "another executor than this one:\n{said}");
}

/// What a person has to find there: where errors show, what can't be done, and what is not to be done.
fn words(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for word in ["containerd.log", "grep instance=", "IPv4", "SIGTERM", "spin registry push"] {
        if !text.contains(word) {
            problems.push(format!("nothing is said of {word}"));
        }
    }
    // It freezes k3s's configuration.
    for word in ["config.toml.tmpl", "runtime-class-manager"] {
        if text.contains(word) {
            problems.push(format!("{word} is no way"));
        }
    }
    problems.extend(images(text));
    problems
}

/// The kustomizations whose images the README has renamed are those that name them.
fn images(text: &str) -> Option<String> {
    let command = commands(text).into_iter().find(|one| one.starts_with("sed -i s,ghcr.io/"))?;
    let mut renamed: Vec<&str> =
        command.split(' ').filter(|word| word.ends_with(".yaml")).collect();
    renamed.sort_unstable();
    let output = Command::new("grep")
        .args(["-rl", "[nN]ame: ghcr.io/example/", "deploy/spinkube"])
        .current_dir(root())
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    (renamed != found).then(|| format!("renamed are {renamed:?}, and there are {found:?}"))
}

#[test]
fn telemetry_finds_its_targets() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let readme = read("deploy/observability/README.md");
    for word in ["isotherm/scrapes=true", "isotherm-query:80", "isotherm:80", "ISOTHERM_TARGET"] {
        assert!(readme.contains(word), "{word}");
    }
    assert!(
        read("deploy/spinkube/overlays/cloud/network.yaml").contains("isotherm/scrapes: \"true\"")
    );
}

#[test]
fn every_command_comes_after_what_it_needs() {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    for problems in
        [out_of_order(&readme), unknown_options(&readme), versions(&readme), words(&readme)]
    {
        assert_eq!(problems, Vec::<String>::new());
    }
}

#[test]
fn a_command_before_what_it_needs_is_found() {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    for (from, to, what) in [
        (
            "spin registry push ghcr.io",
            "spin registry pull ghcr.io",
            "\"spin registry push \" does not",
        ),
        ("VOLUME=$(kubectl", "PLACE=$(kubectl", "$VOLUME is used before"),
        ("ADMIN=$(head", "$(head", "$ADMIN is used before"),
        (
            "create secret generic isotherm-access",
            "create secret generic isotherm",
            "isotherm-access",
        ),
        ("deploy/spinkube/namespace\numask", "deploy/spinkube/volume\numask", "spinkube/namespace"),
        ("base/executor.yaml\n", "base/apps/executor.yaml\n", "base/executor.yaml"),
        ("--journal \"$DATA", "--journals \"$DATA", "--journals"),
        ("Spin 4.0.1, 0.24", "Spin 4.0.2, 0.24", "shim 0.25.1 has Spin 4.0.1"),
        ("0.24 has 3.6.3", "0.24 has 3.6.0", "shim 0.24 has Spin 3.6.3"),
        (
            "create secret docker-registry isotherm-r",
            "create secret docker-registries isotherm-r",
            "docker-registry",
        ),
        ("$OPERATOR/spin-operator.runtime-class.yaml", "$OPERATOR/x.yaml", "runtime-class"),
        ("--for=delete", "--for=create", "--for=delete"),
        ("delete ingress/isotherm ", "get ingress/isotherm ", "delete ingress"),
        ("containerd.log", "syslog", "nothing is said of containerd.log"),
        ("IPv4", "IPv6", "nothing is said of IPv4"),
        ("overlays/canary/next/kustomization.yaml\n```", "x.yaml\n```", "renamed are"),
        ("download/v0.25.1", "download/v0.26.0", "which Spin shim 0.26.0 has"),
    ] {
        let broken = readme.replace(from, to);
        assert_ne!(broken, readme, "{from}");
        let found =
            [out_of_order(&broken), unknown_options(&broken), versions(&broken), words(&broken)];
        let found = found.concat();
        assert!(found.iter().any(|problem| problem.contains(what)), "{to}: {found:?}");
    }
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
    assert!(blocks(&readme).count() > 10);
    for block in blocks(&readme) {
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
        ("```sh\nVOLUME=$(kubectl get pvc x --output name)\n```", "no namespace"),
        ("```sh\n(cd next && kustomize edit set image a=b)\n```", "kubectl can't"),
        ("```sh\nkubectl apply --kustomize deploy/spinkube/overlays/gone\n```", "no such file"),
    ] {
        let found = problems(text);
        assert!(matches!(&found[..], [one] if one.contains(what)), "{text}: {found:?}");
    }
}
