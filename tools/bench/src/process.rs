//! The resource usage of a service's processes and files, as Linux reports it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// What the processes of a group have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time, in seconds.
    pub(crate) cpu_s: f64,
    /// Bytes written to the disk.
    pub(crate) written_bytes: u64,
    /// The sum of the processes' peak memory, in bytes.
    pub(crate) peak_bytes: u64,
    /// The memory in use now, in bytes.
    pub(crate) resident_bytes: u64,
}

/// Clock ticks per second: Linux has shown programs 100 on every machine since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

/// The usage of all processes in the group of `leader` (proc(5)). Ended processes are
/// not counted.
pub(crate) fn usage(leader: u32) -> Result<Usage> {
    let mut sum = Usage::default();
    for entry in std::fs::read_dir("/proc").context("there is no /proc")? {
        let path = entry?.path();
        // A process may end while it is read.
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        // Counted from the third field (state): group 5, times 14 and 15.
        if number(2) != Some(u64::from(leader)) {
            continue;
        }
        let ticks = number(11).unwrap_or(0) + number(12).unwrap_or(0);
        sum.cpu_s += ticks as f64 / TICKS_PER_SECOND;
        sum.written_bytes += named(&path.join("io"), "write_bytes:").unwrap_or(0);
        sum.peak_bytes += named(&path.join("status"), "VmHWM:").unwrap_or(0) * 1024;
        sum.resident_bytes += named(&path.join("status"), "VmRSS:").unwrap_or(0) * 1024;
    }
    Ok(sum)
}

/// The number after `name` in a file of such lines.
fn named(file: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The size of a database on disk with its write-ahead log, in bytes.
pub(crate) fn size(file: &Path) -> u64 {
    let with = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |found| found.len())
    };
    with("") + with("-wal")
}

/// The disk space of a file, or of everything below a directory, in bytes; 0 if it is
/// absent.
pub(crate) fn allocated(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    // A block of stat(2) has 512 bytes on every file system.
    let own = found.blocks() * 512;
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + below.map(|entry| allocated(&entry.path())).sum::<u64>()
}
