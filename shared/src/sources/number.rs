//! The number that a mapping takes, and its unit.

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;
use crate::domain::unit::Unit;
use crate::limits;
use crate::sources::fields::At;
use crate::sources::fields::MappingError;
use crate::sources::pointer::Pointer;
use crate::sources::scope::Scope;
use crate::sources::scope::echo;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;
use crate::sources::tree::Node;

/// Why a value became no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is rejected, and the others are read.
    Rejected(Rejection),
    /// The message takes too much work.
    TooCostly,
}

impl From<TooCostly> for Stop {
    fn from(_: TooCostly) -> Self {
        Self::TooCostly
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The unit of a value. There is no default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitRule {
    /// Always this one.
    Fixed(Unit),
    /// What the message says, and what each of its words means.
    At(Pointer, Vec<(String, Unit)>),
}

impl UnitRule {
    /// Parses `"C"`, or `{"at":"temp_units","C":"C","°F":"F"}`.
    pub(crate) fn parse(at: &At<'_>) -> Result<Self, MappingError> {
        if let Node::Text(name) = at.node {
            let unit = Unit::named(name).map(Self::Fixed);
            return unit.ok_or_else(|| at.error("must be C, F or K, or an object with `at`"));
        }
        let pairs = at.pairs(limits::SOURCE_LIST_MAX)?;
        let pointer = at.get("at").ok_or_else(|| at.error("must have `at`, a pointer"))?;
        let pointer = Pointer::parse(pointer.text()?).map_err(|what| pointer.error(what))?;
        let mut names = Vec::new();
        for (name, value) in pairs.into_iter().filter(|(name, _)| *name != "at") {
            let unit = Unit::named(value.text()?);
            let unit = unit.ok_or_else(|| value.error("must be C, F or K"))?;
            names.push((name.to_owned(), unit));
        }
        match names.is_empty() {
            true => Err(at.error("must say what each word of the message means: \"C\":\"C\"")),
            false => Ok(Self::At(pointer, names)),
        }
    }

    /// The unit in this message; rejected as `unknown_unit` if it has none that is listed.
    pub(crate) fn unit(&self, scope: &Scope<'_, '_>, steps: &mut Steps) -> Result<Unit, Stop> {
        let (pointer, names) = match self {
            Self::Fixed(unit) => return Ok(*unit),
            Self::At(pointer, names) => (pointer, names),
        };
        let said = scope.find(pointer, steps)?.and_then(Node::scalar);
        let Some(said) = said else {
            let detail = format!("the message has no unit at {pointer}");
            return Err(Rejection::new(Reason::UnknownUnit, detail).into());
        };
        steps.take(names.len() + said.len())?;
        let unit = names.iter().find(|(name, _)| name == said).map(|(_, unit)| *unit);
        let detail = || format!("the unit {} is not in the mapping", echo(said));
        Ok(unit.ok_or_else(|| Rejection::new(Reason::UnknownUnit, detail()))?)
    }
}

/// The text of a number with a point, where the source writes a comma. A text with a point and
/// a comma stays what it is, and is no number.
pub(crate) fn with_point(text: &str, has_comma: bool) -> Cow<'_, str> {
    match has_comma && !text.contains('.') {
        true => Cow::Owned(text.replacen(',', ".", 1)),
        false => Cow::Borrowed(text),
    }
}

/// Whether a text is one of those that a sensor sends when it has no temperature. Numbers are
/// compared as numbers: `85` is `85.00`.
pub(crate) fn is_void(void: &[String], text: &str, steps: &mut Steps) -> Result<bool, TooCostly> {
    let number = Decimal::parse_loose(text);
    for none in void {
        steps.take(none.len() + text.len())?;
        let is_same = || Some(number?.is_same(Decimal::parse_loose(none)?));
        if none == text || is_same() == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
