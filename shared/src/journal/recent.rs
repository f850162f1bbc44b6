//! The last rejected items and unreadable bodies, for whoever looks for their sender.
//!
//! One key (`rejections/1`), which a request writes after its answer when it is its turn
//! ([`crate::journal::rejected`]). So a record may stand for others that were not
//! written. The value has at most `limits::REJECTIONS_KEPT_MAX` records in at most
//! `limits::REJECTIONS_BYTES_MAX`; the oldest go first. One that can't be read is
//! replaced: the readings themselves were never kept.
//!
//! The bytes are integers (`varint`):
//!
//! - how many texts, then each with its length: every text of the records, once;
//! - how many records, and the serial number of the newest;
//! - the records, newest first: by how many milliseconds it is older than the one before
//!   (zigzag; the first: than 1970), then five texts, and for how many it stands. A text
//!   is its position from 1, or 0 if there is none: device, region, reason, detail, address;
//! - four bytes of checksum.

use crate::base::checksum::checksum;
use crate::base::distinct::Distinct;
use crate::base::varint;
use crate::domain::reading::UnixMillis;
use crate::host::{KeyValue, StoreError};
use crate::journal::keys;
use crate::limits;

/// One rejected item, or a body that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// When it was rejected.
    pub at: UnixMillis,
    /// The device as sent (`domain::rejection::AsSent`); `None` if that could not be read.
    pub device_id: Option<String>,
    /// The region as sent.
    pub region: Option<String>,
    /// The code of a `Reason`, or of a problem.
    pub reason: String,
    /// The sentence that the sender was told, cut.
    pub detail: String,
    /// Where the request came from, if the runtime tells.
    pub address: Option<String>,
    /// How many were rejected for each one that is written, this one among them.
    pub stands_for: u64,
}

impl Rejected {
    fn texts(&self) -> [&str; TEXTS] {
        let [device_id, region, address] = [&self.device_id, &self.region, &self.address]
            .map(|text| text.as_deref().unwrap_or_default());
        [device_id, region, &self.reason, &self.detail, address]
    }
}

/// How many texts a record has.
const TEXTS: usize = 5;

/// What is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// The serial number of the newest record; each older one has the number before.
    newest: u64,
    records: Vec<Rejected>,
}

impl Recent {
    /// What is in the store.
    pub(crate) fn load(store: &impl KeyValue) -> Result<Self, StoreError> {
        let stored = store.get(keys::REJECTIONS)?;
        Ok(stored.as_deref().and_then(Self::parse).unwrap_or_default())
    }

    /// The records with their serial numbers, newest first.
    pub(crate) fn into_records(self) -> impl Iterator<Item = (u64, Rejected)> {
        (0..=self.newest).rev().zip(self.records)
    }

    /// Adds records, the last of them as the newest.
    fn add(&mut self, new: impl DoubleEndedIterator<Item = Rejected>) {
        let before = self.records.len();
        self.records.splice(0..0, new.rev());
        self.newest = self.newest.saturating_add((self.records.len() - before) as u64);
        self.records.truncate(limits::REJECTIONS_KEPT_MAX);
    }

    /// The value to store. Drops the oldest records until it is small enough.
    fn fit(&mut self) -> Vec<u8> {
        loop {
            let bytes = self.encoded();
            if bytes.len() <= limits::REJECTIONS_BYTES_MAX || self.records.is_empty() {
                return bytes;
            }
            // An eighth at once: each try takes a pass.
            let kept = self.records.len() * 7 / 8;
            self.records.truncate(kept);
        }
    }

    fn encoded(&self) -> Vec<u8> {
        let texts: Vec<&str> = self.records.iter().flat_map(Rejected::texts).collect();
        let texts = Distinct::of(texts.into_iter());
        let mut out = Vec::new();
        let names = || texts.names.iter().filter(|name| !name.is_empty());
        varint::put(&mut out, names().count() as u64);
        for name in names() {
            varint::put(&mut out, name.len() as u64);
            out.extend(name.as_bytes());
        }
        // The empty text stands for none. It is not among the others.
        let empty = texts.names.iter().position(|name| name.is_empty()).unwrap_or(usize::MAX);
        let position = |place: &usize| match *place {
            place if place == empty => 0,
            place if place > empty => place as u64,
            place => place as u64 + 1,
        };
        varint::put(&mut out, self.records.len() as u64);
        varint::put(&mut out, self.newest);
        let mut before = 0;
        for (record, texts) in self.records.iter().zip(texts.places.chunks(TEXTS)) {
            varint::put(&mut out, varint::zigzag(before - record.at.get()));
            texts.iter().for_each(|place| varint::put(&mut out, position(place)));
            varint::put(&mut out, record.stands_for);
            before = record.at.get();
        }
        let sum = checksum(0, &out);
        out.extend(sum);
        out
    }

    /// `None` if the value is damaged.
    fn parse(value: &[u8]) -> Option<Self> {
        let (content, sum) = value.split_last_chunk::<4>()?;
        if checksum(0, content) != *sum {
            return None;
        }
        let mut bytes = content;
        let mut names = Vec::new();
        for _ in 0..varint::take(&mut bytes).ok()? {
            let length = usize::try_from(varint::take(&mut bytes).ok()?).ok()?;
            let (name, rest) = bytes.split_at_checked(length)?;
            names.push(std::str::from_utf8(name).ok()?);
            bytes = rest;
        }
        let count = varint::take(&mut bytes).ok()?;
        let newest = varint::take(&mut bytes).ok()?;
        let (mut records, mut before) = (Vec::new(), 0_i64);
        for _ in 0..count {
            let older_by = varint::unzigzag(varint::take(&mut bytes).ok()?);
            before = before.checked_sub(older_by)?;
            let mut texts: [Option<String>; TEXTS] = Default::default();
            for text in &mut texts {
                if let Some(place) = varint::take(&mut bytes).ok()?.checked_sub(1) {
                    *text = Some((*names.get(usize::try_from(place).ok()?)?).to_owned());
                }
            }
            let [device_id, region, reason, detail, address] = texts;
            records.push(Rejected {
                at: UnixMillis::new(before)?,
                device_id,
                region,
                reason: reason.unwrap_or_default(),
                detail: detail.unwrap_or_default(),
                address,
                stands_for: varint::take(&mut bytes).ok()?,
            });
        }
        Some(Self { newest, records })
    }
}

/// How often to try while other requests add to it, too.
const ATTEMPTS: usize = 12;

/// Adds records to those in the store, each of them `times` as heavy.
pub(crate) fn add(
    store: &impl KeyValue,
    new: &[Rejected],
    at: UnixMillis,
    times: u64,
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let weighed = |record: &Rejected| {
        let stands_for = record.stands_for.saturating_mul(times);
        Rejected { at, stands_for, ..record.clone() }
    };
    for _ in 0..ATTEMPTS {
        let stored = store.get(keys::REJECTIONS)?;
        let mut recent = stored.as_deref().and_then(Recent::parse).unwrap_or_default();
        recent.add(new.iter().map(weighed));
        if store.replace(keys::REJECTIONS, stored.as_deref(), &recent.fit())? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ms: i64, device: &str) -> Rejected {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Rejected {
            at: UnixMillis::new(1_700_000_000_000 + ms).unwrap(),
            device_id: text(device),
            region: text("hall"),
            reason: "malformed".to_owned(),
            detail: format!("no \u{1f321}\n, {}", ms % 3),
            address: text(if ms % 2 == 0 { "" } else { "::1" }),
            stands_for: ms.unsigned_abs(),
        }
    }

    #[test]
    fn records_are_read_back_newest_first_with_their_numbers() {
        let mut recent = Recent::default();
        // A clock that was set back is no trouble.
        recent.add([record(5, "a"), record(-3, ""), record(1 << 40, "b")].into_iter());
        recent.add([record(7, "a")].into_iter());
        assert_eq!(Recent::parse(&recent.fit()).as_ref(), Some(&recent));
        let numbered: Vec<(u64, Rejected)> = recent.into_records().collect();
        let expected = [
            (4, record(7, "a")),
            (3, record(1 << 40, "b")),
            (2, record(-3, "")),
            (1, record(5, "a")),
        ];
        assert_eq!(numbered, expected);
        let mut none = Recent::default();
        assert_eq!(Recent::parse(&none.fit()), Some(none.clone()));
        let mut named = Recent::default();
        named.add((0..3).map(|ms| Rejected { address: None, ..record(ms, "d") }));
        assert_eq!(Recent::parse(&named.fit()), Some(named.clone()));
    }

    #[test]
    fn it_keeps_a_thousand_and_no_more_bytes_than_it_may() {
        let mut recent = Recent::default();
        for ms in 0..1_500 {
            recent.add([record(ms, &format!("sensor-{}", ms % 50))].into_iter());
        }
        let bytes = recent.fit();
        assert_eq!((recent.records.len(), recent.newest), (limits::REJECTIONS_KEPT_MAX, 1_500));
        // Few senders with few mistakes: a note of them is as small as it can be.
        assert!(bytes.len() < 12_000, "{} bytes", bytes.len());
        for ms in 0..1_500 {
            recent.add([record(ms, &format!("{ms:064}"))].into_iter());
        }
        let bytes = recent.fit();
        assert!(bytes.len() <= limits::REJECTIONS_BYTES_MAX, "{} bytes", bytes.len());
        let read = Recent::parse(&bytes).unwrap();
        assert!(read.records.len() > 300, "{} records", read.records.len());
        assert_eq!(
            read.into_records().next(),
            Some((3_000, record(1_499, &format!("{:064}", 1_499))))
        );
    }

    #[test]
    fn damage_is_noticed_and_is_no_panic() {
        let mut recent = Recent::default();
        recent.add((0..20).map(|ms| record(ms, "a")));
        let bytes = recent.fit();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x21;
            assert_eq!(Recent::parse(&damaged), None, "{at}");
            assert_eq!(Recent::parse(&bytes[..at]), None, "{at}");
        }
        // Whatever it says, with a checksum that fits.
        for content in [&[0xff; 12][..], &[0, 0xff, 0xff, 3, 0], &[1, 9, b'x'], &[0, 1, 1, 0, 7]] {
            let value = [content, &checksum(0, content)].concat();
            assert_eq!(Recent::parse(&value), None, "{content:?}");
        }
    }
}
