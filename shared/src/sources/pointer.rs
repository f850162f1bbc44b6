//! Pointers into a message (RFC 6901). One that begins with `/` begins at the message, others
//! begin at the item that is looked at.

use crate::limits;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;
use crate::sources::tree::Node;

/// Where a value is, in a message or in an item of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Whether it begins at the message.
    pub(crate) is_from_root: bool,
    /// The keys and indices on the way, unescaped.
    pub(crate) parts: Vec<String>,
}

impl Pointer {
    /// Parses a pointer: `/data/tags`, `tags/sensor`, or "" for the item itself. `~1` is `/`,
    /// and `~0` is `~`. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix('/');
        let is_from_root = rest.is_some();
        let parts: Vec<String> = match (rest, text) {
            (None, "") => Vec::new(),
            _ => rest
                .unwrap_or(text)
                .split('/')
                .map(unescaped)
                .collect::<Option<_>>()
                .ok_or("must be a JSON pointer, in which ~ is only in ~0 and ~1")?,
        };
        if parts.len() > limits::SOURCE_POINTER_STEPS_MAX {
            return Err("is deeper than a message may be");
        }
        Ok(Self { is_from_root, parts })
    }

    /// The value there, if there is one.
    pub(crate) fn find<'n, 'a>(
        &self,
        root: &'n Node<'a>,
        item: &'n Node<'a>,
        steps: &mut Steps,
    ) -> Result<Option<&'n Node<'a>>, TooCostly> {
        let mut node = if self.is_from_root { root } else { item };
        for part in &self.parts {
            match node.child(part, steps)? {
                Some(child) => node = child,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// How many of its parts have a `*` in them.
    pub(crate) fn stars(&self) -> usize {
        self.parts.iter().filter(|part| part.contains('*')).count()
    }
}

/// As in the mapping, for people.
impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            if self.is_from_root || index > 0 {
                text.push('/');
            }
            push_part(part, &mut text);
        }
        f.write_str(&text)
    }
}

fn unescaped(part: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    let is_right = part.split('~').skip(1).all(is_escape);
    is_right.then(|| part.replace("~1", "/").replace("~0", "~"))
}

/// Writes a key as a part of a pointer, as long as the pointer has room.
pub(crate) fn push_part(part: &str, out: &mut String) {
    for c in part.chars() {
        if out.len() >= limits::SOURCE_POINTER_CHARS_MAX {
            return;
        }
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::json;

    #[test]
    fn a_pointer_leads_from_the_message_or_the_item() {
        let root = json::parse(r#"{"a":{"b/c":[10,{"~":1}]},"":2,"d":null}"#).unwrap();
        let item = root.field("a").unwrap();
        for (text, expected) in [
            ("/a/b~1c/0", Some("10")),
            ("b~1c/1/~0", Some("1")),
            ("/", Some("2")),
            ("/d", Some("null")),
            ("b~1c/2", None),
            ("b~1c/00", None),
            ("/a/b", None),
            ("/d/e", None),
            ("a", None),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            let found = pointer.find(&root, item, &mut Steps::of(0)).unwrap();
            assert_eq!(found.and_then(Node::scalar), expected, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
        let whole = Pointer::parse("").unwrap();
        assert_eq!(whole.find(&root, item, &mut Steps::of(0)), Ok(Some(item)));
        for bad in ["/a~", "/a~2", "~", &"/a".repeat(17)] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }
}
