//! TLS: by a certificate that may change, and HTTP/2 with it.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use isotherm_it::now_ms;
use isotherm_it::programs::check;
use tempfile::TempDir;

use super::Gateway;
use crate::manifests::nginx::CERTIFICATES;
use crate::support::readings::json_reading;
use crate::support::service::until;

const TLS: &str = "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";

/// A directory with certificates, of the server and of devices.
pub(super) fn certificates() -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut shell = Command::new("sh");
    check(&shell.args(["-c", CERTIFICATES]).current_dir(directory.path()).output().unwrap());
    directory
}

/// What curl prints: the body, the protocol and the status.
pub(super) fn curl(gateway: &Gateway, place: &Path, arguments: &[&str], path: &str) -> String {
    let port = gateway.address.rsplit(':').next().unwrap();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--write-out", "\n%{http_version} %{http_code}", "--cacert", "other-ca.pem"])
        .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .args(arguments)
        .arg(format!("https://localhost:{port}{path}"))
        .current_dir(place)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn readings_come_over_tls_with_either_version_of_http() {
    let directory = certificates();
    let gateway = Gateway::start(directory.path(), TLS);
    for (version, number) in [("--http1.1", 1), ("--http2", 2)] {
        let body = json_reading("d1", "hall", 20.5, now_ms() - number).to_string();
        let said = curl(&gateway, directory.path(), &[version, "--json", &body], "/v1/readings");
        let expected = if number == 1 { "\n1.1 202" } else { "\n2 202" };
        assert!(said.ends_with(expected), "{said}");
        let said = curl(&gateway, directory.path(), &[version], "/v1/regions/hall");
        assert!(said.contains(&format!("\"count\":{number}")), "{said}");
    }
    // Without TLS nothing is said.
    let mut stream = gateway.connect();
    assert!(!super::ask(&mut stream, super::GET).starts_with("HTTP/"));
}

#[test]
fn a_new_certificate_is_taken_without_a_restart_and_one_that_does_not_fit_is_not() {
    let directory = certificates();
    let place = directory.path();
    let gateway = Gateway::start(place, TLS);
    assert!(curl(&gateway, place, &[], "/healthz").ends_with("200"));
    // It does not fit the key.
    std::fs::copy(place.join("stranger.pem"), place.join("cert.pem")).unwrap();
    gateway.signal("HUP");
    assert!(curl(&gateway, place, &[], "/healthz").ends_with("200"));
    std::fs::copy(place.join("stranger-key.pem"), place.join("key.pem")).unwrap();
    gateway.signal("HUP");
    until("the new certificate is there", || {
        let said = curl(&gateway, place, &["--verbose", "--stderr", "-"], "/healthz");
        said.contains("CN=stranger").then_some(())
    });
}

#[test]
fn a_handshake_that_is_not_ended_is_in_nobodys_way() {
    let directory = certificates();
    let place = directory.path();
    let lines = format!("{TLS}[limits]\nhandshake = \"3s\"\n");
    let gateway = Gateway::start(place, &lines);
    let mut half: Vec<TcpStream> = (0..1_000).map(|_| gateway.connect()).collect();
    for stream in half.iter_mut().step_by(2) {
        // The head of a record that does not come.
        stream.write_all(b"\x16\x03\x01\x02\x00").unwrap();
    }
    assert!(curl(&gateway, place, &[], "/healthz").ends_with("200"));
    for stream in &mut half {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        super::wait_for_end(stream);
    }
    let metrics = curl(&gateway, place, &[], "/metrics");
    let failed = "isotherm_gateway_connections_refused_total{reason=\"handshake\"} 1000";
    assert!(metrics.contains(failed), "{metrics}");
}
