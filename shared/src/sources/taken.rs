//! What was taken of a message, and what is refused because of another value beside it.

use crate::base::checksum;
use crate::base::sort;
use crate::domain::reading::DeviceId;
use crate::domain::reading::MilliCelsius;
use crate::domain::reading::Region;
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;

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
    /// The same as a valid name.
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

/// A text as a name: what a name can't have becomes `-`.
pub(crate) fn folded(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    text.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
}

/// Calls `found` with each group of readings of one name, of at least two.
fn each_group(taken: &[Taken], mut found: impl FnMut(&[(usize, &Measured)])) {
    let measured = taken.iter().enumerate();
    let measured = measured.filter_map(|(i, taken)| Some((i, taken.result.as_ref().ok()?)));
    let mut all: Vec<(usize, &Measured)> = measured.collect();
    sort::sort_by_key(&mut all, |(_, measured)| checksum::text_key(measured.name.as_str()));
    for group in all.chunk_by(|(_, a), (_, b)| a.name == b.name).filter(|group| group.len() > 1) {
        found(group);
    }
}

/// Refuses readings of different devices whose names became the same.
pub(crate) fn refuse_one_name_of_two(taken: &mut [Taken]) {
    let mut refused = Vec::new();
    each_group(taken, |group| {
        let is_one = group.windows(2).all(|pair| match pair {
            [(_, a), (_, b)] => a.id == b.id,
            _ => true,
        });
        if !is_one {
            refused.extend(group.iter().map(|(index, _)| *index));
        }
    });
    let detail = "another device of the message has the same name, once both are valid names";
    refuse(taken, &refused, Reason::InvalidDeviceId, detail);
}

/// Refuses all readings without a time of a body, if two of them are of one device: a buffer
/// that was sent at once. Their order and age are unknown.
pub(crate) fn refuse_flush(taken: &mut [Taken]) {
    let mut is_flush = false;
    each_group(taken, |group| {
        is_flush |= group.iter().filter(|(_, measured)| measured.is_assumed).nth(1).is_some();
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
