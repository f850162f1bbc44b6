//! Pages of other origins: exactly those that the variable names, without cookies.

use http::Method;
use isotherm::http::{Header, Request, Response};
use isotherm_it::Service;

use super::{bearer, tokens};
use crate::support::assert::header;
use crate::support::bare::ask;
use crate::support::node::Node;

const PLANT: &str = "https://plant.example";

/// A node that lets these origins read, and a token to read.
fn node(origins: &str) -> (Node, String) {
    let ([reader], lines) = tokens([("reader", "read:*")]);
    let node = Node::quiet(&[("auth", "on"), ("tokens", &lines), ("cors_origins", origins)]);
    (node, reader)
}

fn from(node: &mut Node, origin: &str, token: &str) -> Response {
    let request = Request::get("/v1/regions").with(Header::Origin, origin);
    node.asked(&request.with(Header::Authorization, bearer(token)), "")
}

fn preflight(node: &mut Node, origin: &str, path: &str, method: &str) -> Response {
    let request = Request::with_method(Method::OPTIONS, path)
        .with(Header::Origin, origin)
        .with(Header::AccessControlRequestMethod, method);
    node.asked(&request, "")
}

fn any_of_cors(response: &Response) -> Vec<&str> {
    let names = response.headers.iter().map(|(name, _)| *name);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

fn vary(response: &Response) -> String {
    let lines = response.headers.iter().filter(|(name, _)| *name == "vary");
    lines.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
}

#[test]
fn by_default_no_other_origin_reads_anything() {
    let (mut node, reader) = node("");
    for origin in [PLANT, "null", "http://127.0.0.1:3000", "*"] {
        let answer = from(&mut node, origin, &reader);
        assert_eq!(answer.status, 200);
        assert_eq!(any_of_cors(&answer), [""; 0]);
        let asked = preflight(&mut node, origin, "/v1/regions", "GET");
        assert_eq!(any_of_cors(&asked), [""; 0]);
        assert_eq!(asked.status, 405);
    }
}

#[test]
fn an_origin_is_allowed_by_its_whole_text() {
    let (mut node, reader) = node(&format!("{PLANT} http://localhost:5173"));
    for origin in [PLANT, "http://localhost:5173"] {
        let answer = from(&mut node, origin, &reader);
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        assert!(vary(&answer).contains("origin"), "{}", vary(&answer));
        // A page has to see why it was refused, too.
        let refused = from(&mut node, origin, "x");
        assert_eq!(refused.status, 401);
        assert_eq!(header(&refused, "access-control-allow-origin"), Some(origin));
    }
    for origin in [
        "https://plant.example.evil.example",
        "https://evil-plant.example",
        "http://plant.example",
        "https://plant.example:8443",
        "https://PLANT.example",
        "https://plant.example/",
        "https://plant.example http://localhost:5173",
        "https://plant",
        "null",
        "*",
        "",
    ] {
        let answer = from(&mut node, origin, &reader);
        assert_eq!(any_of_cors(&answer), [""; 0], "{origin}");
        assert_eq!(any_of_cors(&preflight(&mut node, origin, "/v1/regions", "GET")), [""; 0]);
        // What is answered without the header depends on it as well, for a cache.
        assert!(vary(&answer).contains("origin"), "{origin}: {}", vary(&answer));
    }
}

#[test]
fn a_preflight_needs_no_token_and_allows_the_methods_of_its_route() {
    let (mut node, _) = node(PLANT);
    for (path, method, methods) in [
        ("/v1/regions", "GET", "GET, HEAD"),
        ("/v1/readings", "POST", "GET, HEAD, POST"),
        ("/v1/tokens/x", "DELETE", "PUT, DELETE"),
        ("/v1/regions/hall/limits", "PUT", "GET, HEAD, PUT, DELETE"),
    ] {
        let answer = preflight(&mut node, PLANT, path, method);
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(PLANT));
        assert_eq!(header(&answer, "access-control-allow-methods"), Some(methods));
        let headers = header(&answer, "access-control-allow-headers").unwrap();
        assert!(headers.contains("authorization") && !headers.contains('*'), "{headers}");
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        assert!(answer.body.is_empty());
    }
    // Without the header of a preflight it is a method that is not there.
    let plain = Request::with_method(Method::OPTIONS, "/v1/regions").with(Header::Origin, PLANT);
    assert_eq!(node.asked(&plain, "").status, 405);
}

#[test]
fn a_variable_with_anything_but_origins_is_refused() {
    for bad in ["*", "https://*.example", "plant.example", "https://a.example/x", "null"] {
        let (mut node, _) = node(bad);
        let ready = node.asked(&Request::get("/readyz"), "");
        assert_eq!(ready.status, 503, "{bad}");
        assert_eq!(any_of_cors(&from(&mut node, bad, "x")), [""; 0], "{bad}");
    }
}

#[test]
fn over_a_socket_it_is_the_same() {
    let ([reader], lines) = tokens([("reader", "read:*")]);
    let variables = [("auth", "on"), ("tokens", &lines), ("cors_origins", PLANT)];
    let service = Service::start(&variables).unwrap();
    for path in ["/v1/regions", "/v1/readings", "/v1/devices", "/v1/events"] {
        let headers = [("origin", PLANT), ("access-control-request-method", "GET")];
        let asked = ask(&service, "OPTIONS", path, &headers, "");
        assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some(PLANT)));
        let headers = [("origin", PLANT.to_owned()), ("authorization", bearer(&reader))];
        let answer = ask(&service, "GET", path, &headers, "");
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, Some(PLANT))
        );
        let headers =
            [("origin", "https://evil.example".to_owned()), ("authorization", bearer(&reader))];
        let answer = ask(&service, "GET", path, &headers, "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    }
}
