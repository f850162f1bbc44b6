//! The commands in the README of the overlays: each has its namespace, and names files that exist.

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
        let is_of_cluster = ["kubectl create namespace ", "kubectl apply --kustomize "]
            .iter()
            .any(|begin| command.starts_with(begin));
        if command.starts_with("kubectl ") {
            // (`kubectl delete --kustomize` and the like are talked about, and not run.)
            let is_whole = command.split(' ').count() > 3;
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
