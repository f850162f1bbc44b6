//! What a mapping can look at while it reads an item.

use std::borrow::Cow;

use crate::limits;
use crate::sources::pointer;
use crate::sources::pointer::Pointer;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;
use crate::sources::tree::Node;

/// What comes with a message, and is not in its body.
pub(crate) struct Outside<'s> {
    /// The value of a header, by its name in lower case.
    pub(crate) header: &'s dyn Fn(&str) -> Option<String>,
    /// The parameters of the query, decoded.
    pub(crate) query: Vec<(Cow<'s, str>, Cow<'s, str>)>,
}

/// A part of the way to an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'s> {
    /// The key of an object; `None` in an array.
    pub(crate) key: Option<&'s str>,
    /// The index in an array.
    pub(crate) index: usize,
    /// Whether a `*` stood for it.
    pub(crate) is_star: bool,
}

/// An item of a message, and what is around it.
pub(crate) struct Scope<'s, 'a> {
    /// The message.
    pub(crate) root: &'s Node<'a>,
    /// The item.
    pub(crate) item: &'s Node<'a>,
    /// Where the message is in its body: `/3` of the fourth line, or "".
    pub(crate) prefix: &'s str,
    /// The way from the message to the item.
    pub(crate) path: &'s [Place<'s>],
    /// What is not in the body.
    pub(crate) outside: &'s Outside<'s>,
}

impl<'s, 'a> Scope<'s, 'a> {
    /// The value that a pointer leads to.
    pub(crate) fn find(
        &self,
        pointer: &Pointer,
        steps: &mut Steps,
    ) -> Result<Option<&'s Node<'a>>, TooCostly> {
        pointer.find(self.root, self.item, steps)
    }

    /// What the star with this number stood for, from 0.
    pub(crate) fn star(&self, number: usize) -> Option<Cow<'s, str>> {
        let place = self.path.iter().filter(|place| place.is_star).nth(number)?;
        Some(match place.key {
            Some(key) => Cow::Borrowed(key),
            None => Cow::Owned(place.index.to_string()),
        })
    }

    /// A pointer as it is in the whole body, with keys in the place of stars. It is cut at
    /// about `limits::SOURCE_POINTER_CHARS_MAX`.
    pub(crate) fn concrete(&self, pointer: &Pointer) -> String {
        let mut text = self.prefix.to_owned();
        let path = if pointer.is_from_root { &[][..] } else { self.path };
        for place in path {
            text.push('/');
            match place.key {
                Some(key) => pointer::push_part(key, &mut text),
                None => text.push_str(&place.index.to_string()),
            }
        }
        for part in &pointer.parts {
            text.push('/');
            pointer::push_part(part, &mut text);
        }
        text
    }
}

/// The start of a text, of at most so many characters.
pub(crate) fn start(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// A piece of a message as an error may show it: in quotes, and cut.
pub(crate) fn echo(text: &str) -> String {
    format!("{:?}", start(text, limits::ECHO_CHARS_MAX))
}
