//! Journal entries: how accepted readings are encoded.
//!
//! One accepted request is one entry, one key-value pair. Its key is
//! `journal/3/<base>-<readings>-<bytes>-<hash>`: the lowest timestamp, in Unix
//! milliseconds as twelve hex digits, so that entries of the same time sort together;
//! the number of readings and the length of the value, as eight hex digits each, so
//! that a fold can plan its steps from the keys alone; and the first 24 bytes of the BLAKE3
//! of the value in hex. So a request that is sent again overwrites its own entry and no other,
//! and damage in storage is detected. Keys of older releases are under `journal/2/`, with the
//! SHA-256 of the value, and under `journal/1/`, without a base, too.
//!
//! The value, version 2 (all integers LEB128 unless said otherwise):
//!
//! ```text
//! version     one byte, 2
//! readings    how many
//! base        the lowest timestamp, Unix milliseconds
//! regions     how many, then for each: one byte of length, the name
//! then for each reading:
//!   device    one byte of length, the name
//!   region    index into the regions, doubled, plus 1 if it came late
//!   milli     thousandths of a degree Celsius, zigzag; plus 2²² if the time is assumed
//!   after     milliseconds after the base
//!   number    only if the time is assumed: the sender's own number plus 1, or 0
//! rejections  how many reasons, then for each: one byte, its position in
//!             Reason::ALL, and how many readings of the request it met
//! nonce       0; in older releases a number that kept apart two entries without
//!             readings that only count rejections
//! ```
//!
//! Version 3 is of readings that another node sent. After the nonce it has what the sender
//! said of itself, the batch, and the corrections in it (`FromNode::put`). It may have no
//! readings.
//!
//! Version 4 is of readings of a source, and of those with an assumed time. After the nonce it
//! has 0; or 1, the source's name as one byte of length and the text, and the first 16 bytes
//! of the digest of the mapping that they were read by (`OfSource`).
//!
//! Version 1 had the plain index, and no late flag.

use std::fmt;

use crate::base::distinct::Distinct;
use crate::base::input as base;
use crate::base::varint::{self, NoInteger, marked, unmarked};
use crate::domain::exchange::FromNode;
use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, TimeOrigin, UnixMillis};
use crate::domain::rejection::{Reason, Rejections};
use crate::domain::source::OfSource;
use crate::journal::name::EntryName;
use crate::limits;

const VERSION: u8 = 2;
/// The version of what another node sent.
const VERSION_FROM_NODE: u8 = 3;
/// The version of what came by a source, and of assumed times.
const VERSION_OF_SOURCE: u8 = 4;
/// The version without the late flag.
const VERSION_WITHOUT_LATE: u8 = 1;

/// The readings of one accepted request, encoded, with their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(super) name: EntryName,
    pub(super) value: Vec<u8>,
}

/// The number of regions that readings are of, found while encoding them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionCount(pub(crate) usize);

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// The accepted readings, in the order of the request.
    pub readings: Vec<Reading<'a>>,
    /// How many of the request's readings were rejected, by reason.
    pub rejections: Rejections,
    /// The node that sent it, if one did.
    pub from: Option<FromNode<'a>>,
    /// The source that they came by, if they did.
    pub source: Option<OfSource<'a>>,
}

/// What a request with readings was, beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin<'a> {
    /// The node that sent it, if one did.
    pub(crate) from: Option<&'a FromNode<'a>>,
    /// The source that it came by, if it did.
    pub(crate) source: Option<OfSource<'a>>,
}

impl Entry {
    /// Encodes the accepted `readings` of a request, and how many others were rejected.
    pub fn encode(readings: &[Reading<'_>], rejections: &Rejections) -> Self {
        Self::encode_and_count(readings, rejections, Origin::default()).0
    }

    /// The same, and the number of regions that the readings are of.
    pub(crate) fn encode_and_count(
        readings: &[Reading<'_>],
        rejections: &Rejections,
        Origin { from, source }: Origin<'_>,
    ) -> (Self, RegionCount) {
        let base = readings.iter().map(|r| r.timestamp.get()).min().unwrap_or(0);
        let base = base.cast_unsigned();
        let Distinct { names: regions, places, .. } =
            Distinct::of(readings.iter().map(|reading| reading.region.as_str()));

        let mut value = Vec::with_capacity(16 + readings.len() * 24);
        let has_assumed = || readings.iter().any(Reading::is_time_assumed);
        let version = match from {
            Some(_) => VERSION_FROM_NODE,
            None if source.is_some() || has_assumed() => VERSION_OF_SOURCE,
            None => VERSION,
        };
        value.push(version);
        put_length(&mut value, readings.len());
        varint::put(&mut value, base);
        put_length(&mut value, regions.len());
        for region in &regions {
            put_name(&mut value, region);
        }
        for (reading, place) in readings.iter().zip(places) {
            put_reading(&mut value, reading, place, base);
        }
        put_length(&mut value, rejections.reasons());
        for (reason, count) in rejections.iter() {
            let code = Reason::ALL.iter().position(|known| *known == reason);
            put_length(&mut value, code.unwrap_or(Reason::ALL.len()));
            varint::put(&mut value, count);
        }
        varint::put(&mut value, 0);
        match from {
            Some(from) => from.put(&mut value),
            None if version == VERSION_OF_SOURCE => {
                value.push(u8::from(source.is_some()));
                source.iter().for_each(|source| source.put(&mut value));
            }
            None => {}
        }
        let entry = Self { name: EntryName::of(&value, base, readings.len()), value };
        (entry, RegionCount(regions.len()))
    }

    /// Decodes the entry.
    pub fn decode(&self) -> Result<Content<'_>, DecodeError> {
        if !self.name.is_of(&self.value) {
            return Err(DecodeError::Checksum);
        }
        let mut input = Input(&self.value);
        let version = input.byte()?;
        let has_late_flag = match version {
            VERSION | VERSION_FROM_NODE | VERSION_OF_SOURCE => true,
            VERSION_WITHOUT_LATE => false,
            other => return Err(DecodeError::Version(other)),
        };
        let count = input.length()?;
        if count != self.name.readings() || count > limits::READINGS_PER_REQUEST_MAX {
            return Err(DecodeError::Content("readings"));
        }
        let base = input.unsigned()?;
        if self.name.base.is_some_and(|named| named != base) {
            return Err(DecodeError::Content("base"));
        }
        let mut regions = Vec::new();
        for _ in 0..input.length()? {
            regions.push(Region::stored(input.name()?).ok_or(DecodeError::Content("region"))?);
        }
        let mut readings = Vec::with_capacity(count);
        for _ in 0..count {
            readings.push(input.reading(base, &regions, has_late_flag)?);
        }
        let rejections = input.rejections()?;
        input.unsigned()?;
        let mut rest = base::Input(input.0);
        let from = match version {
            VERSION_FROM_NODE => {
                Some(FromNode::take(&mut rest).ok_or(DecodeError::Content("sender"))?)
            }
            _ => None,
        };
        let source = match version {
            VERSION_OF_SOURCE if rest.flag().ok_or(DecodeError::Content("source"))? => {
                Some(OfSource::take(&mut rest).ok_or(DecodeError::Content("source"))?)
            }
            _ => None,
        };
        if !rest.0.is_empty() {
            return Err(DecodeError::Content("length"));
        }
        Ok(Content { readings, rejections, from, source })
    }

    /// The entry's key-value pair in the journal, as `append` stores it.
    pub fn as_pair(&self) -> (String, &[u8]) {
        (self.name.journal_key(), &self.value)
    }

    /// What identifies the entry.
    pub fn name(&self) -> &EntryName {
        &self.name
    }
}

/// Why an entry can't be read. Such an entry is set aside, never dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The value does not match its key.
    Checksum,
    /// Written in a version that this release doesn't know.
    Version(u8),
    /// The value ends too early.
    Truncated,
    /// No encoder can have written this part of the value.
    Content(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("the checksum in its key does not match"),
            Self::Version(version) => write!(f, "unknown version {version}"),
            Self::Truncated => f.write_str("truncated"),
            Self::Content(part) => write!(f, "impossible {part}"),
        }
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    varint::put(out, u64::try_from(length).unwrap_or(u64::MAX));
}

fn put_reading(out: &mut Vec<u8>, reading: &Reading<'_>, place: usize, base: u64) {
    put_name(out, reading.device_id.as_str());
    put_length(out, place * 2 + usize::from(reading.is_late()));
    let millicelsius = i64::from(reading.temperature.get());
    varint::put(out, marked(millicelsius, reading.is_time_assumed()));
    varint::put(out, reading.timestamp.get().cast_unsigned() - base);
    if let TimeOrigin::Assumed { number } = reading.time_origin() {
        varint::put(out, number.map_or(0, |number| u64::from(number) + 1));
    }
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    // A name has at most 64 bytes, so its length is one LEB128 byte.
    put_length(out, name.len());
    out.extend_from_slice(name.as_bytes());
}

/// The bytes left to decode.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        varint::take(&mut self.0).map_err(|reason| match reason {
            NoInteger::Truncated => DecodeError::Truncated,
            NoInteger::TooLarge => DecodeError::Content("integer"),
        })
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.unsigned()?).map_err(|_too_long| DecodeError::Content("length"))
    }

    fn name(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.length()?;
        let (name, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        std::str::from_utf8(name).map_err(|_not_text| DecodeError::Content("name"))
    }

    fn rejections(&mut self) -> Result<Rejections, DecodeError> {
        let mut rejections = Rejections::default();
        for _ in 0..self.length()? {
            let reason = Reason::ALL.get(self.length()?).copied();
            rejections.add(reason.ok_or(DecodeError::Content("reason"))?, self.unsigned()?);
        }
        Ok(rejections)
    }

    fn reading(
        &mut self,
        base: u64,
        regions: &[Region<'a>],
        has_late_flag: bool,
    ) -> Result<Reading<'a>, DecodeError> {
        let device_id = DeviceId::stored(self.name()?).ok_or(DecodeError::Content("device"))?;
        let index = self.length()?;
        let (index, is_late) =
            if has_late_flag { (index / 2, index % 2 == 1) } else { (index, false) };
        let region = regions.get(index).cloned().ok_or(DecodeError::Content("region"))?;
        let (temperature, is_assumed) = unmarked(self.unsigned()?);
        let temperature =
            MilliCelsius::new(temperature).ok_or(DecodeError::Content("temperature"))?;
        let timestamp = base.checked_add(self.unsigned()?).and_then(|t| i64::try_from(t).ok());
        let timestamp =
            timestamp.and_then(UnixMillis::new).ok_or(DecodeError::Content("timestamp"))?;
        let time = if is_assumed { self.assumed()? } else { TimeOrigin::Sent };
        let reading = Reading::new(device_id, region, temperature, timestamp);
        Ok(reading.arrived(is_late).with_time_of(time))
    }

    fn assumed(&mut self) -> Result<TimeOrigin, DecodeError> {
        let number = match self.unsigned()?.checked_sub(1) {
            None => None,
            Some(number) => {
                Some(u32::try_from(number).map_err(|_too_large| DecodeError::Content("number"))?)
            }
        };
        Ok(TimeOrigin::Assumed { number })
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn reading<'a>(device: &'a str, region: &'a str, millicelsius: i64, at: i64) -> Reading<'a> {
        Reading::new(
            DeviceId::new(device).unwrap(),
            Region::new(region).unwrap(),
            MilliCelsius::new(millicelsius).unwrap(),
            UnixMillis::new(at).unwrap(),
        )
        .arrived(at % 2 == 1)
    }

    fn assorted() -> Vec<Reading<'static>> {
        vec![
            reading("a", "north", 21_500, 1_700_000_000_000),
            reading("b", "south", -273_150, 1_700_000_000_001),
            reading("a", "north", 1_000_000, 0),
            reading("c", "north", 0, UnixMillis::MAX.get()),
        ]
    }

    fn encode(readings: &[Reading<'_>]) -> Entry {
        Entry::encode(readings, &Rejections::default())
    }

    #[test]
    fn an_entry_gives_back_its_readings_in_order() {
        let readings = assorted();
        let mut rejections = Rejections::default();
        rejections.add(Reason::TooOld, 300);
        rejections.add(Reason::Malformed, 1);
        let entry = Entry::encode(&readings, &rejections);
        assert_eq!(
            entry.decode().unwrap(),
            Content { readings, rejections, from: None, source: None }
        );
        assert_eq!(entry.name().readings(), 4);
        assert_eq!(entry.name().bytes(), entry.value.len());
        assert_eq!(EntryName::from_key(&entry.as_pair().0).as_ref(), Some(entry.name()));
    }

    #[test]
    fn an_older_release_s_note_of_rejections_is_read() {
        let value = vec![VERSION, 0, 0, 0, 1, 4, 2, 7];
        let entry = Entry { name: EntryName::of_older_release(&value, Some(0), 0), value };
        let mut rejections = Rejections::default();
        rejections.add(Reason::WrongType, 2);
        assert_eq!(
            entry.decode().unwrap(),
            Content { readings: Vec::new(), rejections, from: None, source: None }
        );
    }

    fn hex(value: &[u8]) -> String {
        value.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_encoding_of_version_2_does_not_change() {
        let entry = encode(&[reading("d1", "hall", -1_500, 1_262_304_000_001)]);
        let (key, value) = entry.as_pair();
        let written = "02 01 81f0b9b9de24 01 0468616c6c 026431 01 b717 00 00 00";
        assert_eq!(hex(value), written.replace(' ', ""));
        // As `b3sum --length 24` has it.
        let digest = "7ba5ee7e7dac26bb9205eeb7d782466aa6a520c32729bfad";
        assert_eq!(key, format!("journal/3/0125e72e7801-00000001-00000017-{digest}"));
        assert_eq!(entry.name().base_ms(), 1_262_304_000_001);
    }

    #[test]
    fn an_entry_whose_key_has_sha_256_is_read_and_its_damage_is_noticed() {
        let Entry { value, .. } = encode(&assorted());
        let key = format!(
            "journal/2/000000000000-00000004-{:08x}-{}",
            value.len(),
            hex(&Sha256::digest(&value))
        );
        let name = EntryName::from_key(&key).unwrap();
        assert_eq!(name, EntryName::of_older_release(&value, Some(0), 4));
        let mut entry = Entry { name, value };
        assert_eq!(entry.as_pair().0, key);
        assert_eq!(entry.decode().unwrap().readings, assorted());
        entry.value[9] ^= 1;
        assert_eq!(entry.decode(), Err(DecodeError::Checksum));
        // Under the prefix of another version, it is no entry.
        assert_eq!(EntryName::from_key(&key.replace("/2/", "/3/")), None);
    }

    #[test]
    fn an_entry_of_version_1_is_read_and_has_nothing_late() {
        // Index 1 is the second of two regions here; in version 2 it would be the
        // first, late.
        let value = b"\x01\x01\x05\x02\x01r\x01s\x01d\x01\x02\x00\x00\x00".to_vec();
        let entry = Entry { name: EntryName::of_older_release(&value, None, 1), value };
        assert!(entry.as_pair().0.starts_with("journal/1/00000001-0000000f-"));
        assert_eq!(EntryName::from_key(&entry.as_pair().0).as_ref(), Some(entry.name()));
        let content = entry.decode().unwrap();
        assert_eq!(content.readings[0].region.as_str(), "s");
        assert!(!content.readings[0].is_late());
    }

    #[test]
    fn the_same_readings_have_the_same_key_and_others_another() {
        let readings = assorted();
        let key = |readings: &[Reading<'_>]| encode(readings).name().clone();
        assert_eq!(key(&readings), key(&readings));
        assert_ne!(key(&readings), key(&readings[1..]));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let entry = encode(&assorted());
        for index in 0..entry.value.len() {
            for bit in 0..8 {
                let mut damaged = entry.clone();
                damaged.value[index] ^= 1 << bit;
                assert_eq!(damaged.decode(), Err(DecodeError::Checksum));
            }
            let mut shorter = entry.clone();
            shorter.value.truncate(index);
            assert_eq!(shorter.decode(), Err(DecodeError::Checksum));
        }
    }

    #[test]
    fn what_no_encoder_wrote_is_refused_though_its_checksum_is_right() {
        let named =
            |value: &[u8]| Entry { name: EntryName::of(value, 5, 1), value: value.to_vec() };
        let good = encode(&[reading("d", "r", 1, 5)]);
        assert_eq!(good.value, [2, 1, 5, 1, 1, b'r', 1, b'd', 1, 2, 0, 0, 0]);
        for (value, error) in [
            (&[][..], DecodeError::Truncated),
            (&[5, 1, 5], DecodeError::Version(5)),
            (&[1, 2, 5, 1, 1, b'r'], DecodeError::Content("readings")),
            (&[1, 1, 6, 1, 1, b'r'], DecodeError::Content("base")),
            (&[1, 1, 5, 1, 1, b'/', 1, b'd', 0, 2, 0], DecodeError::Content("region")),
            (&[1, 1, 5, 1, 1, b'r', 1, b'd', 1, 2, 0], DecodeError::Content("region")),
            (&[2, 1, 5, 1, 1, b'r', 1, b'd', 2, 2, 0], DecodeError::Content("region")),
            (&[1, 1, 5, 1, 1, b'r', 0, 0, 2, 0], DecodeError::Content("device")),
            (&[1, 1, 5, 1, 1, b'r', 1, 0xff, 0, 2, 0], DecodeError::Content("name")),
            (&[1, 1, 5, 1, 1, b'r', 1, b'd', 0, 2], DecodeError::Truncated),
            (&[1, 1, 5, 1, 1, b'r', 1, b'd', 0, 2, 0, 0], DecodeError::Truncated),
            (&[1, 1, 5, 1, 1, b'r', 1, b'd', 0, 2, 0, 0, 0, 0], DecodeError::Content("length")),
            (&[1, 1, 5, 1, 1, b'r', 1, b'd', 0, 2, 0, 1, 99, 1, 0], DecodeError::Content("reason")),
            (&[1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], {
                DecodeError::Content("integer")
            }),
        ] {
            assert_eq!(named(value).decode(), Err(error), "{value:?}");
        }
    }

    #[test]
    fn a_reading_takes_at_most_24_bytes_in_a_batch_of_1000() {
        let names: Vec<String> =
            (0..1000).map(|i| format!("sensor-{:06}", i * 7919 % 10_000)).collect();
        let regions: Vec<String> = (0..50).map(|i| format!("region-{i}")).collect();
        let readings: Vec<Reading<'_>> = (0..1000)
            .map(|i| {
                let at = 1_700_000_000_000 + i64::try_from(i).unwrap() * 37 % 60_000;
                reading(&names[i], &regions[i % 50], 21_437, at)
            })
            .collect();
        let bytes = encode(&readings).value.len();
        assert!(bytes <= 24 * 1000, "{bytes} bytes");
    }
}
