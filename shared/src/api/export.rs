//! `GET /v1/readings`: all single readings, in pages of up to a hundred thousand.
//!
//! They are written into the body as they are read, without a table of values in between: a
//! component has little memory. `ingest` serves it, as a runtime finds the component by the
//! path alone.

use http::StatusCode;

use crate::api::answer::{Answered, HandlerResult};
use crate::api::call::Call;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::document::Fields;
use crate::http::params::{QueryParams, next_page, no_such_page};
use crate::http::path::{unknown_device, unknown_region};
use crate::http::{Kind, Problem, Response};
use crate::ledger::{self, Place};
use crate::limits;
use crate::read::export::{self, Ended, Named, Wanted};
use crate::read::fresh::fold_and_read_or_fail;

/// Answers with a page of readings, sorted by minute, then device, then time.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let params = &call.params;
    let (region, device) = (params.region()?, params.device()?);
    let (from, to) = bounds(params, call.now)?;
    let wanted = Wanted {
        region: region.as_ref().map(|region| region.as_str()),
        device: device.as_ref().map(|device| device.as_str()),
        from,
        to,
        after: params.after().map(|token| place(token).ok_or_else(no_such_page)).transpose()?,
    };
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let readable = call.readable();
    let read = fold_and_read_or_fail(call.host, span, call.now, |database| {
        database.read_at_once(|sql| {
            let mut body = Body::new(call.format, params.limit);
            let mut put = |reading: &Named<'_>| !readable.has(reading.region) || body.put(reading);
            let ended = export::page(sql, &wanted, &mut put)?;
            Ok((body, ended, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
        })
    })?;
    let (body, ended, pruned_before) = read.value;
    let next = match ended {
        Ended::Page(next) => next,
        Ended::UnknownRegion => return Err(read.covered.missing(unknown_region())),
        Ended::UnknownDevice if call.grant.scopes.reads_all() => {
            return Err(read.covered.missing(unknown_device()));
        }
        // As of a device that has sent to other regions alone.
        Ended::UnknownDevice => None,
    };
    // Without `from` and `to`, the range of the next page would be another one.
    let next = next.map(|place| page_after(&wanted, params.limit, place));
    let kept_from = UnixMillis::new(pruned_before).filter(|_| pruned_before > 0);
    let mut about = read.covered.coverage.record(&call.grant.scopes).with("kept_from", kept_from);
    if let (Format::Json, Some(next)) = (call.format, &next) {
        about = about.with("next", next.as_str());
    }
    let media_type = call.format.media_type();
    let mut response = Response::bytes(media_type, StatusCode::OK, body.end(&about));
    response = response.with_header("vary", "accept");
    if let Some(next) = next {
        response = response.with_header("link", format!("<{next}>; rel=\"next\""));
    }
    if call.format != Format::Json {
        response = response.with_header("isotherm-coverage", about.dictionary());
    }
    Ok(Answered { after_answer: read.covered.after_answer, ..response.into() })
}

/// `from` and `to`. By default `to` is a minute after now, and `from` 24 hours before `to`.
fn bounds(params: &QueryParams<'_>, now: UnixMillis) -> Result<(UnixMillis, UnixMillis), Problem> {
    const DAY_MS: i64 = 24 * 60 * UnixMillis::PER_MINUTE;
    let to = params.to.unwrap_or_else(|| now.saturating_add(UnixMillis::PER_MINUTE));
    let from = params.from.unwrap_or_else(|| to.saturating_sub(DAY_MS));
    match from < to {
        true => Ok((from, to)),
        false => Err(Problem::new(Kind::BadParameter, "from must be before to")),
    }
}

/// The page after `place`. Instants and names have no character that a query escapes.
fn page_after(wanted: &Wanted<'_>, limit: usize, place: Place) -> String {
    let [minute, device, ms] = place.parts();
    let mut query = format!("from={}&to={}&limit={limit}", wanted.from, wanted.to);
    for (name, value) in [("region", wanted.region), ("device_id", wanted.device)] {
        if let Some(value) = value {
            query = query + "&" + name + "=" + value;
        }
    }
    next_page(&format!("{query}&after={minute}.{device}.{ms}"))
}

/// The place of a token: what `page_after` writes.
fn place(token: &str) -> Option<Place> {
    let mut parts = token.split('.');
    let minute = parts.next()?.parse().ok()?;
    let (device, ms) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Place::new(minute, device, ms).filter(|_| parts.next().is_none())
}

/// A body that grows by readings.
struct Body {
    bytes: Vec<u8>,
    /// What stands before, between and after the values of a reading.
    around: [&'static str; 5],
    format: Format,
    /// How many more readings it takes.
    left: usize,
    /// The minute of the reading before, as it is written: `2026-11-22T10:00:`.
    minute: (i64, String),
}

impl Body {
    fn new(format: Format, limit: usize) -> Self {
        let (begin, around) = match format {
            Format::Csv => {
                ("timestamp,device_id,region,temperature_c\r\n", ["", ",", ",", ",", "\r\n"])
            }
            Format::Ndjson => ("", record("}\n")),
            Format::Json => ("{\"readings\":[", record("},")),
        };
        // All of it at once: while a buffer grows, the old one is there, too.
        let most = limit.saturating_mul(limits::READING_BYTES_MAX);
        let mut bytes = Vec::with_capacity(most.min(limits::READINGS_PAGE_BYTES_MAX) + TAIL_BYTES);
        bytes.extend(begin.as_bytes());
        Self { bytes, around, format, left: limit, minute: (-1, String::new()) }
    }

    /// Adds a reading, and returns whether there was room for it.
    fn put(&mut self, reading: &Named<'_>) -> bool {
        let is_full =
            self.bytes.len() + limits::READING_BYTES_MAX > limits::READINGS_PAGE_BYTES_MAX;
        if self.left == 0 || is_full {
            return false;
        }
        self.left -= 1;
        let [first, second, third, fourth, last] = self.around;
        self.add(first);
        self.add_instant(reading.at);
        self.add(second);
        self.add(reading.device);
        self.add(third);
        self.add(reading.region);
        self.add(fourth);
        self.add_celsius(reading.temperature);
        self.add(last);
        true
    }

    fn add(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
    }

    /// The instant as `Display` writes it; most readings share their minute with the one
    /// before.
    fn add_instant(&mut self, at: UnixMillis) {
        if self.minute.0 != at.minute() {
            let mut text = at.to_string();
            text.truncate(MINUTE_CHARS);
            self.minute = (at.minute(), text);
        }
        self.bytes.extend(self.minute.1.as_bytes());
        let ms = at.ms_of_minute().unsigned_abs();
        self.add_digits(ms / 1_000, 10);
        self.bytes.push(b'.');
        self.add_digits(ms % 1_000, 100);
        self.bytes.push(b'Z');
    }

    /// The temperature as JSON has it elsewhere: the shortest decimal, with a point.
    fn add_celsius(&mut self, temperature: MilliCelsius) {
        let millicelsius = u64::from(temperature.get().unsigned_abs());
        if temperature.get() < 0 {
            self.bytes.push(b'-');
        }
        let (whole, mut part) = (millicelsius / 1_000, millicelsius % 1_000);
        let mut highest = 1;
        while whole / highest >= 10 {
            highest *= 10;
        }
        self.add_digits(whole, highest);
        self.bytes.push(b'.');
        let mut highest = 100;
        while highest > 1 && part % 10 == 0 {
            (part, highest) = (part / 10, highest / 10);
        }
        self.add_digits(part, highest);
    }

    /// The decimal digits of `number`, from the place with the value `highest` on.
    fn add_digits(&mut self, number: u64, mut highest: u64) {
        while highest > 0 {
            let digit = u8::try_from(number / highest % 10).unwrap_or(0);
            self.bytes.push(b'0' + digit);
            highest /= 10;
        }
    }

    /// The whole body. In JSON, `about` stands beside the list.
    fn end(mut self, about: &Fields) -> Vec<u8> {
        if self.format == Format::Json {
            if self.bytes.last() == Some(&b',') {
                self.bytes.pop();
            }
            self.bytes.extend(b"],");
            let about = serde_json::to_vec(about).unwrap_or_default();
            self.bytes.extend(about.get(1..).unwrap_or_default());
        }
        self.bytes
    }
}

/// Room for what follows the readings in JSON.
const TAIL_BYTES: usize = 1_024;

/// How many characters of an instant say the minute.
const MINUTE_CHARS: usize = "2026-11-22T10:00:".len();

const fn record(end: &'static str) -> [&'static str; 5] {
    ["{\"timestamp\":\"", "\",\"device_id\":\"", "\",\"region\":\"", "\",\"temperature_c\":", end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(format: Format, limit: usize, readings: &[(i64, i64)]) -> (String, Vec<bool>) {
        let mut body = Body::new(format, limit);
        let put = |(ms, millicelsius): &(i64, i64)| {
            body.put(&Named {
                at: UnixMillis::new(*ms).unwrap(),
                device: "d",
                region: "r",
                temperature: MilliCelsius::new(*millicelsius).unwrap(),
            })
        };
        let taken = readings.iter().map(put).collect();
        let about = Fields::of([("stale", false.into())]);
        (String::from_utf8(body.end(&about)).unwrap(), taken)
    }

    #[test]
    fn readings_are_written_as_documents_write_them() {
        let all = [MilliCelsius::MIN, MilliCelsius::MAX].map(|edge| i64::from(edge.get()));
        for millicelsius in (-2_000..=2_000).chain(all) {
            for ms in [0, 59_999, 1_709_251_199_999, UnixMillis::MAX.get()] {
                let celsius = MilliCelsius::new(millicelsius).unwrap().to_celsius();
                let (timestamp, temperature) =
                    (UnixMillis::new(ms).unwrap(), serde_json::to_string(&celsius).unwrap());
                let line = format!("{timestamp},d,r,{temperature}\r\n");
                assert!(body(Format::Csv, 1, &[(ms, millicelsius)]).0.ends_with(&line), "{line}");
            }
        }
    }

    #[test]
    fn each_format_takes_as_many_readings_as_asked_for() {
        let readings = [(0, -500), (61_001, 20_125), (61_002, 7)];
        let (first, second) = (
            r#"{"timestamp":"1970-01-01T00:00:00.000Z","device_id":"d","region":"r","temperature_c":-0.5}"#,
            r#"{"timestamp":"1970-01-01T00:01:01.001Z","device_id":"d","region":"r","temperature_c":20.125}"#,
        );
        let taken = vec![true, true, false];
        let json = format!("{{\"readings\":[{first},{second}],\"stale\":false}}");
        assert_eq!(body(Format::Json, 2, &readings), (json, taken.clone()));
        let empty = "{\"readings\":[],\"stale\":false}".to_owned();
        assert_eq!(body(Format::Json, 2, &[]), (empty, vec![]));
        let ndjson = format!("{first}\n{second}\n");
        assert_eq!(body(Format::Ndjson, 2, &readings), (ndjson, taken.clone()));
        let csv = "timestamp,device_id,region,temperature_c\r\n\
                   1970-01-01T00:00:00.000Z,d,r,-0.5\r\n1970-01-01T00:01:01.001Z,d,r,20.125\r\n";
        assert_eq!(body(Format::Csv, 2, &readings), (csv.to_owned(), taken));
    }

    #[test]
    fn the_longest_reading_fits_into_what_is_reserved_for_it() {
        let name = "x".repeat(limits::NAME_BYTES_MAX);
        for format in [Format::Json, Format::Csv, Format::Ndjson] {
            let mut body = Body::new(format, 1);
            let before = body.bytes.len();
            body.put(&Named {
                at: UnixMillis::MAX,
                device: &name,
                region: &name,
                temperature: MilliCelsius::new(-273_149).unwrap(),
            });
            assert!(body.bytes.len() - before <= limits::READING_BYTES_MAX, "{format:?}");
        }
    }

    #[test]
    fn a_place_is_read_back_from_its_token() {
        for parts in [[0, 0, 0], [28_333_333, 5, 59_999], [1, (1 << 47) - 1, 65_535]] {
            let token = parts.map(|number: i64| number.to_string()).join(".");
            assert_eq!(place(&token).unwrap().parts(), parts);
        }
        for bad in ["", "1.2", "1.2.3.4", "a.b.c", "-1.2.3", "1.-2.3", "1.2.65536", "1.2.-3"] {
            assert!(place(bad).is_none(), "{bad}");
        }
    }
}
