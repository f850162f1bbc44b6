//! Power cuts: the stores are on a file system that forgets what was not synced.
//!
//! It is an ext4 in a file. While the gateway is stopped, a copy of that file has what was written to
//! the disk by then, and not what the page cache still has: it is what a power cut leaves. The next
//! start is on the copy.
//!
//! It needs root, loop devices and mkfs.ext4; `cargo xtask test` skips it by name without them.
//! `ISOTHERM_CUTS` is how often (5).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isotherm_it::now_ms;
use isotherm_it::programs::check;
use isotherm_load::sender::Sender;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Gateway, command};
use crate::support::readings::json_reading;
use crate::support::service::until;

const SENDERS: usize = 8;

fn run(program: &str, arguments: &[&str]) {
    check(&Command::new(program).args(arguments).output().unwrap());
}

/// A mounted file system. It is unmounted when it is dropped.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Of this file. Nothing is written back by itself while the test runs.
    fn mount(image: PathBuf) -> Self {
        let mount = image.with_extension("mount");
        std::fs::create_dir_all(&mount).unwrap();
        let (from, to) = (image.to_str().unwrap(), mount.to_str().unwrap());
        run("mount", &["-o", "loop,commit=600", from, to]);
        Self { image, mount }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.mount).status());
    }
}

fn start(disk: &Disk) -> Gateway {
    let data = disk.mount.join("data");
    Gateway::with(command(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]))
}

/// Stops it, and returns when none of its threads does anything.
fn freeze(gateway: &Gateway) {
    gateway.signal("STOP");
    let tasks = format!("/proc/{}/task", gateway.process.id());
    let is_stopped = |task: PathBuf| {
        let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    };
    until("all threads are stopped", || {
        let all = std::fs::read_dir(&tasks).unwrap();
        all.map(|task| task.unwrap().path()).all(is_stopped).then_some(())
    });
}

/// Sends readings until the power is cut; `number` says which. Those that were acknowledged are
/// added to `sent`.
fn send(sender: &Sender, number: usize, base: i64, is_over: &AtomicBool, sent: &Mutex<Vec<Value>>) {
    let mut next = 0;
    while !is_over.load(Ordering::SeqCst) {
        let reading = json_reading(&format!("d{number}"), "hall", 20.5, base + next);
        next += 1;
        let answer = sender.post(reading.to_string().as_bytes(), &[]);
        if answer.is_ok_and(|answer| answer.status == 202) {
            sent.lock().unwrap().push(reading);
        }
    }
}

/// One life of the gateway on `disk`, until the power is cut. Returns the disk as it is after that.
fn life(disk: Disk, to: &Path, base: i64, sent: &Mutex<Vec<Value>>) -> Disk {
    let gateway = start(&disk);
    let (is_over, before) = (AtomicBool::new(false), sent.lock().unwrap().len());
    std::thread::scope(|scope| {
        for number in 0..SENDERS {
            let url = format!("http://{}", gateway.address);
            let (is_over, sent) = (&is_over, &sent);
            scope.spawn(move || {
                send(&Sender::new(&url, Duration::ZERO), number, base, is_over, sent);
            });
        }
        until("many are acknowledged", || {
            (sent.lock().unwrap().len() >= before + 200).then_some(())
        });
        freeze(&gateway);
        is_over.store(true, Ordering::SeqCst);
        run("cp", &["--sparse=always", disk.image.to_str().unwrap(), to.to_str().unwrap()]);
        gateway.signal("KILL");
    });
    drop(gateway);
    drop(disk);
    Disk::mount(to.to_owned())
}

/// How many of them the gateway did not have.
fn missing(gateway: &Gateway, sent: &[Value]) -> u64 {
    let batches = sent.chunks(1_000).map(|batch| {
        let body = json!(batch).to_string();
        let answer = gateway.sender().post(body.as_bytes(), &[("prefer", "wait")]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().unwrap()["stored"].as_u64().unwrap()
    });
    batches.sum()
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let cuts = std::env::var("ISOTHERM_CUTS").map_or(5, |cuts| cuts.parse().unwrap());
    let (directory, sent) = (TempDir::new().unwrap(), Mutex::new(Vec::new()));
    let image = |number: usize| directory.path().join(format!("{number}.img"));
    let file = image(0);
    std::fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
    run("mkfs.ext4", &["-q", file.to_str().unwrap()]);
    let mut disk = Disk::mount(file);
    let base = now_ms() - 86_400_000;
    for cut in 1..=cuts {
        let step = i64::try_from(cut).unwrap() * 100_000;
        disk = life(disk, &image(cut), base + step, &sent);
        std::fs::remove_file(image(cut - 1)).unwrap();
        let gateway = start(&disk);
        let sent = sent.lock().unwrap();
        assert_eq!(missing(&gateway, &sent), 0, "of {} after {cut} cuts", sent.len());
    }
}
