//! The workflow of releases: it has what the application is made of.

use isotherm_it::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn a_release_has_every_component_of_the_application() {
    let release = read(".github/workflows/release.yml");
    let spin: toml::Table = read("spin.toml").parse().unwrap();
    let components = spin["component"].as_table().unwrap();
    assert!(components.len() >= 4, "{components:?}");
    for (name, component) in components {
        let source = component["source"].as_str().unwrap();
        // It is a file of the release, and in the archive that `spin up` starts from.
        assert_eq!(release.matches(source).count(), 2, "release.yml: {source}");
        let loops =
            release.lines().filter_map(|line| line.trim().strip_prefix("for component in "));
        let loops: Vec<&str> = loops.collect();
        assert_eq!(loops.len(), 2, "{loops:?}");
        for names in loops {
            let names = names.trim_end_matches("; do");
            assert!(names.split(' ').any(|one| one == name), "release.yml: no {name} in {names}");
        }
    }
}
