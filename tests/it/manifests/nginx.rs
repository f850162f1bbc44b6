//! `deploy/nginx/isotherm.conf`: nginx takes it, and lets in those with a certificate and a
//! token.
//!
//! `cargo xtask tools` unpacks nginx, and `cargo xtask test` says in `ISOTHERM_NGINX` where it
//! is; without it, openssl or curl, these tests are skipped by name.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use isotherm_it::{Service, now_ms, root};
use tempfile::TempDir;

use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};
use isotherm_it::programs::{check, variable};

/// Authorities, certificates and keys: of the server, of two devices, of one whose
/// certificate was withdrawn, and of a stranger.
pub(crate) const CERTIFICATES: &str = r#"
set -eu
authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=$1" -keyout "$1-key.pem" -out "$1.pem"
}
certificate() { # NAME AUTHORITY
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "/O=Plant/CN=$1" -keyout "$1-key.pem" -out "$1.csr"
    printf 'subjectAltName=DNS:localhost\n' >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -CAcreateserial -days 2 \
        -extfile "$1.ext" -out "$1.pem"
}
authority devices-ca
authority other-ca
for name in gw-1 unlisted withdrawn; do certificate "$name" devices-ca; done
certificate stranger other-ca
certificate server other-ca
mv server.pem cert.pem
mv server-key.pem key.pem
: >index.txt
echo 01 >crlnumber
cat >ca.cnf <<'END'
[ca]
default_ca = devices
[devices]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 2
END
ca() { openssl ca -config ca.cnf -cert devices-ca.pem -keyfile devices-ca-key.pem "$@"; }
ca -revoke withdrawn.pem
ca -gencrl -out devices-crl.pem
"#;

/// The place of the port without TLS.
const PLAIN: usize = 2;

/// nginx with the configuration of `deploy/`, on ports and with files of its own. It is ended
/// when it is dropped.
struct Nginx {
    directory: TempDir,
    process: Child,
    ports: [u16; 3],
}

/// Ports that nothing listens on. A program that takes one in between makes the test fail,
/// and not pass.
fn free_ports() -> [u16; 3] {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let all = [listen(), listen(), listen()];
    all.map(|listener| listener.local_addr().unwrap().port())
}

/// The configuration of `deploy/` with these in the place of what it names.
fn configuration(directory: &Path, ports: [u16; 3], upstream: &str) -> String {
    let mut text = std::fs::read_to_string(root().join("deploy/nginx/isotherm.conf")).unwrap();
    for (from, to) in [
        ("/etc/nginx/isotherm/", format!("{}/", directory.display())),
        ("127.0.0.1:3000", upstream.to_owned()),
        ("listen 443 ", format!("listen 127.0.0.1:{} ", ports[0])),
        ("listen 8443 ", format!("listen 127.0.0.1:{} ", ports[1])),
        ("listen 127.0.0.1:8080;", format!("listen 127.0.0.1:{};", ports[2])),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, &to);
    }
    text
}

impl Nginx {
    fn start(upstream: &str, tokens: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let place = directory.path();
        check(&Command::new("sh").args(["-c", CERTIFICATES]).current_dir(place).output().unwrap());
        std::fs::write(place.join("tokens.map"), tokens).unwrap();
        let ports = free_ports();
        std::fs::write(place.join("isotherm.conf"), configuration(place, ports, upstream)).unwrap();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {}/{what};\n", place.display()));
        let main = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr warn;\nevents {{}}\n\
             http {{\naccess_log off;\n{1}include {0}/isotherm.conf;\n}}\n",
            place.display(),
            temporary.concat()
        );
        std::fs::write(place.join("nginx.conf"), main).unwrap();
        let nginx = |arguments: &[&str]| {
            let mut command = Command::new(variable("ISOTHERM_NGINX"));
            command.arg("-p").arg(place).arg("-c").arg(place.join("nginx.conf"));
            command.args(["-e", "stderr"]).args(arguments).stdin(Stdio::null());
            command
        };
        check(&nginx(&["-t"]).output().unwrap());
        let process = nginx(&[]).spawn().unwrap();
        let nginx = Self { directory, process, ports };
        until("nginx listens", || nginx.curl(0, &[], "/healthz").status.success().then_some(()));
        nginx
    }

    /// What curl prints: the body, and the status in a line of its own.
    fn curl(&self, port: usize, arguments: &[&str], path: &str) -> Output {
        let scheme = if port == PLAIN { "http" } else { "https" };
        let port = self.ports[port];
        Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"])
            .args(["--cacert", "other-ca.pem", "--resolve"])
            .arg(format!("localhost:{port}:127.0.0.1"))
            .args(arguments)
            .arg(format!("{scheme}://localhost:{port}{path}"))
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    fn status(&self, port: usize, arguments: &[&str], path: &str) -> String {
        let output = self.curl(port, arguments, path);
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let status = said.lines().last().unwrap().to_owned();
        assert!(status != "000", "{}", String::from_utf8_lossy(&output.stderr));
        status
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A token with these scopes, and its line for the variable `tokens`.
fn token(id: &str, scopes: &str) -> (String, String) {
    let now = isotherm::UnixMillis::new(now_ms()).unwrap();
    isotherm::new_token(id, &[7; 32], &scopes.split(' ').collect::<Vec<_>>(), None, now).unwrap()
}

#[test]
fn devices_come_with_a_certificate_and_others_with_a_token() {
    let (device, first) = token("gw-1", "write:*@hall");
    let (reader, second) = token("reader", "read:*");
    let tokens = format!("{first}\n{second}");
    let service = Service::start(&[("auth", "on"), ("tokens", &tokens)]).unwrap();
    // Its subject as `openssl x509 -subject -nameopt RFC2253` prints it.
    let long = format!("CN={},OU=Cold rooms of the north,O=Plant", "x".repeat(64));
    let map = format!("\"CN=gw-1,O=Plant\" \"Bearer {device}\";\n\"{long}\" \"Bearer x\";\n");
    let nginx = Nginx::start(service.address(), &map);

    let reading = json_reading("d1", "hall", 20.0, now_ms()).to_string();
    let send = ["--header", "content-type: application/json", "--header", "prefer: wait", "--data"];
    let send = [&send[..], &[&reading]].concat();
    let with = |name: &str| {
        let [certificate, key] = ["", "-key"].map(|end| format!("{name}{end}.pem"));
        let certificate = ["--cert".to_owned(), certificate, "--key".to_owned(), key];
        let arguments: Vec<&str> =
            certificate.iter().map(String::as_str).chain(send.iter().copied()).collect();
        nginx.status(1, &arguments, "/v1/readings")
    };
    assert_eq!(with("gw-1"), "200");
    for (name, status) in [("stranger", "400"), ("withdrawn", "400"), ("unlisted", "401")] {
        assert_eq!(with(name), status, "{name}");
    }
    let bearer = format!("authorization: Bearer {device}");
    let with_token = [&send[..], &["--header", &bearer]].concat();
    assert_eq!(nginx.status(1, &with_token, "/v1/readings"), "400", "without a certificate");
    let certificate = ["--cert", "gw-1.pem", "--key", "gw-1-key.pem"];
    assert_eq!(nginx.status(1, &certificate, "/v1/readings"), "403", "a device reads nothing");
    assert_eq!(nginx.status(1, &certificate, "/v1/regions"), "404");
    // One with another's certificate can't be another device by its own header.
    let forged = [&["--cert", "unlisted.pem", "--key", "unlisted-key.pem"], &with_token[..]];
    assert_eq!(nginx.status(1, &forged.concat(), "/v1/readings"), "401");

    // The other port takes tokens.
    let bearer = format!("authorization: Bearer {reader}");
    assert_eq!(nginx.status(0, &[], "/v1/regions/hall"), "401");
    let answer = nginx.curl(0, &["--header", &bearer], "/v1/regions/hall");
    check(&answer);
    let said = String::from_utf8(answer.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    let hall: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((status, hall["count"].as_i64()), ("200", Some(1)), "{said}");
}

#[test]
fn boards_without_tls_send_with_a_token_and_read_nothing() {
    let (board, first) = token("board-1", "write:board-1@hall source:cellar");
    let (root, second) = token("root", "admin");
    let sources = r#"{"cellar":"preset:espeasy"}"#;
    let tokens = format!("{first}\n{second}");
    let variables = [("auth", "on"), ("tokens", &tokens), ("sources", sources)];
    let service = Service::start(&variables).unwrap();
    let nginx = Nginx::start(service.address(), "");

    let reading = json_reading("board-1", "hall", 20.0, now_ms()).to_string();
    let send = ["--header", "content-type: application/json", "--header", "prefer: wait", "--data"];
    let send = [&send[..], &[&reading]].concat();
    assert_eq!(nginx.status(PLAIN, &send, "/v1/readings"), "401", "without a token");
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let own = bearer(&board);
    let with_token = [&send[..], &["--header", &own]].concat();
    assert_eq!(nginx.status(PLAIN, &with_token, "/v1/readings"), "200");
    // Whoever may do everything can do no more here than send.
    let all = bearer(&root);
    for path in ["/", "/v1/regions", "/v1/tokens", "/v1/session", "/v1/readingsx", "/metrics"] {
        assert_eq!(nginx.status(PLAIN, &["--header", &all], path), "404", "{path}");
    }
    let said = nginx.status(PLAIN, &["--header", &all], "/v1/readings");
    assert_eq!(said, "403", "readings are listed without TLS");
    // All that `ingest` takes is led to it; what it says of it is its own.
    for path in ["/v1/in/cellar", "/write", "/api/v2/write", "/api/v3/write_lp", "/ping", "/health"]
    {
        assert_ne!(nginx.status(PLAIN, &["--header", &own], path), "404", "{path}");
    }
    let large = "x".repeat(70_000);
    let too_large = ["--header", &own, "--data", &large];
    assert_eq!(nginx.status(PLAIN, &too_large, "/v1/readings"), "413");
}
