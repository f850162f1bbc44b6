//! Clients with certificates: each stands for a token.

use std::path::Path;
use std::process::Command;

use isotherm_it::now_ms;
use isotherm_it::programs::check;

use super::Gateway;
use super::secure::{certificates, curl};
use crate::access::tokens;
use crate::support::readings::json_reading;
use crate::support::service::until;

/// The SHA-256 of a certificate, as openssl prints it.
fn fingerprint(place: &Path, name: &str) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", name])
        .current_dir(place)
        .output()
        .unwrap();
    check(&output);
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim().split_once('=').unwrap().1.to_owned()
}

#[test]
fn a_certificate_stands_for_its_token_and_no_certificate_for_none() {
    let directory = certificates();
    let place = directory.path();
    let ([token], line) = tokens([("gw-1", "write:d1@hall")]);
    let listed = format!("# devices\n{} {token}\n", fingerprint(place, "gw-1.pem"));
    std::fs::write(place.join("clients"), &listed).unwrap();
    let lines = format!(
        "[variables]\nauth = \"on\"\ntokens = \"{line}\"\nsession_key = \"{}\"\n[tls]\n\
         certificate = \"cert.pem\"\nkey = \"key.pem\"\n[tls.clients]\nauthority = \"devices-ca.pem\"\n\
         revoked = \"devices-crl.pem\"\ntokens = \"clients\"\n",
        crate::access::SESSION_KEY
    );
    let gateway = Gateway::start(place, &lines);
    let send = |name: &str, more: &[&str]| {
        let body = json_reading("d1", "hall", 20.5, now_ms()).to_string();
        let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
        let mut arguments = vec!["--json", &body];
        if !name.is_empty() {
            arguments.extend(["--cert", &certificate, "--key", &key]);
        }
        arguments.extend(more);
        let said = curl(&gateway, place, &arguments, "/v1/readings");
        said.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(send("gw-1", &[]), "202");
    assert_eq!(send("", &[]), "401");
    assert_eq!(send("", &["--header", &format!("authorization: Bearer {token}")]), "202");
    assert_eq!(send("unlisted", &[]), "401", "it has no token");
    assert_eq!(send("withdrawn", &[]), "000", "no handshake");
    assert_eq!(send("stranger", &[]), "000", "no handshake");
    // What a client says itself goes before its certificate.
    assert_eq!(send("gw-1", &["--header", "authorization: Bearer no"]), "401");

    std::fs::write(place.join("clients"), "").unwrap();
    gateway.signal("HUP");
    until("it has no token any more", || (send("gw-1", &[]) == "401").then_some(()));
}
