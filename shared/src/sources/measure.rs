//! A value of a message that becomes a temperature, or the reason why it does not.

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::domain::decimal::Rounding;
use crate::domain::reading::DeviceId;
use crate::domain::reading::MilliCelsius;
use crate::domain::reading::Region;
use crate::domain::reading::UnixMillis;
use crate::domain::rejection;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;
use crate::limits;
use crate::sources::mapping::Mapping;
use crate::sources::mapping::Take;
use crate::sources::number::Stop;
use crate::sources::scope::Scope;
use crate::sources::scope::echo;
use crate::sources::steps::Steps;
use crate::sources::subject;
use crate::sources::taken::Measured;
use crate::sources::taken::folded;
use crate::sources::taken::valid_name;
use crate::sources::tree::Node;
use crate::wire::item;

/// A value that is there: how it is taken, and from where.
pub(crate) struct Value<'v, 's, 'a> {
    pub(crate) mapping: &'v Mapping,
    pub(crate) take: &'v Take,
    pub(crate) scope: &'v Scope<'s, 'a>,
    /// When the message arrived.
    pub(crate) now: UnixMillis,
}

impl Value<'_, '_, '_> {
    /// What was measured by the device of this text; rejected with the first reason that there
    /// is. `value` is `None` for an array or an object.
    pub(crate) fn measured(
        &self,
        value: Option<Cow<'_, str>>,
        device: &str,
        steps: &mut Steps,
    ) -> Result<Measured, Stop> {
        // Two texts that are no UTF-8 would be one device: what is wrong in them is lost.
        if device.contains(char::REPLACEMENT_CHARACTER) {
            let detail = "the text of the device is not valid UTF-8";
            return Err(Rejection::new(Reason::InvalidDeviceId, detail).into());
        }
        if device.chars().nth(limits::SOURCE_ID_CHARS_MAX).is_some() {
            let most = limits::SOURCE_ID_CHARS_MAX;
            let detail = format!("the text of the device has more than {most} characters");
            return Err(Rejection::new(Reason::InvalidDeviceId, detail).into());
        }
        let name = DeviceId::new(valid_name(device))
            .ok_or_else(|| Rejection::new(Reason::InvalidDeviceId, item::NAME_RULE))?;
        let value = value.unwrap_or(Cow::Borrowed("an object or an array"));
        let temperature = self.temperature(&value, steps)?;
        let when = self.mapping.time.when(self.scope, self.now, steps)?;
        Ok(Measured {
            id: device.to_owned(),
            name,
            region: self.region(steps)?,
            temperature,
            timestamp: when.at,
            is_assumed: when.is_assumed,
            number: if when.is_assumed { self.number(steps)? } else { None },
            as_sent: rejection::shown(&value),
        })
    }

    fn temperature(&self, value: &str, steps: &mut Steps) -> Result<MilliCelsius, Stop> {
        steps.take(value.len())?;
        let decimal = Decimal::parse_loose(value).ok_or_else(|| {
            Rejection::new(Reason::NotANumber, format!("{} is no number", echo(value)))
        })?;
        let unit = self.take.unit.unit(self.scope, steps)?;
        let temperature = unit.millicelsius(decimal, self.take.scale).ok_or_else(|| {
            let detail = format!("{} is not from -273.15 to 1000 degrees Celsius", echo(value));
            Rejection::new(Reason::TemperatureOutOfRange, detail)
        })?;
        match self.mapping.plausible.allows(temperature) {
            true => Ok(temperature),
            false => {
                let detail = format!("{} is outside the limits of the source", echo(value));
                Err(Rejection::new(Reason::Implausible, detail).into())
            }
        }
    }

    /// The region. Where the message does not have it, the table of devices may.
    fn region(&self, steps: &mut Steps) -> Result<Option<Region<'static>>, Stop> {
        if self.take.region.is_empty() {
            return Ok(None);
        }
        let Ok(text) = subject::joined(&self.take.region, self.scope, steps)? else {
            return Ok(None);
        };
        let region = Region::new(folded(&text));
        let wrong = || Rejection::new(Reason::InvalidRegion, item::NAME_RULE);
        Ok(Some(region.ok_or_else(wrong)?))
    }

    /// The sender's number, if the message has it.
    fn number(&self, steps: &mut Steps) -> Result<Option<u32>, Stop> {
        let Some(id) = &self.mapping.id else { return Ok(None) };
        let text = match self.scope.find(id, steps)? {
            None | Some(Node::Null) => return Ok(None),
            Some(node) => node.scalar().unwrap_or_default(),
        };
        steps.take(text.len())?;
        let decimal =
            Decimal::parse_loose(text).filter(|number| matches!(number.cut(0), Some((_, false))));
        let number = decimal.and_then(|number| number.scaled(0, Rounding::TowardZero));
        let wrong = || {
            let detail =
                format!("the number of the message at {id} must be from 0 to {}", u32::MAX);
            Rejection::new(Reason::WrongType, detail)
        };
        Ok(Some(number.and_then(|number| u32::try_from(number).ok()).ok_or_else(wrong)?))
    }
}
