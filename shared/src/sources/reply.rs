//! What a source answers instead of an empty 204: firmware that looks for a word.

use crate::limits;
use crate::sources::fields::At;
use crate::sources::fields::MappingError;
use crate::sources::tree::Node;

/// An answer to a message that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 to 299.
    pub(crate) status: u16,
    /// The media type of the text.
    pub(crate) content_type: String,
    /// At most `limits::SOURCE_REPLY_BYTES_MAX`; empty with status 204.
    pub(crate) text: String,
}

/// The answers if something was kept, and if the message held no temperature. `None` is the
/// default of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replies {
    pub(crate) kept: Option<Reply>,
    pub(crate) ignored: Option<Reply>,
    /// Whether 429 is answered in place of 503: a sender may take that for a fault of its own, and
    /// start again.
    pub(crate) is_busy_429: bool,
}

impl Replies {
    /// Parses `[status, type, text]` for both, or an object with `kept`, `ignored` and `busy`,
    /// which is 429 or 503.
    pub(crate) fn parse(at: &At<'_>) -> Result<Self, MappingError> {
        if let Node::Array(_) = at.node {
            let reply = Some(reply(at)?);
            return Ok(Self { kept: reply.clone(), ignored: reply, is_busy_429: false });
        }
        at.check_keys(&["kept", "ignored", "busy"])?;
        let of = |key| at.get(key).map(|at| reply(&at)).transpose();
        let is_busy_429 = match at.get("busy") {
            None => false,
            Some(at) => match at.integer(429, 503)? {
                429 => true,
                503 => false,
                _ => return Err(at.error("must be 429 or 503")),
            },
        };
        Ok(Self { kept: of("kept")?, ignored: of("ignored")?, is_busy_429 })
    }
}

fn reply(at: &At<'_>) -> Result<Reply, MappingError> {
    let list = at.list(3)?;
    let [status, content_type, text] = list.as_slice() else {
        return Err(at.error("must be [status, type, text], like [200, \"text/plain\", \"ok\"]"));
    };
    let code = status.integer(200, 299)?;
    let (kind, body) = (content_type.text()?, text.text()?);
    let is_type = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if kind.is_empty() || kind.len() > limits::NAME_BYTES_MAX || !kind.bytes().all(is_type) {
        return Err(content_type.error("must be a media type like text/plain"));
    }
    if body.len() > limits::SOURCE_REPLY_BYTES_MAX {
        return Err(text.error(&format!("may have {} bytes", limits::SOURCE_REPLY_BYTES_MAX)));
    }
    if matches!(code, 204 | 205) && !body.is_empty() {
        return Err(text.error("must be empty with this status"));
    }
    let status = u16::try_from(code).unwrap_or(200);
    Ok(Reply { status, content_type: kind.to_owned(), text: body.to_owned() })
}
