//! Content negotiation: which of several formats a request accepts (RFC 9110, 12.5.1).

use crate::http::{Header, Kind, Problem, Request};

/// The formats of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Csv,
    Ndjson,
}

/// The formats on offer; the first is the default.
const FORMATS: &[(&str, Format)] = &[
    ("application/json", Format::Json),
    ("text/csv", Format::Csv),
    ("application/x-ndjson", Format::Ndjson),
];

impl Format {
    /// The format that `request` accepts.
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        negotiated(request, FORMATS)
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The offer that the request's `accept` prefers (RFC 9110, 12.5.1), the first if
/// several are equal; a problem if it accepts none. An offer is a media type without
/// parameters.
pub(crate) fn negotiated<T: Copy>(request: &Request, offers: &[(&str, T)]) -> Result<T, Problem> {
    // An empty header means the same as none.
    let accept = request.headers.get(Header::Accept).unwrap_or_default();
    let is_empty = accept.split(',').all(|range| range.trim().is_empty());
    let accept = if is_empty { "*/*" } else { accept };
    let mut best = None;
    for (media_type, offer) in offers {
        let quality = quality(accept, media_type);
        if quality > best.map_or(0, |(most, _)| most) {
            best = Some((quality, *offer));
        }
    }
    best.map(|(_, offer)| offer).ok_or_else(|| {
        let types: Vec<&str> = offers.iter().map(|(media_type, _)| *media_type).collect();
        Problem::new(
            Kind::NotAcceptable,
            format!("no acceptable representation; available: {}", types.join(", ")),
        )
    })
}

/// The quality that `accept` gives a media type, in thousandths; its most specific
/// range decides. 0 is not acceptable.
fn quality(accept: &str, media_type: &str) -> u16 {
    let main_type = media_type.split('/').next().unwrap_or_default();
    let mut decided = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let specific = match parts.next().unwrap_or_default().to_ascii_lowercase() {
            name if name == media_type => 3,
            name if name.strip_suffix("/*") == Some(main_type) => 2,
            name if name == "*/*" => 1,
            _ => continue,
        };
        let weight = parts.find_map(|parameter| {
            let (name, weight) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case("q").then_some(weight)
        });
        let quality = weight.map_or(1_000, thousandths);
        decided = decided.max((specific, quality));
    }
    decided.1
}

/// A weight from 0 to 1 with at most three decimals (RFC 9110, 12.4.2), in thousandths;
/// an invalid weight counts as 1.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.parse().ok().filter(|n| *n <= 1_000).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides_and_the_first_of_equals_wins() {
        let chosen = |accept: Option<&str>| {
            let request = Request::get("/");
            let request = match accept {
                Some(accept) => request.with(Header::Accept, accept),
                None => request,
            };
            Format::of(&request).ok()
        };
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("text/csv"), Some(Format::Csv)),
            (Some("TEXT/CSV; charset=utf-8"), Some(Format::Csv)),
            (Some("text/*"), Some(Format::Csv)),
            (Some("text/html, application/x-ndjson;q=0.5"), Some(Format::Ndjson)),
            (Some("application/json;q=0.9, text/csv"), Some(Format::Csv)),
            (Some("application/json;q=0, */*"), Some(Format::Csv)),
            (Some("*/*;q=0.1, application/x-ndjson;q=0.25"), Some(Format::Ndjson)),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Format::Json)),
            (Some("text/html"), None),
            (Some("*/*;q=0"), None),
            (Some("application/jsonx"), None),
            (Some(""), Some(Format::Json)),
            (Some(" "), Some(Format::Json)),
            (Some(", ,"), Some(Format::Json)),
            (Some("text/csv;Q=0.5, application/json;Q=0.4"), Some(Format::Csv)),
            (Some("text/csv;Q=0, application/x-ndjson"), Some(Format::Ndjson)),
        ] {
            assert_eq!(chosen(accept), format, "{accept:?}");
        }
    }
}
