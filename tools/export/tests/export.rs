//! Exports of a running service, read back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use isotherm_export::client::Client;
use isotherm_export::figures::Figures;
use isotherm_export::run::{self, Report, Verdict, Wanted};
use isotherm_it::{Service, now_ms};
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MINUTE: i64 = 60_000;

/// A minute, some hours ago.
fn begin() -> i64 {
    now_ms() / MINUTE * MINUTE - 300 * MINUTE
}

/// 1,200 readings of twelve devices in three regions over 100 minutes, newest first.
fn send(service: &Service, begin: i64) {
    let one = |n: i64| {
        json!({"device_id": format!("d{}", n % 12), "region": format!("r{}", n % 3),
               "temperature_c": (n % 700) as f64 / 8.0 - 40.125,
               "timestamp": begin + n / 12 * MINUTE + n % 12})
    };
    for batch in (0..4).rev() {
        let readings: Vec<Value> = (batch * 300..batch * 300 + 300).map(one).collect();
        let body = json!(readings).to_string();
        let answer = service.sender().post(body.as_bytes(), &[("prefer", "wait=10")]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

fn wanted(begin: i64, out: &Path) -> Wanted {
    Wanted {
        from: Some(begin.to_string()),
        to: Some((begin + 100 * MINUTE).to_string()),
        limit: 500,
        out: out.to_owned(),
        ..Wanted::default()
    }
}

fn export(service: &Service, wanted: &Wanted) -> Report {
    let client = Client::new(service.sender().url(), Duration::from_secs(60));
    run::run(&client, wanted).unwrap()
}

/// The program itself.
fn program(service: &Service, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm-export"));
    command.args(["--url", service.sender().url()]).args(arguments).output().unwrap()
}

/// The rows of a file of Parquet, as NDJSON has them.
fn rows(path: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| {
        let fields: Vec<(&String, &Field)> = row.get_column_iter().collect();
        let [
            (_, Field::TimestampMillis(at)),
            (_, Field::Str(device)),
            (_, Field::Str(region)),
            (_, Field::Decimal(decimal)),
        ] = fields[..]
        else {
            panic!("{fields:?}");
        };
        assert_eq!((decimal.precision(), decimal.scale()), (7, 3));
        let millicelsius = i32::from_be_bytes(decimal.data().try_into().unwrap());
        json!([at, device, region, millicelsius])
    };
    reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect()
}

#[test]
fn every_format_has_every_reading_and_the_sum_that_the_service_has() {
    let (service, directory, begin) =
        (Service::start(&[]).unwrap(), TempDir::new().unwrap(), begin());
    send(&service, begin);
    let [csv, ndjson, parquet] = ["x.csv", "x.ndjson", "x.parquet"].map(|name| {
        let report = export(&service, &wanted(begin, &directory.path().join(name)));
        assert_eq!((report.figures.count, report.pages), (1_200, 3));
        assert_eq!(report.verdict, Verdict::Same(report.figures));
        report
    });
    let csv = std::fs::read_to_string(csv.path).unwrap();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines[0], "timestamp,device_id,region,temperature_c");
    let ndjson = std::fs::read_to_string(ndjson.path).unwrap();
    let of_ndjson: Vec<Value> = ndjson.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let as_lines = of_ndjson.iter().map(|reading| {
        let text = |name: &str| reading[name].as_str().unwrap().to_owned();
        let [at, device, region] = ["timestamp", "device_id", "region"].map(text);
        format!("{at},{device},{region},{}", reading["temperature_c"])
    });
    assert_eq!(as_lines.collect::<Vec<_>>(), lines[1..lines.len() - 1]);

    let of_parquet = rows(&parquet.path);
    let sum: i64 = of_parquet.iter().map(|row| row[3].as_i64().unwrap()).sum();
    assert_eq!((of_parquet.len(), sum), (1_200, parquet.figures.sum));
    for (row, reading) in of_parquet.iter().zip(&of_ndjson) {
        assert_eq!((&row[1], &row[2]), (&reading["device_id"], &reading["region"]));
        let celsius = row[3].as_f64().unwrap() / 1_000.0;
        assert_eq!(celsius, reading["temperature_c"].as_f64().unwrap());
    }
    assert_eq!(of_parquet[0][0], begin);
    let names: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(names.len(), 3, "nothing temporary is left");
}

#[test]
fn a_parquet_file_has_exact_types_and_says_where_it_is_from() {
    let (service, directory, begin) =
        (Service::start(&[]).unwrap(), TempDir::new().unwrap(), begin());
    send(&service, begin);
    let out = directory.path().join("x.parquet");
    let report = export(&service, &Wanted { region: Some("r1".to_owned()), ..wanted(begin, &out) });
    assert!(matches!(report.verdict, Verdict::Same(Figures { count: 400, .. })), "{report:?}");
    let reader = SerializedFileReader::new(File::open(&out).unwrap()).unwrap();
    let metadata = reader.metadata().file_metadata();
    let columns = metadata.schema_descr().columns();
    let types = columns.iter().map(|column| (column.physical_type(), column.logical_type_ref()));
    let types: Vec<(PhysicalType, Option<LogicalType>)> =
        types.map(|(physical, logical)| (physical, logical.cloned())).collect();
    assert!(
        matches!(
            &types[..],
            [
                (PhysicalType::INT64, Some(LogicalType::Timestamp { .. })),
                (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
                (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
                (PhysicalType::INT32, Some(LogicalType::Decimal { .. })),
            ]
        ),
        "{types:?}"
    );
    let about = metadata.key_value_metadata().unwrap();
    let value = |name: &str| {
        let found = about.iter().find(|pair| pair.key == format!("isotherm.{name}"));
        found.unwrap_or_else(|| panic!("no {name}")).value.clone().unwrap()
    };
    assert_eq!(value("url"), service.sender().url());
    assert_eq!(value("region"), "r1");
    assert_eq!(value("count"), "400");
    assert_eq!(value("sum_millicelsius"), report.figures.sum.to_string());
    assert_eq!([value("from"), value("to")], [report.range.0, report.range.1]);
    assert_eq!(value("unfolded_readings"), "0");
    assert_eq!(value("version"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn local_dates_are_those_of_the_zone_that_is_said() {
    let service = Service::start(&[("time_zone", "Asia/Kolkata"), ("retention", "0")]).unwrap();
    let directory = TempDir::new().unwrap();
    // Midnight in Kolkata is 18:30 of the day before in UTC.
    let begin = OffsetDateTime::parse("2026-01-14T18:30:00Z", &Rfc3339).unwrap();
    send(&service, begin.unix_timestamp() * 1_000 - 50 * MINUTE);
    let out = directory.path().join("x.csv");
    let said = |from: &str, to: &str| {
        let done = program(&service, &["--from", from, "--to", to, "--out", out.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let range = "2026-01-14T18:30:00.000Z to 2026-01-15T18:30:00.000Z";
    let figures = "600 readings in 1 requests";
    let local = format!("{range} (local dates of Asia/Kolkata): {figures}");
    assert_eq!(said("2026-01-15", "2026-01-16"), local);
    assert_eq!(said("2026-01-15", "2026-01-15T18:30:00Z"), local);
    // Of instants, the zone does not matter.
    let instants = said("2026-01-14T18:30:00Z", "2026-01-16T00:00:00+05:30");
    assert_eq!(instants, format!("{range}: {figures}"));
}

#[test]
fn figures_that_differ_end_the_program_loudly() {
    let (service, directory, begin) =
        (Service::start(&[]).unwrap(), TempDir::new().unwrap(), begin());
    send(&service, begin);
    let out = directory.path().join("x.csv");
    let from = begin.to_string();
    let arguments = ["--from", &from, "--out", out.to_str().unwrap()];
    let good = program(&service, &arguments);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(said.contains("1200 readings in 1 requests"), "{said}");
    assert!(said.contains("Compared 1200 of 1200 readings"), "{said}");

    // One window forgets a reading.
    let before = std::fs::read(&out).unwrap();
    let windows = "UPDATE windows SET sum = sum - 1 WHERE span IN (1, 60) AND region = \
                   (SELECT id FROM regions WHERE name = 'r1')";
    Connection::open(service.regions_file()).unwrap().execute(windows, []).unwrap();
    std::fs::write(&out, "an older export").unwrap();
    let bad = program(&service, &arguments);
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(bad.status.code(), Some(2), "{said}");
    assert!(said.contains("NOT CONFIRMED"), "{said}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "an older export");
    assert_eq!(std::fs::read(out.with_extension("csv.partial")).unwrap(), before);

    // Of one device there is nothing to compare it with, which is said.
    let device = program(&service, &[&arguments[..], &["--device", "d3"]].concat());
    let said = String::from_utf8_lossy(&device.stdout).into_owned();
    assert_eq!(device.status.code(), Some(0), "{said}");
    assert!(said.contains("Compared 0 of 100 readings"), "{said}");

    for (arguments, words) in [
        (vec!["--out", "/nowhere/x.csv"], "can't write"),
        (vec!["--out", "x.txt"], "ends neither in"),
        (vec!["--region", "nowhere", "--out", "y.csv"], "unknown region"),
        (vec!["--from", "soon", "--out", "y.csv"], "from must be"),
        (vec![], "into which file?"),
        (vec!["--what"], "--what"),
    ] {
        let failed = program(&service, &arguments);
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!Path::new("y.csv").exists() && !Path::new("y.csv.partial").exists());
}

#[test]
fn a_token_of_the_environment_lets_the_programs_in() {
    let now = isotherm::UnixMillis::new(begin()).unwrap();
    let made =
        |id: &str, scope: &str| isotherm::new_token(id, &[7; 32], &[scope], None, now).unwrap();
    let ((reader, first), (writer, second)) = (made("r", "read:*"), made("w", "write:*@*"));
    let lines = format!("{first};{second}");
    let service = Service::start(&[("auth", "on"), ("tokens", &lines)]).unwrap();
    let directory = TempDir::new().unwrap();
    let (readings, out) = (directory.path().join("in.csv"), directory.path().join("out.csv"));
    let line = format!("timestamp,device_id,region,temperature_c\n{},d1,hall,1.5\n", now.get());
    std::fs::write(&readings, line).unwrap();
    let run = |program: &str, token: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.env_remove("ISOTHERM_TOKEN").envs(token.map(|token| ("ISOTHERM_TOKEN", token)));
        command.args(arguments).args(["--url", service.sender().url()]).output().unwrap()
    };
    let load = isotherm_it::binary("isotherm-load").unwrap();
    let replay = ["replay", readings.to_str().unwrap(), "--patience", "1"];
    let export = env!("CARGO_BIN_EXE_isotherm-export");
    let (from, to) = (now.get().to_string(), (now.get() + 1).to_string());
    let exported =
        ["--out", out.to_str().unwrap(), "--from", &from, "--to", &to, "--patience", "1"];
    for (program, arguments, token) in
        [(load.to_str().unwrap(), &replay[..], &writer), (export, &exported[..], &reader)]
    {
        let refused = run(program, None, arguments);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("401"), "{said}");
        let done = run(program, Some(token), arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert!(!said.contains(token.as_str()), "{said}");
    }
    assert!(std::fs::read_to_string(out).unwrap().contains(",d1,hall,1.5"));
}

/// Skipped by name with Spin, whose stores do not fail on demand.
mod store_faults {
    use super::*;

    #[test]
    fn an_export_waits_for_the_database_and_says_what_is_not_counted() {
        let service = Service::start_faulty(&[]).unwrap();
        let (directory, begin) = (TempDir::new().unwrap(), begin());
        send(&service, begin);
        let wanted = wanted(begin, &directory.path().join("x.ndjson"));
        let fail = |rules: Value| service.set_faults(&rules).unwrap();
        fail(json!([{"store": "sqlite", "effect": "fail"}]));
        let report = std::thread::scope(|scope| {
            let export = scope.spawn(|| export(&service, &wanted));
            // Until it has been refused at least once.
            service
                .wait_for_log("\"route\":\"GET /v1/readings\",\"who\":\"anyone\",\"status\":503")
                .unwrap();
            fail(json!([]));
            export.join().unwrap()
        });
        assert_eq!(report.verdict, Verdict::Same(report.figures));
        assert_eq!(report.figures.count, 1_200);

        fail(json!([{"store": "key_value", "effect": "fail"}]));
        let report = export(&service, &wanted);
        assert_eq!((report.verdict, report.figures.count), (Verdict::Incomplete, 1_200));
        assert!(report.path.ends_with("x.ndjson.partial"));
    }
}
