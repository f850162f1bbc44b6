//! What nodes tell each other about themselves and their batches.

use std::borrow::Cow;
use std::fmt;

use crate::base::digest::hex;
use crate::base::input::{Input, put_length, put_text};
use crate::base::varint;
use crate::domain::correction::Correction;
use crate::domain::reading::{Region, UnixMillis};
use crate::limits;

/// The id of a node: made with its database, so a database that is made again is another
/// node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 16]);

/// The id of a batch: random, so that a number means nothing after a restored backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

/// The mark that a fold gave to the batches that it counted: random, so that it tells one
/// life of a database from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub [u8; 8]);

/// A batch that was counted, and the mark of its fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The batch.
    pub batch: BatchId,
    /// The mark of the fold that counted it.
    pub mark: Mark,
}

/// What a node's database knows of a sender's batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// This node.
    pub node: NodeId,
    /// Those of the batches asked about that are counted.
    pub counted: Vec<BatchId>,
    /// The batch of the sender that was counted last.
    pub latest: Option<Anchor>,
    /// Whether the sender's anchor is known, or it has none.
    pub anchor_known: bool,
}

impl NodeId {
    /// From 32 hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

/// As many bytes from hex digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// What a sender says of itself with each batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// Its database.
    pub node: NodeId,
    /// Its name, for people: as a region's, or empty.
    pub name: &'a str,
    /// How often it has sent to this peer, this time included.
    pub sends: u64,
    /// Its clock when it made the batch.
    pub as_of: UnixMillis,
    /// What it still had to send then, beside this batch.
    pub behind: Behind,
    /// How many readings came to it in an hour, by the last sixty minutes.
    pub last_hour: u64,
}

/// What a peer has not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Of how many minutes.
    pub minutes: u64,
    /// How many readings.
    pub readings: u64,
}

impl<'a> Sender<'a> {
    /// Encodes it: node, name, sends, `as_of`, minutes, readings, last hour.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.node.0);
        put_text(out, self.name);
        let Behind { minutes, readings } = self.behind;
        let as_of = self.as_of.get().cast_unsigned();
        for number in [self.sends, as_of, minutes, readings, self.last_hour] {
            varint::put(out, number);
        }
    }

    pub(crate) fn take(input: &mut Input<'a>) -> Option<Self> {
        let node = NodeId(input.bytes()?);
        let name = input.text(limits::NAME_BYTES_MAX)?;
        let is_name = name.is_empty() || Region::new(name).is_some();
        let (sends, as_of) = (input.number()?, instant(input)?);
        let behind = Behind { minutes: input.number()?, readings: input.number()? };
        let last_hour = input.number()?;
        is_name.then_some(Self { node, name, sends, as_of, behind, last_hour })
    }
}

/// Unix milliseconds.
pub(crate) fn instant(input: &mut Input<'_>) -> Option<UnixMillis> {
    i64::try_from(input.number()?).ok().and_then(UnixMillis::new)
}

/// A correction as a node sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCorrection<'a> {
    /// What it says.
    pub correction: Correction<'a>,
    /// What identifies it: the SHA-256 of what it said when it was made. (Names may have
    /// changed since.)
    pub hash: [u8; 32],
    /// When it was accepted.
    pub made: UnixMillis,
    /// The name of the credential that asked for it, if it is known.
    pub by: Option<Cow<'a, str>>,
}

impl<'a> SentCorrection<'a> {
    /// Encodes it: text, hash, made; and 0, or 1 and the name of the credential.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_text(out, &self.correction.to_text());
        out.extend(self.hash);
        varint::put(out, self.made.get().cast_unsigned());
        out.push(u8::from(self.by.is_some()));
        if let Some(by) = &self.by {
            put_text(out, by);
        }
    }

    pub(crate) fn take(input: &mut Input<'a>) -> Option<Self> {
        let correction = Correction::parse(input.text(limits::CORRECTION_BYTES_MAX)?)?;
        let reason = correction.reason.as_bytes();
        let is_reason =
            reason.len() <= limits::REASON_BYTES_MAX && !reason.iter().any(u8::is_ascii_control);
        let (hash, made) = (input.bytes()?, instant(input)?);
        let by = match input.flag()? {
            true => Some(Cow::Borrowed(input.text(limits::WHO_BYTES_MAX)?)),
            false => None,
        };
        is_reason.then_some(Self { correction, hash, made, by })
    }
}

/// Where the readings of an entry come from, if another node sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromNode<'a> {
    /// What the sender said of itself.
    pub sender: Sender<'a>,
    /// The batch.
    pub batch: BatchId,
    /// Whether there was more in it than questions.
    pub has_content: bool,
    /// When it arrived, by this node's clock.
    pub at: UnixMillis,
    /// The corrections in it.
    pub corrections: Vec<SentCorrection<'a>>,
}

impl<'a> FromNode<'a> {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.sender.put(out);
        out.extend(self.batch.0);
        out.push(u8::from(self.has_content));
        varint::put(out, self.at.get().cast_unsigned());
        put_length(out, self.corrections.len());
        for correction in &self.corrections {
            correction.put(out);
        }
    }

    pub(crate) fn take(input: &mut Input<'a>) -> Option<Self> {
        let (sender, batch) = (Sender::take(input)?, BatchId(input.bytes()?));
        let (has_content, at) = (input.flag()?, instant(input)?);
        let count = input.length(limits::CORRECTIONS_PER_BATCH_MAX)?;
        let corrections = (0..count).map(|_| SentCorrection::take(input)).collect::<Option<_>>()?;
        Some(Self { sender, batch, has_content, at, corrections })
    }
}
