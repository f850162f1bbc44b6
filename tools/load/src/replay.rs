//! Sends a file's readings, and tells what became of each, by its line.
//!
//! All readings of a device go over one connection, in the order of the file. So of two
//! that contradict each other the first stands, whatever the number of connections.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Error;

use crate::delivered::Delivered;
use crate::left_out::Tally;
use crate::progress::Progress;
use crate::sender::Sender;
use crate::table::{Row, WireReading};

/// How a file is sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Readings in a request, at least 1.
    pub batch: usize,
    /// Connections that send, at least 1.
    pub connections: usize,
}

/// What became of the readings that were sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Answered requests.
    pub requests: usize,
    /// How often a request was sent again.
    pub retries: usize,
    /// Readings that are newly counted.
    pub stored: usize,
    /// Readings that were already counted.
    pub duplicate: usize,
    /// Readings that contradict a counted one, which stands.
    pub conflict: usize,
    /// The lines of the conflicts, in order, as far as the service names them.
    pub conflicts: Vec<Conflict>,
    /// Acknowledged readings that are not known to be stored, duplicates or conflicts
    /// yet.
    pub unknown: usize,
    /// Readings that were not acknowledged, by reason, as far as the service names
    /// them.
    pub rejected: Tally<String>,
    /// How many more were not acknowledged.
    pub rejected_omitted: usize,
    /// Lines that may not have been acknowledged, because the sending ended early.
    pub not_sent: Vec<u64>,
    /// Why the sending ended early.
    pub error: Option<Error>,
}

/// A reading that contradicts a counted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its line.
    pub line: u64,
    /// The first line with the same device and time, if that is an earlier one.
    pub earlier: Option<u64>,
}

/// Sends `rows`; `progress` has those that were answered. An error ends the sending. It is
/// returned with what became of the rest.
pub fn send(sender: &Sender, rows: &[Row], plan: Plan, progress: &Progress) -> Sent {
    let stop = AtomicBool::new(false);
    let mut sent = Sent::default();
    std::thread::scope(|scope| {
        let stop = &stop;
        let lanes = lanes(rows, plan.connections).into_iter();
        let deliver = |batch: &[&WireReading]| {
            sender.deliver_and_wait(batch).inspect(|_answered| progress.add(batch.len()))
        };
        let workers: Vec<_> = lanes
            .map(|lane| scope.spawn(move || send_lane(&lane, plan.batch, stop, deliver)))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(lane) => sent.merge(lane),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    sent.not_sent.sort_unstable();
    sent.conflicts.sort_unstable_by_key(|conflict| conflict.line);
    find_earlier(&mut sent.conflicts, rows);
    sent
}

/// Divides the rows among connections, with all rows of a device on the same one.
fn lanes(rows: &[Row], connections: usize) -> Vec<Vec<&Row>> {
    let mut lanes = vec![Vec::new(); connections.max(1)];
    let mut of_device = HashMap::new();
    for row in rows {
        let next = of_device.len() % lanes.len();
        let lane = *of_device.entry(row.reading.device_id.as_str()).or_insert(next);
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push(row);
        }
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

/// Sends the rows of one connection with `deliver`, one request after the other.
fn send_lane(
    lane: &[&Row],
    batch: usize,
    stop: &AtomicBool,
    deliver: impl Fn(&[&WireReading]) -> anyhow::Result<Delivered>,
) -> Sent {
    let mut sent = Sent::default();
    for rows in lane.chunks(batch.max(1)) {
        let lines = rows.iter().map(|row| row.line);
        if stop.load(Ordering::Relaxed) {
            sent.not_sent.extend(lines);
            continue;
        }
        let readings: Vec<&WireReading> = rows.iter().map(|row| &row.reading).collect();
        match deliver(&readings) {
            Ok(delivered) => sent.add(&delivered, &lines.collect::<Vec<_>>()),
            Err(error) => {
                stop.store(true, Ordering::Relaxed);
                sent.not_sent.extend(lines);
                sent.error = Some(error);
            }
        }
    }
    sent
}

/// Finds, for each conflict, the earlier line of the file that it contradicts.
fn find_earlier(conflicts: &mut [Conflict], rows: &[Row]) {
    let key = |row: &'_ Row| (row.reading.device_id.clone(), row.reading.timestamp.clone());
    let lines: HashSet<u64> = conflicts.iter().map(|conflict| conflict.line).collect();
    let contradicting = rows.iter().filter(|row| lines.contains(&row.line));
    let wanted: HashSet<_> = contradicting.map(key).collect();
    let (mut first, mut of_line) = (HashMap::new(), HashMap::new());
    if wanted.is_empty() {
        return;
    }
    for row in rows {
        let key = key(row);
        if wanted.contains(&key) {
            let earliest = *first.entry(key).or_insert(row.line);
            of_line.insert(row.line, earliest);
        }
    }
    for conflict in conflicts {
        let earlier = of_line.get(&conflict.line).copied();
        conflict.earlier = earlier.filter(|&earlier| earlier < conflict.line);
    }
}

impl Sent {
    /// How many readings were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.stored + self.duplicate + self.conflict + self.unknown
    }

    /// How many were rejected, by the service's answers.
    pub fn rejected(&self) -> usize {
        self.rejected.total() + self.rejected_omitted
    }

    /// Counts a request whose readings were on `lines`.
    fn add(&mut self, delivered: &Delivered, lines: &[u64]) {
        self.requests += 1;
        self.retries += delivered.retries;
        self.stored += delivered.stored;
        self.duplicate += delivered.duplicate;
        self.conflict += delivered.conflict;
        self.unknown += delivered.unknown;
        self.rejected_omitted += delivered.rejected_omitted;
        let conflicts = delivered.conflicts.iter().filter_map(|&index| lines.get(index));
        self.conflicts.extend(conflicts.map(|&line| Conflict { line, earlier: None }));
        for rejected in &delivered.rejected {
            match lines.get(rejected.index) {
                Some(&line) => self.rejected.add(rejected.reason.clone(), line, &rejected.detail),
                None => self.rejected_omitted += 1,
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.conflict += other.conflict;
        self.unknown += other.unknown;
        self.rejected_omitted += other.rejected_omitted;
        self.conflicts.extend(other.conflicts);
        self.not_sent.extend(other.not_sent);
        self.rejected.merge(other.rejected);
        self.error = self.error.take().or(other.error);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;
    use serde_json::value::RawValue;

    use super::*;
    use crate::delivered::Rejected;

    /// A row on `line`, with the device and the minute in `text`, such as `a3`.
    fn row(line: u64, text: &str) -> Row {
        let (device, minute) = text.split_at(1);
        let reading = WireReading {
            device_id: device.to_owned(),
            region: "r".to_owned(),
            temperature_c: RawValue::from_string("1".to_owned()).unwrap(),
            timestamp: minute.to_owned(),
        };
        Row { line, reading }
    }

    fn rows(texts: &[&str]) -> Vec<Row> {
        (2..).zip(texts).map(|(line, text)| row(line, text)).collect()
    }

    #[test]
    fn a_device_keeps_to_one_connection_and_the_files_order() {
        let rows = rows(&["a1", "b1", "c1", "a2", "c1", "b1", "a1", "d1"]);
        for (connections, expected) in [
            (1, vec![vec![2, 3, 4, 5, 6, 7, 8, 9]]),
            (2, vec![vec![2, 4, 5, 6, 8], vec![3, 7, 9]]),
            (9, vec![vec![2, 5, 8], vec![3, 7], vec![4, 6], vec![9]]),
        ] {
            let lanes = lanes(&rows, connections);
            let lines: Vec<Vec<u64>> =
                lanes.iter().map(|lane| lane.iter().map(|row| row.line).collect()).collect();
            assert_eq!(lines, expected, "{connections}");
        }
    }

    #[test]
    fn a_contradiction_names_the_earlier_line() {
        let rows = rows(&["a1", "b1", "a2", "a1", "b2", "a1"]);
        let conflict = |line| Conflict { line, earlier: None };
        let mut conflicts = [conflict(4), conflict(5), conflict(7)];
        find_earlier(&mut conflicts, &rows);
        assert_eq!(conflicts.map(|conflict| conflict.earlier), [None, Some(2), Some(2)]);
    }

    #[test]
    fn positions_in_requests_become_lines() {
        let rows = rows(&["a1", "a2", "a3", "a4", "a5"]);
        let answers = RefCell::new(vec![
            Delivered { unknown: 1, retries: 2, ..Delivered::default() },
            // All are rejected, which does not end the sending.
            Delivered {
                rejected: [0, 1].map(|index| rejected(index, "in_future")).to_vec(),
                ..Delivered::default()
            },
            Delivered {
                conflict: 1,
                conflicts: vec![1],
                rejected: vec![rejected(0, "too_old"), rejected(7, "too_old")],
                ..Delivered::default()
            },
        ]);
        let lane: Vec<&Row> = rows.iter().collect();
        let deliver = |_: &[&WireReading]| Ok(answers.borrow_mut().pop().unwrap());
        let sent = send_lane(&lane, 2, &AtomicBool::new(false), deliver);
        assert_eq!(sent.conflicts, [Conflict { line: 3, earlier: None }]);
        let groups: Vec<_> = sent.rejected.iter().map(|(r, g)| (r.as_str(), g.lines())).collect();
        assert_eq!(groups, [("in_future", &[4, 5][..]), ("too_old", &[2][..])]);
        assert_eq!((sent.acknowledged(), sent.rejected(), sent.unknown), (2, 4, 1));
        assert_eq!((sent.requests, sent.retries, sent.not_sent), (3, 2, vec![]));
    }

    #[test]
    fn an_error_ends_the_sending_and_the_rest_is_named() {
        let rows = rows(&["a1", "a2", "a3", "a4"]);
        let lane: Vec<&Row> = rows.iter().collect();
        let calls = RefCell::new(0);
        let deliver = |_: &[&WireReading]| {
            *calls.borrow_mut() += 1;
            match *calls.borrow() {
                1 => Ok(Delivered { stored: 1, ..Delivered::default() }),
                _ => bail!("gone"),
            }
        };
        let stop = AtomicBool::new(false);
        let sent = send_lane(&lane, 1, &stop, deliver);
        assert_eq!((sent.stored, sent.not_sent), (1, vec![3, 4, 5]));
        assert_eq!(sent.error.unwrap().to_string(), "gone");
        assert_eq!(*calls.borrow(), 2);
        assert!(stop.load(Ordering::Relaxed));
    }

    fn rejected(index: usize, reason: &str) -> Rejected {
        Rejected { index, reason: reason.to_owned(), detail: String::new() }
    }
}
