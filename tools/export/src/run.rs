//! An export: all pages into a file, and whether it is what the service's figures say.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::Client;
use crate::figures::{self, Figures};
use crate::file::Output;
use crate::page::{self, Coverage};
use crate::progress::Progress;

/// What is exported, and to where. Times are as the service takes them.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of one region alone.
    pub region: Option<String>,
    /// Of one device alone.
    pub device: Option<String>,
    /// The begin; the service has a default.
    pub from: Option<String>,
    /// The end, excluded; the service has a default.
    pub to: Option<String>,
    /// The most readings in a request.
    pub limit: usize,
    /// The file.
    pub out: PathBuf,
}

/// What came of an export.
#[derive(Debug)]
pub struct Report {
    /// Where the file is.
    pub path: PathBuf,
    /// The begin and the end of the range, as the service understood them.
    pub range: (String, String),
    /// The time zone of the local dates that the range was given in: `None` where it was
    /// given in none. The error is why the service did not tell it.
    pub zone: Option<Result<String, String>>,
    /// All readings of the file.
    pub figures: Figures,
    /// How many pages there were.
    pub pages: u64,
    /// What the last page covers.
    pub coverage: Coverage,
    /// Whether the file is right.
    pub verdict: Verdict,
}

/// Whether a file is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its whole minutes have these figures, and so say the service's.
    Same(Figures),
    /// There is nothing to compare it with, for this reason.
    NotCompared(String),
    /// Its whole minutes have the first figures, and the service says the second.
    Different(Figures, Figures),
    /// Readings of the range were counted meanwhile, so nobody can tell.
    Changed,
    /// Acknowledged readings were not counted when it was read.
    Incomplete,
}

impl Verdict {
    /// Whether the file may be taken for what was asked for.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Same(_) | Self::NotCompared(_))
    }
}

const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// Exports. A file that is not right keeps its temporary name.
pub fn run(client: &Client, wanted: &Wanted) -> Result<Report> {
    let mut output = Output::create(&wanted.out)?;
    // The first answer says what range it is: the pages and the figures have to agree on it.
    let coverage = Coverage::of(&client.get(&path(wanted, 1), CSV)?)?;
    let minutes = Minutes::of(&coverage)?;
    let is_local = [&wanted.from, &wanted.to].into_iter().flatten().any(|text| is_local(text));
    let zone = is_local.then(|| zone(client).map_err(|error| format!("{error:#}")));
    let before = service_figures(client, wanted, &minutes);
    let read = {
        let total = before.as_ref().ok().map(|figures| figures.count);
        let progress = Progress::new("export", "readings", total);
        let (from, to) = coverage.range.clone();
        let pinned = Wanted { from: Some(from), to: Some(to), ..wanted.clone() };
        let read = Read::new(coverage);
        read.all_pages(client, &path(&pinned, wanted.limit), &minutes, &mut output, &progress)?
    };
    let after = service_figures(client, wanted, &minutes);
    let verdict = read.verdict(&minutes, before, after)?;
    let Read { all, pages, coverage, .. } = read;
    output.end(&about(client, wanted, &coverage, all))?;
    let path = if verdict.is_good() { output.rename()? } else { output.keep() };
    let range = coverage.range.clone();
    Ok(Report { path, range, zone, figures: all, pages, coverage, verdict })
}

/// Whether a begin or an end is a local date, or a word for one: which instant it is depends
/// on the zone.
fn is_local(text: &str) -> bool {
    let is_date = text.len() == 10 && text.split('-').filter(|part| !part.is_empty()).count() == 3;
    is_date || ["today", "yesterday", "tomorrow"].contains(&text)
}

/// The time zone in which the service reads local dates.
fn zone(client: &Client) -> Result<String> {
    let status = client.get("/v1/status", JSON)?.json()?;
    let zone = status.get("time_zone").and_then(|zone| zone.as_str());
    Ok(zone.context("the status has no time_zone")?.to_owned())
}

/// What was read so far.
struct Read {
    all: Figures,
    /// Of those in whole minutes that have all their readings.
    compared: Figures,
    pages: u64,
    coverage: Coverage,
    is_complete: bool,
}

impl Read {
    fn new(coverage: Coverage) -> Self {
        let (all, compared) = (Figures::default(), Figures::default());
        Self { all, compared, pages: 0, coverage, is_complete: true }
    }

    fn all_pages(
        mut self,
        client: &Client,
        first: &str,
        minutes: &Minutes,
        output: &mut Output,
        progress: &Progress,
    ) -> Result<Self> {
        let mut next = Some(first.to_owned());
        while let Some(this) = next {
            let answer = client.get(&this, CSV)?;
            let before = self.all.count;
            page::readings(&answer.body, |reading| {
                self.all.add(reading.millicelsius);
                if (minutes.from..minutes.to).contains(&reading.ms) {
                    self.compared.add(reading.millicelsius);
                }
                output.add(reading)
            })?;
            self.coverage = Coverage::of(&answer)?;
            self.is_complete &= self.coverage.is_complete();
            self.pages += 1;
            progress.add(self.all.count - before);
            next = answer.next(&this)?;
        }
        Ok(self)
    }

    /// `before` and `after` are the service's figures, or why there are none.
    fn verdict(
        &self,
        minutes: &Minutes,
        before: Result<Figures, String>,
        after: Result<Figures, String>,
    ) -> Result<Verdict> {
        if !self.is_complete {
            return Ok(Verdict::Incomplete);
        }
        let (before, after) = match (before, after) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Verdict::NotCompared(reason)),
        };
        // What was deleted meanwhile (`retention`) is in the service's figures still.
        let is_settled = before == after && Minutes::of(&self.coverage)?.from == minutes.from;
        Ok(match [before, after].contains(&self.compared) {
            true => Verdict::Same(self.compared),
            false if is_settled => Verdict::Different(self.compared, after),
            false => Verdict::Changed,
        })
    }
}

/// The whole minutes of a range that were over before it was read and have all their
/// readings, in Unix milliseconds.
#[derive(Debug, PartialEq, Eq)]
struct Minutes {
    from: i64,
    /// Excluded.
    to: i64,
}

impl Minutes {
    fn of(coverage: &Coverage) -> Result<Self> {
        const MINUTE_MS: i64 = 60_000;
        let (from, to) = &coverage.range;
        let kept_from = coverage.kept_from.as_deref().map(page::instant).transpose()?;
        let (from, to) = (page::instant(from)?.max(kept_from.unwrap_or(0)), page::instant(to)?);
        Ok(Self {
            from: (from + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS,
            // In the last minute, readings come while it is read.
            to: to.min(page::instant(&coverage.as_of)? - MINUTE_MS) / MINUTE_MS * MINUTE_MS,
        })
    }
}

/// The service's figures of the minutes, or why there are none.
fn service_figures(client: &Client, wanted: &Wanted, minutes: &Minutes) -> Result<Figures, String> {
    if wanted.device.is_some() {
        return Err("the service has no figures of one device over a range".to_owned());
    }
    if minutes.from >= minutes.to {
        return Err("no whole minute of the range has all its readings".to_owned());
    }
    let figures = || {
        let range = [written(minutes.from)?, written(minutes.to)?];
        let region = wanted.region.as_deref().map(escaped);
        figures::of_service(client, region.as_deref(), &range)
    };
    figures().map_err(|error| format!("{error:#}"))
}

/// An instant as the service takes it.
fn written(ms: i64) -> Result<String> {
    Ok(OffsetDateTime::from_unix_timestamp(ms / 1_000)?.format(&Rfc3339)?)
}

/// What there is to know of a file, by names.
fn about(
    client: &Client,
    wanted: &Wanted,
    coverage: &Coverage,
    figures: Figures,
) -> Vec<(&'static str, String)> {
    let number = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
    let all = || "all".to_owned();
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("url", client.url().to_owned()),
        ("region", wanted.region.clone().unwrap_or_else(all)),
        ("device_id", wanted.device.clone().unwrap_or_else(all)),
        ("from", coverage.range.0.clone()),
        ("to", coverage.range.1.clone()),
        ("as_of", coverage.as_of.clone()),
        ("kept_from", coverage.kept_from.clone().unwrap_or_else(|| "the beginning".to_owned())),
        ("unfolded_readings", number(coverage.unfolded_readings)),
        ("quarantined_readings", number(coverage.quarantined_readings)),
        ("count", figures.count.to_string()),
        ("sum_millicelsius", figures.sum.to_string()),
    ]
}

/// The path of the first page.
fn path(wanted: &Wanted, limit: usize) -> String {
    let Wanted { region, device, from, to, .. } = wanted;
    let mut path = format!("/v1/readings?limit={limit}");
    for (name, value) in [("region", region), ("device_id", device), ("from", from), ("to", to)] {
        if let Some(value) = value {
            path = format!("{path}&{name}={}", escaped(value));
        }
    }
    path
}

/// A value as a part of a URL.
fn escaped(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'_' | b':' | b'-' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minutes_that_are_compared_are_whole_and_have_all_their_readings() {
        let minutes = |from: &str, to: &str, kept_from: Option<&str>| {
            let instant = |time: &str| format!("2026-11-22T{time}Z");
            let range = (instant(from), instant(to));
            let kept_from = kept_from.map(instant);
            let as_of = instant("11:00:59.000");
            let minutes = Minutes::of(&Coverage { range, as_of, kept_from, ..Coverage::default() });
            let Minutes { from, to } = minutes.unwrap();
            [from, to].map(|ms| written(ms).unwrap()[11..19].to_owned())
        };
        assert_eq!(minutes("10:00:00.000", "10:59:00.000", None), ["10:00:00", "10:59:00"]);
        assert_eq!(minutes("10:00:00.001", "10:59:59.999", None), ["10:01:00", "10:59:00"]);
        let kept = minutes("10:00:00.000", "10:50:00.000", Some("10:30:30.000"));
        assert_eq!(kept, ["10:31:00", "10:50:00"]);
        // They were not over yet.
        assert_eq!(minutes("10:00:00.000", "12:00:00.000", None), ["10:00:00", "10:59:00"]);
    }

    #[test]
    fn the_verdict_is_that_of_the_figures() {
        let figures = |count| Figures { count, sum: 5 };
        let range = ("2026-11-22T10:00:00Z".to_owned(), "2026-11-22T11:00:00Z".to_owned());
        let as_of = "2026-11-23T00:00:00Z".to_owned();
        let coverage = Coverage { range, as_of, ..Coverage::default() };
        let minutes = Minutes::of(&coverage).unwrap();
        let mut read = Read { compared: figures(7), ..Read::new(coverage) };
        let verdict = |read: &Read, before, after| {
            read.verdict(&minutes, Ok(figures(before)), Ok(figures(after))).unwrap()
        };
        assert_eq!(verdict(&read, 7, 7), Verdict::Same(figures(7)));
        assert_eq!(verdict(&read, 7, 8), Verdict::Same(figures(7)));
        assert_eq!(verdict(&read, 6, 7), Verdict::Same(figures(7)));
        assert_eq!(verdict(&read, 6, 8), Verdict::Changed);
        assert_eq!(verdict(&read, 8, 8), Verdict::Different(figures(7), figures(8)));
        let unknown = read.verdict(&minutes, Err("why".to_owned()), Ok(figures(7))).unwrap();
        assert_eq!(unknown, Verdict::NotCompared("why".to_owned()));
        read.coverage.kept_from = Some("2026-11-22T10:00:01Z".to_owned());
        assert_eq!(verdict(&read, 8, 8), Verdict::Changed);
        read.is_complete = false;
        assert_eq!(verdict(&read, 7, 7), Verdict::Incomplete);
        let good = [Verdict::Same(figures(7)), unknown].map(|verdict| verdict.is_good());
        assert_eq!(good, [true, true]);
    }

    #[test]
    fn dates_and_words_for_them_depend_on_the_zone() {
        let local = ["2026-11-01", "today", "yesterday", "tomorrow"];
        assert_eq!(local.map(is_local), [true; 4]);
        let instants = ["2026-11-01T00:00:00Z", "1795600800000", "0", "now", "-24h", "-1000000-0"];
        assert_eq!(instants.map(is_local), [false; 6]);
    }

    #[test]
    fn what_a_url_would_take_for_something_else_is_escaped() {
        assert_eq!(escaped("2026-11-22T10:00:00+01:00"), "2026-11-22T10:00:00%2B01:00");
        assert_eq!(escaped("a&b c/ü"), "a%26b%20c%2F%C3%BC");
    }
}
