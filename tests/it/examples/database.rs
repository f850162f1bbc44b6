//! Writes a regions database of this release's schema, which the next one has to migrate:
//! `cargo run -p isotherm-it --example database -- tests/data/regions-schema-N.db`.
//!
//! 200 readings of three devices in the regions `hall` and `attic`, one a half minute; the
//! n-th is n·37 mod 400 eighths of a degree less ten (`tests/it/migration.rs` knows their
//! figures).

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use isotherm::UnixMillis;
use isotherm::api::readings;
use isotherm::http::{Header, Request};
use isotherm_stores::native::NativeHost;
use serde_json::{Value, json};

const START: i64 = 1_700_000_040_000;
const NOW: i64 = START + 86_400_000;

fn nth(n: i64) -> Value {
    json!({
        "device_id": format!("d{}", n % 3),
        "region": if n % 2 == 0 { "hall" } else { "attic" },
        "temperature_c": (n * 37 % 400) as f64 / 8.0 - 10.0,
        "timestamp": START + n * 30_000,
    })
}

fn main() -> Result<()> {
    let target = std::env::args().nth(1).map(PathBuf::from).context("name the file to write")?;
    ensure!(!target.exists(), "{} is there already", target.display());
    let directory = tempfile::TempDir::new()?;
    let host = NativeHost::new(directory.path(), &[("retention", "0")])?;
    let now = UnixMillis::new(NOW).context("a time within the range")?;
    let request = Request::post("/v1/readings").with(Header::Prefer, "wait");
    let body = Value::Array((0..200).map(nth).collect()).to_string();
    let answer = readings::post(&host, &request, body.as_bytes(), now).response;
    ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
    let written = rusqlite::Connection::open(directory.path().join("regions.db"))?;
    // One file, of the same bytes whenever it is written.
    written.pragma_update(None, "journal_mode", "DELETE")?;
    written.execute("VACUUM INTO ?1", [target.display().to_string()])?;
    Ok(())
}
