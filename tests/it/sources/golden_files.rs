//! The files of `tests/data/sources`: a request as it was sent, how its source is set up, and
//! what must become of it.

use std::path::{Path, PathBuf};

use http::Method;
use isotherm::http::{Headers, Request};
use isotherm_it::root;
use serde_json::Value;

/// A message, how its source is set up, and what must become of it.
pub(super) struct Golden {
    /// `17-airrohr`.
    pub(super) name: String,
    pub(super) request: Vec<u8>,
    pub(super) mapping: Option<Value>,
    /// The table of the source's devices, as CSV.
    pub(super) devices: Option<String>,
    pub(super) expected: Value,
    pub(super) twins: Vec<Value>,
}

pub(super) fn directory() -> PathBuf {
    root().join("tests/data/sources")
}

fn json_at(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

impl Golden {
    fn read(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        let needed = |name: &str| json_at(&file(name)).unwrap_or_else(|| panic!("{directory:?}"));
        Self {
            name: directory.file_name().unwrap().to_str().unwrap().to_owned(),
            request: std::fs::read(file("request.http")).unwrap(),
            mapping: json_at(&file("source.json")),
            devices: std::fs::read_to_string(file("devices.csv")).ok(),
            expected: needed("expected.json"),
            twins: needed("twins.json").as_array().unwrap().clone(),
        }
    }

    /// All of them, in order.
    pub(super) fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(directory()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.is_dir());
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    pub(super) fn number(&self) -> u32 {
        self.name.split('-').next().unwrap().parse().unwrap()
    }

    /// The request of one of its twins.
    pub(super) fn twin(&self, twin: &Value) -> Vec<u8> {
        let mut bytes = self.request.clone();
        for pair in twin["replace"].as_array().unwrap() {
            let [from, to] = [0, 1].map(|index| pair[index].as_str().unwrap().as_bytes());
            let at = bytes.windows(from.len()).position(|window| window == from);
            let at = at.unwrap_or_else(|| panic!("{} {}: {pair}", self.name, twin["name"]));
            bytes.splice(at..at + from.len(), to.iter().copied());
        }
        bytes
    }
}

/// The head and the body of a request as it was sent. `is_whole` says that the length in its
/// head must be that of its body.
pub(super) fn parsed(name: &str, sent: &[u8], is_whole: bool) -> (Request, Vec<u8>) {
    let end = sent.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = (std::str::from_utf8(&sent[..end]).unwrap(), sent[end + 4..].to_vec());
    assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{name}: bare newline");
    let mut lines = head.split("\r\n");
    let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else { panic!("{name}: {line:?}") };
    let length = body.len().to_string();
    let pairs: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{name}: {line}")))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
        .map(|(key, value)| match key == "content-length" {
            true if is_whole => {
                assert_eq!(value, length, "{name}: content-length");
                (key, value)
            }
            true => (key, length.clone()),
            false => (key, value),
        })
        .collect();
    let has = |wanted: &str| pairs.iter().any(|(key, _)| key == wanted);
    assert!(body.is_empty() || has("content-length"), "{name}: a body without a length");
    let values = |wanted: &'static str| {
        pairs.iter().filter(|(key, _)| key == wanted).map(|(_, value)| value.clone()).collect()
    };
    let request = Request::with_method(Method::from_bytes(method.as_bytes()).unwrap(), target);
    (Request { headers: Headers::from_lines(values), ..request }, body)
}

/// The source that a request is for, by its path; `None` for readings in our own formats.
pub(super) fn source_of(request: &Request) -> Option<String> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let parameter = |wanted: &str| {
        let query = request.query.as_deref().unwrap_or_default().split('&');
        query.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == wanted)
    };
    let source = match parts[..] {
        ["v1", "in", source] | ["v1", "in", source, _] => source,
        ["write"] | ["api", "v2", "write"] => {
            parameter("bucket").or_else(|| parameter("db")).unwrap().1
        }
        ["api", "v1", _, "telemetry"] => "thingsboard",
        ["weatherstation", _] => "wunderground",
        ["data", "report", _] => "ecowitt",
        _ => return None,
    };
    Some(source.to_owned())
}
