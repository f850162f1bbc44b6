//! The page's files and the description of the interface, over HTTP. What a person sees of
//! the page is tested in a browser (tests/browser).

use http::Method;
use isotherm_it::{Service, root};
use serde_json::json;

use crate::support::assert::check_problem;

#[test]
fn the_page_and_all_its_files_are_served_and_load_nothing_from_elsewhere() {
    let service = Service::start(&[]).unwrap();
    let page = service.get("/").unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let directory = root().join("query/assets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // Zones are for the component, which reads them itself.
        if entry.file_type().unwrap().is_file() {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let path = format!("/assets/{name}");
        // What is no text is compared in the browser.
        let is_text = !name.ends_with(".png");
        let method = if is_text { Method::GET } else { Method::HEAD };
        let file = service.sender().send(&method, &path).unwrap();
        assert_eq!(file.status, 200, "{path}");
        let policy = file.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("cache-control"), Some("no-cache"));
        if is_text {
            let on_disk = std::fs::read_to_string(root().join("query").join(&path[1..])).unwrap();
            assert_eq!(file.body, on_disk, "{path}");
        }
        // The worker answers for the page, which is not in its own directory.
        let allowed = file.header("service-worker-allowed");
        assert_eq!(allowed, (path == "/assets/sw.js").then_some("../"), "{path}");
        let tag = file.header("etag").unwrap();
        let headers = [("if-none-match", tag)];
        let again = service.sender().send_with(&method, &path, &headers).unwrap();
        assert_eq!(again.status, 304, "{path}");
    }
}

#[test]
fn only_files_of_the_page_are_served() {
    let service = Service::start(&[]).unwrap();
    for path in [
        "/assets/",
        "/assets/nothing.js",
        "/assets/..%2Findex.html",
        "/assets/%2e%2e/spin.toml",
        "/assets/a/b.js",
        "/assets/.hidden.js",
        "/assets/zones%2FREADME.md",
        "/assets/zones%2FEurope.Berlin.tzif",
        "/assets/Europe.Berlin.tzif",
        "/index.html",
    ] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
    check_problem(&service.get("/?x=1").unwrap(), 400, "bad-parameter");
    let posted = service.sender().send_with(&Method::POST, "/", &[]).unwrap();
    check_problem(&posted, 405, "method-not-allowed");
}

#[test]
fn the_description_is_of_this_release_and_names_no_host() {
    let service = Service::start(&[]).unwrap();
    let description = service.get("/openapi.json").unwrap();
    assert_eq!(description.header("content-type"), Some("application/json"));
    let description = description.json().unwrap();
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    // Relative to where the description is: a proxy may have put it anywhere.
    assert_eq!(description["servers"], json!([{"url": "./"}]));
}
