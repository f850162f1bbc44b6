//! A batch of readings from another node: `application/vnd.isotherm.readings`.
//!
//! Integers are LEB128; signed ones are zigzag encoded first. A name or a text is its length
//! and its bytes.
//!
//! ```text
//! version      one byte, 1
//! checksum     four bytes, little endian: the lower half of the XXH64 of what follows,
//!              with the seed 0
//! node         16 bytes: the sender
//! name         the sender's, may be empty
//! sends        how often the sender has sent to this peer
//! as_of        the sender's clock, Unix milliseconds
//! behind       minutes, and readings
//! last hour    readings
//! batch        16 bytes
//! asked        how many, at most 64, then for each: the 16 bytes of a batch
//! anchor       0; or 1, the 16 bytes of a batch, and the 8 bytes of a mark
//! base         the lowest time, Unix milliseconds
//! regions      how many, then the name of each
//! devices      how many, sorted by name, then for each:
//!   shared     how many bytes its name has in common with the one before
//!   name       the rest of it
//!   readings   how many, sorted by time, then for each:
//!     step     (after − after of the device's reading before), signed, doubled, plus 1 if the
//!              place differs from that of the reading before. `after` is the time in ms since
//!              the device's reading before, of the first since the base
//!     place    if it differs: the region's index doubled, plus 1 if the reading came late
//!     milli    thousandths of a degree Celsius, less those of the reading before, signed; plus
//!              2²² after the zigzag if the reading's time is that of its arrival at the
//!              node that it was sent to
//! corrections  how many, then for each:
//!   text       what it says (`Correction::to_text`)
//!   hash       32 bytes: the sender's SHA-256 of that, when it was made
//!   made       Unix milliseconds
//!   by         0; or 1 and the name of the credential
//! ```
//!
//! So a reading of a device that measures in regular steps takes three or four bytes, and a
//! batch that only asks some sixty.
//!
//! Before the first reading `place` is 0 and `milli` is 0; they go on from one device to the
//! next.

use crate::base::checksum::checksum;
use crate::base::distinct::Distinct;
use crate::base::input::{Input, put_length, put_text};
use crate::base::varint::{self, marked, unmarked, unzigzag, zigzag};
use crate::domain::exchange::{Anchor, BatchId, Mark, Sender, SentCorrection, instant};
use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use crate::limits;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.isotherm.readings";

const VERSION: u8 = 1;

/// Bytes before what the checksum is of.
const HEAD_BYTES: usize = 5;

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Who sends it.
    pub sender: Sender<'a>,
    /// Its id.
    pub id: BatchId,
    /// Batches of this sender that it does not know to be counted.
    pub asked: Vec<BatchId>,
    /// The last batch that the receiver said it had counted.
    pub anchor: Option<Anchor>,
    /// The readings, sorted by device and time.
    pub readings: Vec<Reading<'a>>,
    /// The corrections.
    pub corrections: Vec<SentCorrection<'a>>,
}

/// Why a batch can't be read. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A version of a newer release.
    Version(u8),
    /// It was damaged on its way, or cut off.
    Checksum,
    /// No encoder can have written this part of it.
    Content(&'static str),
    /// More readings than a request may have.
    TooMany,
}

impl Batch<'_> {
    /// Encodes the batch. Its readings must be sorted by device and time.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEAD_BYTES];
        self.put_head(&mut out);
        let base = self.readings.iter().map(|reading| reading.timestamp.get()).min().unwrap_or(0);
        varint::put(&mut out, base.cast_unsigned());
        let Distinct { names: regions, places, .. } =
            Distinct::of(self.readings.iter().map(|reading| reading.region.as_str()));
        put_length(&mut out, regions.len());
        for region in regions {
            put_text(&mut out, region);
        }
        self.put_devices(&mut out, base, &places);
        put_length(&mut out, self.corrections.len());
        for sent in &self.corrections {
            sent.put(&mut out);
        }
        if let Some((head, rest)) = out.split_first_chunk_mut::<HEAD_BYTES>() {
            let [a, b, c, d] = checksum(0, rest);
            *head = [VERSION, a, b, c, d];
        }
        out
    }

    fn put_head(&self, out: &mut Vec<u8>) {
        self.sender.put(out);
        out.extend(self.id.0);
        put_length(out, self.asked.len());
        for batch in &self.asked {
            out.extend(batch.0);
        }
        out.push(u8::from(self.anchor.is_some()));
        if let Some(Anchor { batch, mark }) = self.anchor {
            out.extend(batch.0);
            out.extend(mark.0);
        }
    }

    fn put_devices(&self, out: &mut Vec<u8>, base: i64, places: &[usize]) {
        let by_device = || self.readings.chunk_by(|a, b| a.device_id == b.device_id);
        put_length(out, by_device().count());
        let (mut name, mut place_before, mut milli_before, mut index) = ("", 0, 0, 0);
        for readings in by_device() {
            let Some(device) = readings.first().map(|reading| reading.device_id.as_str()) else {
                continue;
            };
            let shared = name.bytes().zip(device.bytes()).take_while(|(a, b)| a == b).count();
            put_length(out, shared);
            // Names are ASCII.
            put_text(out, device.get(shared..).unwrap_or_default());
            put_length(out, readings.len());
            let (mut at, mut after_before) = (base, 0);
            for reading in readings {
                let region = places.get(index).copied().unwrap_or(0);
                let place = region * 2 + usize::from(reading.is_late());
                let after = reading.timestamp.get() - at;
                let step = zigzag(after - after_before) << 1 | u64::from(place != place_before);
                varint::put(out, step);
                if place != place_before {
                    put_length(out, place);
                }
                let milli = i64::from(reading.temperature.get());
                varint::put(out, marked(milli - milli_before, reading.is_time_assumed()));
                (at, after_before) = (reading.timestamp.get(), after);
                (place_before, milli_before) = (place, milli);
                index += 1;
            }
            name = device;
        }
    }
}

/// A batch that was decoded: its readings borrow the names from it.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// Who sends it.
    pub sender: Sender<'a>,
    /// Its id.
    pub id: BatchId,
    /// Batches of this sender that it does not know to be counted.
    pub asked: Vec<BatchId>,
    /// The last batch that this node said it had counted.
    pub anchor: Option<Anchor>,
    /// The corrections.
    pub corrections: Vec<SentCorrection<'a>>,
    devices: Vec<String>,
    regions: Vec<&'a str>,
    rows: Vec<Row>,
}

/// A reading with indices in place of names.
#[derive(Debug)]
struct Row {
    device: usize,
    region: usize,
    temperature: MilliCelsius,
    timestamp: UnixMillis,
    is_late: bool,
    is_time_assumed: bool,
}

/// Names that are not valid, and so no reading's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Of the device.
    Device,
    /// Of the region.
    Region,
}

impl Decoded<'_> {
    /// How many readings it has.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Its readings in their order, each by itself.
    pub fn readings(&self) -> impl Iterator<Item = Result<Reading<'_>, BadName>> {
        self.rows.iter().map(|row| {
            let name = self.devices.get(row.device).map_or("", String::as_str);
            let device = DeviceId::new(name).ok_or(BadName::Device)?;
            let region = self.regions.get(row.region).copied().unwrap_or_default();
            let region = Region::new(region).ok_or(BadName::Region)?;
            let reading = Reading::new(device, region, row.temperature, row.timestamp);
            Ok(reading.arrived(row.is_late).assumed(row.is_time_assumed))
        })
    }
}

/// Decodes a batch. Takes memory for as many readings as the body has bytes at most, and
/// for names of at most 64 bytes each.
pub fn decode(body: &[u8]) -> Result<Decoded<'_>, Fault> {
    let (&version, rest) = body.split_first().ok_or(Fault::Checksum)?;
    if version != VERSION {
        return Err(Fault::Version(version));
    }
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(Fault::Checksum)?;
    if checksum(0, rest) != *sum {
        return Err(Fault::Checksum);
    }
    let mut input = Input(rest);
    let part = Fault::Content;
    let sender = Sender::take(&mut input).ok_or(part("sender"))?;
    let (id, asked, anchor) = question(&mut input).ok_or(part("question"))?;
    let base = instant(&mut input).ok_or(part("base"))?;
    let regions = regions(&mut input).ok_or(part("regions"))?;
    let (mut devices, mut rows) = (Vec::new(), Vec::new());
    let mut before = Before::default();
    for _ in 0..input.length(limits::READINGS_PER_REQUEST_MAX).ok_or(part("devices"))? {
        let name = device(&mut input, devices.last()).ok_or(part("device"))?;
        let count = input.length(usize::MAX).ok_or(part("readings"))?;
        if rows.len().saturating_add(count) > limits::READINGS_PER_REQUEST_MAX {
            return Err(Fault::TooMany);
        }
        (before.at, before.after) = (base.get(), 0);
        for _ in 0..count {
            let row = before.next(&mut input, devices.len(), regions.len());
            rows.push(row.ok_or(part("reading"))?);
        }
        devices.push(name);
    }
    let corrections = corrections(&mut input).ok_or(part("correction"))?;
    match input.0 {
        [] => Ok(Decoded { sender, id, asked, anchor, corrections, devices, regions, rows }),
        _ => Err(part("length")),
    }
}

fn question(input: &mut Input<'_>) -> Option<(BatchId, Vec<BatchId>, Option<Anchor>)> {
    let id = BatchId(input.bytes()?);
    let count = input.length(limits::BATCHES_ASKED_MAX)?;
    let asked = (0..count).map(|_| input.bytes().map(BatchId)).collect::<Option<_>>()?;
    let anchor = match input.flag()? {
        true => Some(Anchor { batch: BatchId(input.bytes()?), mark: Mark(input.bytes()?) }),
        false => None,
    };
    Some((id, asked, anchor))
}

fn regions<'a>(input: &mut Input<'a>) -> Option<Vec<&'a str>> {
    let count = input.length(limits::READINGS_PER_REQUEST_MAX)?;
    (0..count).map(|_| input.text(limits::NAME_BYTES_MAX)).collect()
}

/// A name, of which the beginning is that of the name before.
fn device(input: &mut Input<'_>, before: Option<&String>) -> Option<String> {
    let shared = input.length(limits::NAME_BYTES_MAX)?;
    let shared = before.map_or("", String::as_str).get(..shared)?;
    let name = format!("{shared}{}", input.text(limits::NAME_BYTES_MAX)?);
    (name.len() <= limits::NAME_BYTES_MAX).then_some(name)
}

fn corrections<'a>(input: &mut Input<'a>) -> Option<Vec<SentCorrection<'a>>> {
    let count = input.length(limits::CORRECTIONS_PER_BATCH_MAX)?;
    (0..count).map(|_| SentCorrection::take(input)).collect()
}

/// What the encoding of a reading refers to.
#[derive(Default)]
struct Before {
    at: i64,
    after: i64,
    place: usize,
    milli: i64,
}

impl Before {
    fn next(&mut self, input: &mut Input<'_>, device: usize, regions: usize) -> Option<Row> {
        let step = input.number()?;
        if step & 1 == 1 {
            self.place = input.length(usize::MAX)?;
        }
        self.after = unzigzag(step >> 1).checked_add(self.after)?;
        self.at = self.at.checked_add(self.after)?;
        let (difference, is_time_assumed) = unmarked(input.number()?);
        self.milli = difference.checked_add(self.milli)?;
        let region = Some(self.place / 2).filter(|region| *region < regions)?;
        Some(Row {
            device,
            region,
            temperature: MilliCelsius::new(self.milli)?,
            timestamp: UnixMillis::new(self.at)?,
            is_late: self.place % 2 == 1,
            is_time_assumed,
        })
    }
}
