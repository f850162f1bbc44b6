//! What was taken of a message, and what is refused because of another value beside it.

use crate::base::checksum;
use crate::base::sort;
use crate::domain::reading::DeviceId;
use crate::domain::reading::MilliCelsius;
use crate::domain::reading::Region;
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;
use crate::limits;
use crate::sources::scope::start;

/// A value that is a temperature, or should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Where it is in the body, with the index of a line or a row before it. Cut at about
    /// `limits::SOURCE_POINTER_CHARS_MAX`.
    pub(crate) pointer: String,
    pub(crate) result: Result<Measured, Rejection>,
}

/// What was measured. The table of devices says of which device, unless the source has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    /// The device as it was sent, which the table has; at most `limits::SOURCE_ID_CHARS_MAX`
    /// characters.
    pub(crate) id: String,
    /// The same as a valid name ([`valid_name`]).
    pub(crate) name: DeviceId<'static>,
    /// The region, if the mapping says one.
    pub(crate) region: Option<Region<'static>>,
    pub(crate) temperature: MilliCelsius,
    pub(crate) timestamp: UnixMillis,
    /// Whether the time is that of the arrival.
    pub(crate) is_assumed: bool,
    /// The sender's own number of the message, if its time is assumed.
    pub(crate) number: Option<u32>,
    /// The value as it was sent, cut and without control characters.
    pub(crate) as_sent: String,
}

/// The length of what tells apart two texts that would give the same name: `-` and a number of
/// 32 bits in hexadecimal.
const SUFFIX_BYTES: usize = 9;

/// The text of a device as a name. One that is a name stays as it is. In any other, what a name
/// can't have becomes `-`, and a hash of the whole text follows: no two texts are one device, in
/// one message or in two. The hash is the same on every machine, and part of what is stored.
pub(crate) fn valid_name(text: &str) -> String {
    if DeviceId::new(text).is_some() {
        return text.to_owned();
    }
    let plain = folded(text);
    let plain = start(&plain, limits::NAME_BYTES_MAX - SUFFIX_BYTES);
    let hash = checksum::hash(0, text.as_bytes()) >> 32;
    format!("{plain}-{hash:08x}")
}

/// A text in which `-` stands for what a name can't have. Regions that differ in such
/// characters alone are one: people wrote them.
pub(crate) fn folded(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    text.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
}

/// Calls `found` with each group of readings of one id, of at least two.
fn each_group(taken: &[Taken], mut found: impl FnMut(&[&Measured])) {
    let mut all: Vec<&Measured> =
        taken.iter().filter_map(|taken| taken.result.as_ref().ok()).collect();
    sort::sort_by_key(&mut all, |measured| checksum::text_key(&measured.id));
    for group in all.chunk_by(|a, b| a.id == b.id).filter(|group| group.len() > 1) {
        found(group);
    }
}

/// Refuses all readings without a time of a body, if two of them are of one device: a buffer
/// that was sent at once. Their order and age are unknown.
pub(crate) fn refuse_flush(taken: &mut [Taken]) {
    let mut is_flush = false;
    each_group(taken, |group| {
        is_flush |= group.iter().filter(|measured| measured.is_assumed).nth(1).is_some();
    });
    if !is_flush {
        return;
    }
    let is_assumed =
        |taken: &Taken| taken.result.as_ref().is_ok_and(|measured| measured.is_assumed);
    let all: Vec<usize> =
        taken.iter().enumerate().filter(|(_, t)| is_assumed(t)).map(|(index, _)| index).collect();
    let detail = "a flush: several values of one device without times, whose order is unknown";
    refuse(taken, &all, Reason::MissingTimestamp, detail);
}

fn refuse(taken: &mut [Taken], indices: &[usize], reason: Reason, detail: &'static str) {
    for index in indices {
        let Some(taken) = taken.get_mut(*index) else { continue };
        if let Ok(measured) = &taken.result {
            let rejection = Rejection::new(reason, detail);
            taken.result = Err(rejection.sent_as(Some(&measured.id), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_name_becomes_one_of_its_own() {
        for (text, name) in [
            ("F1:01", "F1:01"),
            // As in the manual; part of what is stored.
            ("Temperatur Wohnung", "Temperatur-Wohnung-f3ab1a4c"),
            ("Temperatur/Wohnung", "Temperatur-Wohnung-5d32b697"),
            ("..", "..-b34d11ac"),
        ] {
            assert_eq!(valid_name(text), name);
        }
        for text in ["x".repeat(65), "ü".repeat(128), "°".to_owned()] {
            assert!(DeviceId::new(valid_name(&text)).is_some(), "{text}");
        }
        assert_ne!(valid_name(&"x".repeat(65)), valid_name(&"x".repeat(66)));
        assert_eq!((folded("cold store"), folded("kühl")), ("cold-store".into(), "k-hl".into()));
    }
}
