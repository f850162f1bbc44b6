//! Copies of Redis and of libSQL's database while both are written to, and new servers on them: by
//! the steps of `deploy/spinkube/README.md`.

use isotherm_it::root;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::support::hrana::Hrana;
use crate::support::readings::{SUM_MILLICELSIUS, ten_thousand};
use crate::support::redis::Redis;
use crate::support::service::{Expect as _, send_shuffled, start_over};

/// The line of Redis's manifest that the README writes.
fn manifest() -> String {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let line = readme.lines().find(|line| line.ends_with("appendonly.aof.manifest\"")).unwrap();
    line.split('\'').nth(1).unwrap().to_owned() + "\n"
}

#[test]
fn servers_that_begin_with_a_backup_have_every_reading_from_before_it_once() {
    let (redis, directory) = (Redis::start(), TempDir::new().unwrap());
    let file = directory.path().join("server.db");
    let libsql = Hrana::start(&file);
    let service = start_over(&(redis.config() + &libsql.config()), &[]);
    let readings = ten_thousand();
    let (before, meanwhile) = readings.split_at(5_000);
    send_shuffled(&service, before, 1);
    let (journal, regions) =
        (directory.path().join("journal.rdb"), directory.path().join("copy.db"));
    std::thread::scope(|scope| {
        scope.spawn(|| send_shuffled(&service, meanwhile, 2));
        // The journal first.
        redis.copy_to(&journal);
        let server = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        server.execute("VACUUM INTO ?1", [regions.to_str()]).unwrap();
    });
    drop((service, redis, libsql));

    let of_redis = TempDir::new().unwrap();
    let appended = of_redis.path().join("appendonlydir");
    std::fs::create_dir(&appended).unwrap();
    std::fs::copy(&journal, appended.join("appendonly.aof.1.base.rdb")).unwrap();
    std::fs::write(appended.join("appendonly.aof.manifest"), manifest()).unwrap();
    let (redis, libsql) = (Redis::on(of_redis), Hrana::start(&regions));
    let service = start_over(&(redis.config() + &libsql.config()), &[]);
    let (count, _) = service.totals();
    assert!((5_000..=10_000).contains(&count), "{count}");
    // What it has of them already is a duplicate, and nothing is there twice.
    send_shuffled(&service, before, 3);
    assert_eq!(service.totals().0, count);
    send_shuffled(&service, meanwhile, 4);
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
}
