//! The client in Python (`clients/python`): its own tests, against services whose stores
//! fail, and its types.
//!
//! `cargo xtask test` skips these tests by name where Python is missing.

use std::process::Command;

use isotherm_it::{Service, root};

use isotherm_it::programs::{check, variable};

#[test]
fn the_python_client_against_a_service() {
    let service = Service::start_with(&[], &["--faults"]).unwrap();
    let small = Service::start(&[("max_body_bytes", "20000")]).unwrap();
    let tested = Command::new("python3")
        .args(["-W", "error", "-m", "unittest", "-v", "test_isotherm"])
        .current_dir(root().join("clients/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ISOTHERM_URL", service.sender().url())
        .env("ISOTHERM_SMALL_URL", small.sender().url())
        .output()
        .unwrap();
    check(&tested);
    let report = String::from_utf8_lossy(&tested.stderr);
    assert!(report.ends_with("\nOK\n"), "some were skipped:\n{report}");
}

#[test]
fn the_python_client_is_typed() {
    let scratch = tempfile::tempdir().unwrap();
    let checked = Command::new(variable("ISOTHERM_PYTHON"))
        .args(["-m", "mypy", "--strict", "isotherm.py", "--cache-dir"])
        .arg(scratch.path())
        .current_dir(root().join("clients/python"))
        .output()
        .unwrap();
    check(&checked);
}
