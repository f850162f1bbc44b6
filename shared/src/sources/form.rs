//! Messages as `application/x-www-form-urlencoded` has them, in a body or in a query (WHATWG
//! URL, 5.1): one object of texts.

use crate::limits;
use crate::sources::tree::Field;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// The object of all pairs of a query and a body, which both may be empty. A key that is there
/// twice, in whichever of the two, is an error.
pub(crate) fn parse<'a>(query: &'a str, body: &'a [u8]) -> Result<Node<'a>, Unread> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    // A body of a form that was written by `echo` or a template ends in a line break.
    for pairs in [query.as_bytes(), body.trim_ascii_end()] {
        for (key, value) in form_urlencoded::parse(pairs) {
            if fields.len() == limits::SOURCE_NODES_MAX {
                return Err(Unread::TooLarge);
            }
            fields.push((key, Node::Text(value)));
        }
    }
    Node::object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_one_object() {
        let node = parse("a=1&b=%C2%B0F", b"dateutc=2026-11-25+22:50:00&c=\r\n").unwrap();
        let text = |key| node.field(key).and_then(Node::scalar);
        assert_eq!((text("a"), text("b"), text("c")), (Some("1"), Some("°F"), Some("")));
        assert_eq!(text("dateutc"), Some("2026-11-25 22:50:00"));
        assert_eq!(parse("a=1", b"a=1"), Err(Unread::KeyTwice("a".to_owned())));
        assert_eq!(parse("a=1&%61=2", b""), Err(Unread::KeyTwice("a".to_owned())));
        assert_eq!(parse("", b""), Ok(Node::Object(Vec::new())));
    }
}
