//! The fields of a reading in JSON, as they are written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::item::{self, Item, Parsed};

/// The fields of one item, as written in the body.
#[derive(Default)]
pub(super) struct RawFields<'a> {
    device_id: Option<&'a RawValue>,
    region: Option<&'a RawValue>,
    temperature_c: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    /// What else there was. Nearly always nothing, so it takes no room in ten thousand items.
    extras: Option<Box<Extras<'a>>>,
}

#[derive(Default)]
struct Extras<'a> {
    fault: Option<Rejection>,
    /// Fields that can't change what the reading means.
    ignored: Vec<&'a str>,
    /// Fields that may, cut to `limits::ECHO_CHARS_MAX`; at most `limits::FIELDS_NAMED_MAX`.
    unknown: Vec<String>,
    /// How many more of them there are.
    unknown_more: usize,
}

impl<'a> Deserialize<'a> for RawFields<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'a> Visitor<'a> for V {
            type Value = RawFields<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reading")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = RawFields::default();
                while let Some(key) = map.next_key::<Key<'a>>()? {
                    let (name, place) = match key {
                        Key::DeviceId => ("device_id", &mut fields.device_id),
                        Key::Region => ("region", &mut fields.region),
                        Key::TemperatureC => ("temperature_c", &mut fields.temperature_c),
                        Key::Timestamp => ("timestamp", &mut fields.timestamp),
                        Key::Harmless(name) => {
                            map.next_value::<IgnoredAny>()?;
                            fields.extras.get_or_insert_default().ignored.push(name);
                            continue;
                        }
                        Key::Unknown(name) => {
                            map.next_value::<IgnoredAny>()?;
                            let extras = fields.extras.get_or_insert_default();
                            match extras.unknown.len() < limits::FIELDS_NAMED_MAX {
                                true => extras.unknown.push(name),
                                false => extras.unknown_more += 1,
                            }
                            continue;
                        }
                    };
                    if place.replace(map.next_value()?).is_some() {
                        let detail = format!("{name} is given twice");
                        let fault = Rejection::new(Reason::DuplicateField, detail);
                        fields.extras.get_or_insert_default().fault = Some(fault);
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(V)
    }
}

enum Key<'a> {
    DeviceId,
    Region,
    TemperatureC,
    Timestamp,
    Harmless(&'a str),
    Unknown(String),
}

impl<'a> Deserialize<'a> for Key<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'a> Visitor<'a> for V {
            type Value = Key<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Key<'a>, E> {
                Ok(match Key::named(name) {
                    Key::Unknown(_) if item::is_harmless(name) => Key::Harmless(name),
                    key => key,
                })
            }

            // A name with escapes in it.
            fn visit_str<E>(self, name: &str) -> Result<Key<'a>, E> {
                Ok(Key::named(name))
            }
        }
        deserializer.deserialize_identifier(V)
    }
}

impl Key<'_> {
    fn named(name: &str) -> Self {
        match name {
            "device_id" => Self::DeviceId,
            "region" => Self::Region,
            "temperature_c" => Self::TemperatureC,
            "timestamp" => Self::Timestamp,
            other => Self::Unknown(other.chars().take(limits::ECHO_CHARS_MAX).collect()),
        }
    }
}

impl<'a> RawFields<'a> {
    fn into_reading(self) -> Item<'a> {
        let (device_id, region) = (self.device_id, self.region);
        self.judged().map_err(|rejection| {
            let (device_id, region) = (as_sent(device_id), as_sent(region));
            rejection.sent_as(device_id.as_deref(), region.as_deref())
        })
    }

    fn judged(self) -> Item<'a> {
        match &self.extras {
            Some(extras) if extras.fault.is_some() || !extras.unknown.is_empty() => {
                let unknown = || item::unknown_fields(&extras.unknown, extras.unknown_more);
                return Err(extras.fault.clone().unwrap_or_else(unknown));
            }
            _ => {}
        }
        let (Some(device_id), Some(region), Some(temperature), Some(time)) =
            (self.device_id, self.region, self.temperature_c, self.timestamp)
        else {
            return Err(self.missing());
        };
        let device_id = string("device_id", device_id).and_then(item::device_id);
        let region = string("region", region).and_then(item::region);
        let (device_id, region) = item::both_names(device_id, region)?;
        let temperature = item::temperature(temperature.get())?;
        Ok(Reading::new(device_id, region, temperature, timestamp(time.get())?))
    }

    /// The rejection that names each field that is not there.
    fn missing(&self) -> Rejection {
        let fields = [
            ("device_id", self.device_id),
            ("region", self.region),
            ("temperature_c", self.temperature_c),
            ("timestamp", self.timestamp),
        ];
        let missing: Vec<&str> =
            fields.into_iter().filter(|(_, raw)| raw.is_none()).map(|(name, _)| name).collect();
        item::missing_fields(&missing)
    }
}

fn string<'a>(name: &str, raw: &'a RawValue) -> Result<Cow<'a, str>, Rejection> {
    unquoted(raw.get()).ok_or_else(|| {
        Rejection::new(Reason::WrongType, format!("{name} must be a string of valid Unicode"))
    })
}

/// A name as it was sent: a string, or a number. What else it may be is not looked at.
fn as_sent(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    match raw.as_bytes().first()? {
        b'{' | b'[' => None,
        _ => Some(unquoted(raw).unwrap_or(Cow::Borrowed(raw))),
    }
}

/// A time: a number, or a string.
fn timestamp(raw: &str) -> Result<UnixMillis, Rejection> {
    match unquoted(raw) {
        Some(text) => item::timestamp_of_text(&text),
        None => item::timestamp_of_number(raw),
    }
}

impl<'a> Parsed<'a> {
    /// Adds an item, as a reading, and the fields that are ignored in it.
    pub(super) fn push(&mut self, item: Result<RawFields<'a>, Rejection>) {
        if let Ok(RawFields { extras: Some(extras), .. }) = &item {
            extras.ignored.iter().for_each(|name| self.ignore(name));
        }
        self.items.push(item.and_then(RawFields::into_reading));
    }
}

/// The text of a JSON string; borrowed unless it holds escapes.
pub(crate) fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}
