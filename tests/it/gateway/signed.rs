//! Components from elsewhere, with a key in the configuration: they are run only if the key signed
//! them.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use isotherm_it::root;
use minisign::KeyPair;
use tempfile::TempDir;

use super::{Gateway, run};

/// A copy of the application, signed by `keys`, and a configuration that wants `wanted`.
fn application(directory: &Path, keys: &KeyPair, wanted: &KeyPair) -> String {
    let mut manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    for (profile, name) in
        [("release", "ingest"), ("small", "query"), ("small", "inspect"), ("small", "sync")]
    {
        let source = format!("target/wasm32-wasip2/{profile}/isotherm_{name}.wasm");
        let wasm = std::fs::read(root().join(&source)).unwrap();
        manifest = manifest.replace(&source, &format!("{name}.wasm"));
        let signature =
            minisign::sign(None, &keys.sk, Cursor::new(&wasm), None, None).unwrap().into_string();
        std::fs::write(directory.join(format!("{name}.wasm")), wasm).unwrap();
        std::fs::write(directory.join(format!("{name}.wasm.minisig")), signature).unwrap();
    }
    std::os::unix::fs::symlink(root().join("query"), directory.join("query")).unwrap();
    std::fs::write(directory.join("spin.toml"), manifest).unwrap();
    let mut lines = String::from("[application]\nfrom = \"spin.toml\"\n");
    writeln!(lines, "key = \"{}\"", wanted.pk.to_base64()).unwrap();
    lines
}

/// What it says of this configuration.
fn refused(directory: &Path, lines: &str) -> String {
    let file = directory.join("isotherm.toml");
    let head = format!("data = {:?}\nlisten = \"127.0.0.1:0\"\n", directory.join("data"));
    std::fs::write(&file, head + lines).unwrap();
    let output = run(&["--config", file.to_str().unwrap()]);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn components_are_run_if_the_key_signed_them_and_refused_otherwise() {
    let [keys, others] = [0; 2].map(|_| KeyPair::generate_unencrypted_keypair().unwrap());
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    let lines = application(place, &keys, &keys);
    let gateway = Gateway::start(place, &lines);
    assert_eq!(gateway.sender().get("/readyz").unwrap().status, 200);
    drop(gateway);

    // Changed, by a bit.
    let file = place.join("query.wasm");
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&file, changed).unwrap();
    assert!(refused(place, &lines).contains("query.wasm is not what was signed"));
    std::fs::write(&file, whole).unwrap();

    // The signature of another file.
    std::fs::copy(place.join("sync.wasm.minisig"), place.join("query.wasm.minisig")).unwrap();
    assert!(refused(place, &lines).contains("query.wasm is not what was signed"));

    std::fs::write(place.join("query.wasm.minisig"), "no signature").unwrap();
    assert!(refused(place, &lines).contains("query.wasm.minisig is no signature"));
    std::fs::remove_file(place.join("query.wasm.minisig")).unwrap();
    assert!(refused(place, &lines).contains("query.wasm is not signed"));

    let directory = TempDir::new().unwrap();
    let lines = application(directory.path(), &others, &keys);
    assert!(refused(directory.path(), &lines).contains("is signed by another key"));
    let lines = lines.replace(&keys.pk.to_base64(), "abc");
    assert!(refused(directory.path(), &lines).contains("no public key of minisign"));
}
