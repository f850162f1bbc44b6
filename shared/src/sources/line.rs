//! A line of InfluxDB's line protocol, as a node.

use std::borrow::Cow;

use crate::sources::tree::Field;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// The value of a tag or a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    /// A number without the suffix of its type.
    Number(&'a str),
    /// A text without quotes and escapes.
    Text(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
}

impl<'a> From<&Scalar<'a>> for Node<'a> {
    fn from(scalar: &Scalar<'a>) -> Self {
        match scalar {
            Scalar::Number(text) => Self::Number(text),
            Scalar::Text(text) => Self::Text(text.clone()),
            Scalar::Bool(value) => Self::Bool(*value),
        }
    }
}

/// A tag or a field: its key, and its value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Scalar<'a>);

/// The node of a line: `{"measurement":…,"tags":{…},"fields":{…},"time":…}`, without `time` if
/// the line has none. A tag or a field that is there twice is an error.
pub(crate) fn line_node<'a>(
    measurement: Cow<'a, str>,
    tags: &[Pair<'a>],
    fields: &[Pair<'a>],
    time: Option<Scalar<'a>>,
) -> Result<Node<'a>, Unread> {
    let mut line = vec![
        (Cow::Borrowed("measurement"), Node::Text(measurement)),
        (Cow::Borrowed("tags"), object(tags)?),
        (Cow::Borrowed("fields"), object(fields)?),
    ];
    line.extend(time.map(|time| (Cow::Borrowed("time"), Node::from(&time))));
    Ok(Node::Object(line))
}

fn object<'a>(pairs: &[Pair<'a>]) -> Result<Node<'a>, Unread> {
    let field = |(key, value): &Pair<'a>| -> Field<'a> { (key.clone(), Node::from(value)) };
    Node::object(pairs.iter().map(field).collect())
}

/// Takes a line that was read, or what is wrong with it, and says whether to go on.
pub(crate) type TakeLine<'t, 'a> = dyn FnMut(Result<Node<'a>, Unread>) -> Result<(), Unread> + 't;

/// Reads all lines of a body in order, each without those before it. It is given to `read` by
/// its caller, together with the precision of the request's times.
pub(crate) type ReadLines<'r> =
    dyn for<'a> Fn(&'a str, &mut TakeLine<'_, 'a>) -> Result<(), Unread> + 'r;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_four_parts_and_no_key_twice() {
        let tags = [(Cow::Borrowed("device"), Scalar::Text(Cow::Borrowed("cellar")))];
        let fields =
            [(Cow::Borrowed("value"), Scalar::Number("13.3")), ("ok".into(), Scalar::Bool(true))];
        let node = line_node("t".into(), &tags, &fields, Some(Scalar::Number("1795647000")));
        let mut text = String::new();
        node.unwrap().write_canonical(&mut text);
        assert_eq!(
            text,
            "{\"fields\":{\"ok\":true,\"value\":13.3},\"measurement\":\"t\",\
             \"tags\":{\"device\":\"cellar\"},\"time\":1795647000}"
        );
        let twice = [fields[0].clone(), fields[0].clone()];
        let error = line_node("t".into(), &tags, &twice, None);
        assert_eq!(error, Err(Unread::KeyTwice("value".to_owned())));
    }
}
