//! The parts of a mapping while it is parsed, each with the place that an error names.
//!
//! Some functions are not to be inlined: each is called some forty times, and together they
//! would be 4 KB more in a component.

use std::fmt;

use crate::sources::scope::echo;
use crate::sources::tree::Node;

/// What is wrong with a mapping, and where, for the person that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MappingError(pub(crate) String);

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value of a mapping, and where it is: `take[0].unit`.
#[derive(Clone, Debug)]
pub(crate) struct At<'m> {
    pub(crate) node: &'m Node<'m>,
    place: String,
}

impl<'m> At<'m> {
    /// The whole mapping.
    pub(crate) fn root(node: &'m Node<'m>) -> Self {
        Self { node, place: String::new() }
    }

    /// An error at this place: what the value must be, or is.
    #[inline(never)]
    pub(crate) fn error(&self, what: &str) -> MappingError {
        let place = if self.place.is_empty() { "the mapping" } else { &self.place };
        MappingError([place, " ", what].concat())
    }

    /// The field of an object.
    #[inline(never)]
    pub(crate) fn get(&self, key: &str) -> Option<At<'m>> {
        let node = self.node.field(key)?;
        Some(At { node, place: self.below(key) })
    }

    fn below(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { [&self.place, ".", key].concat() }
    }

    /// Checks that it is an object of known keys.
    pub(crate) fn check_keys(&self, known: &[&str]) -> Result<(), MappingError> {
        for (key, _) in self.pairs(usize::MAX)? {
            if !known.contains(&key) {
                let known = known.join(", ");
                return Err(
                    self.error(&format!("has the unknown key {}; known: {known}", echo(key)))
                );
            }
        }
        Ok(())
    }

    /// The keys and values of an object, at most so many.
    pub(crate) fn pairs(&self, most: usize) -> Result<Vec<(&'m str, At<'m>)>, MappingError> {
        let Node::Object(fields) = self.node else {
            return Err(self.error("must be an object"));
        };
        if fields.len() > most {
            return Err(self.error(&format!("may have at most {most} keys")));
        }
        let at = |key: &str, node| At { node, place: self.below(key) };
        Ok(fields.iter().map(|(key, node)| (key.as_ref(), at(key, node))).collect())
    }

    /// The items of an array, at most so many. One text alone is taken as a list of it.
    #[inline(never)]
    pub(crate) fn list(&self, most: usize) -> Result<Vec<At<'m>>, MappingError> {
        let items = match self.node {
            Node::Array(items) => items,
            Node::Text(_) | Node::Number(_) => return Ok(vec![self.clone()]),
            _ => return Err(self.error("must be a list")),
        };
        if items.len() > most {
            return Err(self.error(&format!("may have at most {most} entries")));
        }
        let at = |(index, node)| At { node, place: format!("{}[{index}]", self.place) };
        Ok(items.iter().enumerate().map(at).collect())
    }

    /// A text.
    pub(crate) fn text(&self) -> Result<&'m str, MappingError> {
        match self.node {
            Node::Text(text) => Ok(text),
            _ => Err(self.error("must be a text")),
        }
    }

    /// A text, or a number as it is written.
    pub(crate) fn text_or_number(&self) -> Result<&'m str, MappingError> {
        match self.node {
            Node::Number(text) => Ok(text),
            _ => self.text(),
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer(&self, least: i64, most: i64) -> Result<i64, MappingError> {
        let number = match self.node {
            Node::Number(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        let wanted = || self.error(&format!("must be a whole number from {least} to {most}"));
        number.ok_or_else(wanted)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Result<bool, MappingError> {
        match self.node {
            Node::Bool(flag) => Ok(*flag),
            _ => Err(self.error("must be true or false")),
        }
    }
}
