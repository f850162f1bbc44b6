//! The lines that are sent to both: the same ones for the same seed.

use std::collections::BTreeMap;

use super::kinds::{AGREED, DIFFERENCES, Kind, SPACE, Sent};
use crate::support::readings::{DAY, HOUR, NOW};

/// A line, by what it means.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) kind: &'static Kind,
    pub(super) device: String,
    pub(super) region: String,
    /// In Unix nanoseconds.
    pub(super) ns: i64,
    pub(super) millicelsius: i64,
    template: &'static str,
}

/// A request.
pub(super) struct Batch {
    /// What is behind the name of the database in the query.
    pub(super) query: &'static str,
    pub(super) is_gzip: bool,
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
}

/// Precisions as InfluxDB 1 has them, and how many nanoseconds each counts. Without one it
/// takes nanoseconds.
const PRECISIONS: [(&str, i64); 6] = [
    ("", 1),
    ("&precision=n", 1),
    ("&precision=ns", 1),
    ("&precision=u", 1_000),
    ("&precision=ms", 1_000_000),
    ("&precision=s", 1_000_000_000),
];

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// How far apart the readings of a device are, in nanoseconds.
const STEP: i64 = 20 * SECOND;

const REGIONS: [&str; 5] = ["hall", "yard", "cold-1", "cold.2", "attic"];

/// Random numbers (xorshift64*, Vigna, 2016).
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Requests of 1 to 1,000 lines, with so many lines together at least. The first one has the
/// field in each of the measurements of `kinds`, as its type is that of the first value.
pub(super) fn batches(lines: usize, seed: u64) -> Vec<Batch> {
    let mut maker = Maker {
        random: Random(seed),
        counts: BTreeMap::new(),
        plain: Vec::new(),
        second: Vec::new(),
    };
    let mut batches = vec![maker.first()];
    while batches.iter().map(|batch| batch.lines.len()).sum::<usize>() < lines {
        // As many below 32 as above it.
        let size = (1 << maker.random.below(10)) + maker.random.below(512);
        batches.push(match maker.random.percent(20) {
            true => maker.alone(size / 2 + 1),
            false => maker.mixed(size.min(1_000)),
        });
    }
    batches.push(maker.last());
    batches
}

struct Maker {
    random: Random,
    /// How many readings each kind has.
    counts: BTreeMap<&'static str, usize>,
    /// Good lines that were sent.
    plain: Vec<Line>,
    /// Second lines that are still to be sent.
    second: Vec<Line>,
}

impl Maker {
    fn first(&mut self) -> Batch {
        let lines = (0..26).map(|_| self.line(&AGREED[0], 1)).collect();
        self.batch("&precision=n", 1, lines)
    }

    fn last(&mut self) -> Batch {
        let lines = std::mem::take(&mut self.second);
        self.batch("&precision=n", 1, lines)
    }

    /// A request of one kind.
    fn alone(&mut self, size: usize) -> Batch {
        let is_alone = |kind: &&Kind| matches!(kind.sent, Sent::Alone(..) | Sent::CrLf);
        let kinds: Vec<&'static Kind> = DIFFERENCES.iter().filter(is_alone).collect();
        let kind = *self.random.of(&kinds);
        let (query, unit) = match kind.sent {
            Sent::Alone(query, unit) => (query, unit),
            _ => *self.random.of(&PRECISIONS),
        };
        let lines = (0..size).map(|_| self.line(kind, unit)).collect();
        self.batch(query, unit, lines)
    }

    /// A request of all kinds, or of those that are good.
    fn mixed(&mut self, size: usize) -> Batch {
        let (query, unit) = *self.random.of(&PRECISIONS);
        let is_clean = self.random.percent(50);
        let among: Vec<&'static Kind> = DIFFERENCES
            .iter()
            .filter(|kind| !matches!(kind.sent, Sent::Alone(..) | Sent::CrLf))
            .filter(|kind| !matches!(kind.sent, Sent::AtTheEnd | Sent::Behind))
            .filter(|kind| !is_clean || kind.influx_takes && kind.isotherm_takes)
            .collect();
        let mut lines: Vec<Line> = (0..size).map(|_| self.one_of(&among, is_clean, unit)).collect();
        if !is_clean && self.random.percent(60) {
            let ends = DIFFERENCES.iter().enumerate();
            let ends: Vec<usize> =
                ends.filter(|(_, kind)| kind.sent == Sent::AtTheEnd).map(|(at, _)| at).collect();
            let at = *self.random.of(&ends);
            lines.push(self.line(&DIFFERENCES[at], unit));
            lines.push(self.line(&DIFFERENCES[at + 1], unit));
        }
        self.batch(query, unit, lines)
    }

    fn one_of(&mut self, among: &[&'static Kind], is_clean: bool, unit: i64) -> Line {
        match self.random.below(100) {
            0..5 => self.line(&AGREED[1], unit),
            5..8 if !is_clean => self.line(&AGREED[2], unit),
            8..14 => {
                let kind = *self.random.of(among);
                self.line(kind, unit)
            }
            14..16 => self.take_second(unit),
            16..26 => self.again(unit),
            _ => self.line(&AGREED[0], unit),
        }
    }

    /// A good line that was sent before, if its time can be written in this unit.
    fn again(&mut self, unit: i64) -> Line {
        let line = self.random.of(&self.plain).clone();
        if line.ns % unit == 0 { line } else { self.line(&AGREED[0], unit) }
    }

    /// The second line of some kind, if there is one whose time can be written in this unit.
    fn take_second(&mut self, unit: i64) -> Line {
        match self.second.iter().position(|line| line.ns % unit == 0) {
            Some(at) => self.second.swap_remove(at),
            None => self.line(&AGREED[0], unit),
        }
    }

    /// A new reading of a kind.
    fn line(&mut self, kind: &'static Kind, unit: i64) -> Line {
        let count = self.counts.entry(kind.name).or_default();
        let devices = if kind.name == "plain" { 500 } else { 7 };
        let (number, step) = (*count % devices, (*count / devices) as i64);
        *count += 1;
        let begin_ms = match kind.sent {
            Sent::Of1975 => 157_766_400_000,
            Sent::Ahead => NOW + HOUR,
            Sent::Old => NOW - 401 * DAY,
            _ => NOW - 6 * HOUR,
        };
        let whole = begin_ms / 1_000 * SECOND + step * STEP;
        let fraction = self.random.below(1_000) as i64 * MILLISECOND;
        let ns = if unit <= MILLISECOND { whole + fraction } else { whole };
        let mut millicelsius = self.random.below(180_000) as i64 - 60_000;
        if kind.templates[0].contains("{w}") {
            millicelsius = millicelsius / 1_000 * 1_000;
        }
        if matches!(kind.name, "plus" | "unsigned") {
            millicelsius = millicelsius.abs();
        }
        let device = format!("{}-{number}", kind.name);
        let region = REGIONS[number % REGIONS.len()].to_owned();
        let template = match kind.second() {
            Some(_) => kind.templates[0],
            None => self.random.of(kind.templates),
        };
        let line = Line { kind, device, region, ns, millicelsius, template };
        self.remember(&line);
        line
    }

    fn remember(&mut self, line: &Line) {
        if line.kind.name == "plain" {
            self.plain.push(line.clone());
        }
        let Some(template) = line.kind.second() else { return };
        let mut second = Line { template, ..line.clone() };
        second.millicelsius += line.kind.second_is_warmer_by();
        if template.contains("=elsewhere") {
            second.region = "elsewhere".to_owned();
        }
        // Within the same millisecond.
        second.ns += if line.kind.name == "fine" { 999 } else { 0 };
        self.second.push(second);
    }

    fn batch(&mut self, query: &'static str, unit: i64, lines: Vec<Line>) -> Batch {
        let is_crlf = lines.iter().any(|line| line.kind.sent == Sent::CrLf);
        let mut text = String::new();
        for line in &lines {
            if self.random.percent(3) && line.kind.sent != Sent::Behind {
                text.push_str(SPACE[self.random.below(SPACE.len())]);
                text.push_str(if is_crlf { "\r\n" } else { "\n" });
            }
            text.push_str(&self.text(line, unit));
            text.push_str(if is_crlf { "\r\n" } else { "\n" });
        }
        if self.random.percent(30) && !is_crlf {
            text.truncate(text.trim_end_matches('\n').len());
        }
        Batch { query, is_gzip: self.random.percent(20), text, lines }
    }

    fn text(&mut self, line: &Line, unit: i64) -> String {
        let style = self.random.below(6);
        let fields: String = match line.template.contains("{600 fields}") {
            true => (0..600).map(|n| format!(",f{n}=1")).collect(),
            false => String::new(),
        };
        line.template
            .replace("{d}", &line.device)
            .replace("{r}", &line.region)
            .replace("{v}", &written(line.millicelsius, style))
            .replace("{f}", &written(line.millicelsius, 0))
            .replace("{w}", &(line.millicelsius / 1_000).to_string())
            .replace("{t}", &(line.ns / unit).to_string())
            .replace("{600 fields}", &fields)
    }
}

/// A temperature as some client writes it; in style 0 with three decimals.
fn written(millicelsius: i64, style: usize) -> String {
    let sign = if millicelsius < 0 { "-" } else { "" };
    let (whole, rest) = (millicelsius.abs() / 1_000, millicelsius.abs() % 1_000);
    match style {
        1 => format!("{sign}{whole}.{rest:03}000"),
        2 => format!("{millicelsius}e-3"),
        3 => format!("{sign}00{whole}.{rest:03}"),
        4 if whole == 0 => format!("{sign}.{rest:03}"),
        4 if rest == 0 => format!("{sign}{whole}."),
        5 if rest == 0 => format!("{sign}{whole}"),
        5 => format!("{sign}{whole}.{}", format!("{rest:03}").trim_end_matches('0')),
        _ => format!("{sign}{whole}.{rest:03}"),
    }
}
