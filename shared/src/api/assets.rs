//! Files that are mounted with the component: the page and `openapi.json` (from
//! `query/assets`, by `spin.toml`).

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::is_among;
use crate::http::{Header, Kind, Problem, Response};

/// The page loads nothing from other origins, sends no referrer and can't be framed.
/// Markup in a name would stay text.
const HEADERS: [(&str, &str); 3] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
];

/// The file that keeps the page for a time without the service. It is in `/assets/`, and
/// may answer for the page, which is one level above.
const WORKER: &str = "sw.js";
const WORKER_HEADER: (&str, &str) = ("service-worker-allowed", "../");

/// `GET /`: the page.
pub(crate) fn page<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    file(call, "index.html")
}

/// `GET /openapi.json`: the description of the interface.
pub(crate) fn description<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    file(call, "openapi.json")
}

/// `GET /assets/{name}`: the file, or 304 if the client has it.
pub(crate) fn file<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    let missing = || Problem::new(Kind::NotFound, "no such file");
    let media_type = media_type(name).ok_or_else(missing)?;
    let content = call.host.asset(name).map_err(Error::Assets)?.ok_or_else(missing)?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = call.request.headers.get(Header::IfNoneMatch);
    let mut response = match known.is_some_and(|list| is_among(&tag, list)) {
        true => Response::not_modified(&tag),
        false => Response::revalidated(media_type, &tag, content),
    };
    for (header, value) in HEADERS.into_iter().chain((name == WORKER).then_some(WORKER_HEADER)) {
        response = response.with_header(header, value);
    }
    Ok(response.into())
}

/// The media type of a file that may be requested. Its name is plain, so that no path
/// leads out of the directory, and has a known extension.
fn media_type(name: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let (stem, ending) = name.rsplit_once('.')?;
    if stem.is_empty() || stem.starts_with('.') || !stem.bytes().all(is_plain) {
        return None;
    }
    match ending {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "json" => Some("application/json"),
        "svg" => Some("image/svg+xml"),
        "png" => Some("image/png"),
        "webmanifest" => Some("application/manifest+json"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_of_known_endings_have_a_type_and_paths_have_none() {
        for name in [
            "index.html",
            "app.css",
            "uPlot.iife.min.js",
            "openapi.json",
            "icon.svg",
            "a.webmanifest",
        ] {
            assert!(media_type(name).is_some(), "{name}");
        }
        for name in ["", ".js", "..js", "../x.js", "a/b.js", "a%2Fb.js", "x", "x.exe", ".git.js"] {
            assert_eq!(media_type(name), None, "{name}");
        }
    }
}
