//! Excursions from their definition: a slow program that shares nothing with the application.

use std::collections::{BTreeMap, BTreeSet};

pub(super) const LOW: i64 = -25_000;
pub(super) const HIGH: i64 = -18_000;

/// A raw reading: device, region, when, and thousandths of a degree.
pub(super) type Raw = (String, String, i64, i64);

/// What the independent program finds of one device, and of all.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub(super) kind: &'static str,
    pub(super) begin: i64,
    pub(super) until: i64,
    pub(super) open: bool,
    /// How far outside, when, and by whom, of the worst.
    pub(super) worst: (i64, i64, String),
    pub(super) readings: usize,
    pub(super) devices: BTreeSet<String>,
    pub(super) gaps: Vec<i64>,
}

/// From the definition: of each device, all readings in the region up to `to`. A pause that is
/// longer than `gap` is a gap.
pub(super) fn independent(
    raw: &[Raw],
    region: &str,
    (from, to): (i64, i64),
    for_ms: i64,
    gap: i64,
) -> Vec<Interval> {
    let mut by_device: BTreeMap<&str, BTreeMap<i64, i64>> = BTreeMap::new();
    for (device, own, at, milli) in raw {
        if own == region && *at < to {
            by_device.entry(device).or_default().insert(*at, *milli);
        }
    }
    let mut all: Vec<Interval> = Vec::new();
    for (device, readings) in &by_device {
        let readings: Vec<(i64, i64)> = readings.iter().map(|(at, milli)| (*at, *milli)).collect();
        for (kind, depth) in [("high", 1), ("low", -1)] {
            let limit = if kind == "high" { HIGH } else { LOW };
            let is_outside = |&(_, milli): &(i64, i64)| (milli - limit) * depth > 0;
            let mut rest = &readings[..];
            while let Some(first) = rest.iter().position(is_outside) {
                rest = &rest[first..];
                let length = rest.iter().position(|r| !is_outside(r)).unwrap_or(rest.len());
                let (run, behind) = rest.split_at(length);
                let end = behind.first().map(|(at, _)| *at);
                let worst = run.iter().max_by_key(|(at, milli)| (milli * depth, -at)).unwrap();
                let pauses = run.windows(2).map(|pair| pair[1].0 - pair[0].0);
                all.push(Interval {
                    kind,
                    begin: run[0].0,
                    until: end.unwrap_or(run[length - 1].0),
                    open: end.is_none(),
                    worst: ((worst.1 - limit) * depth, worst.0, (*device).to_owned()),
                    readings: length,
                    devices: BTreeSet::from([(*device).to_owned()]),
                    gaps: pauses.filter(|pause| *pause > gap).collect(),
                });
                rest = behind;
            }
        }
    }
    unite(&mut all);
    all.retain(|i| i.until > from || (i.open && i.until == from));
    all.retain(|i| i.until - i.begin >= for_ms);
    all.sort_by_key(|i| (i.begin, i.kind));
    all
}

/// Any two of a kind that overlap or touch become one, until there are none.
fn unite(all: &mut Vec<Interval>) {
    loop {
        let overlap = |a: &Interval, b: &Interval| {
            a.kind == b.kind && a.begin <= b.until && b.begin <= a.until
        };
        let pair = (0..all.len())
            .find_map(|a| (a + 1..all.len()).find(|b| overlap(&all[a], &all[*b])).map(|b| (a, b)));
        let Some((a, b)) = pair else { return };
        let b = all.remove(b);
        let a = &mut all[a];
        let rank = |i: &Interval| (-i.worst.0, i.worst.1, i.worst.2.clone());
        if rank(&b) < rank(a) {
            a.worst = b.worst.clone();
        }
        (a.begin, a.until) = (a.begin.min(b.begin), a.until.max(b.until));
        a.open |= b.open;
        a.readings += b.readings;
        a.devices.extend(b.devices);
        a.gaps.extend(b.gaps);
    }
}
