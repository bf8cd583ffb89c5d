//! The document about HTTP says what the router does: every path and method of one is in the other.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

pub(crate) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Paths that are not for programs that ask over HTTP, or not in a release.
const UNDOCUMENTED: [&str; 4] = ["/socket/websocket", "/echo", "/_fault", "/swaggerui/style.css"];

/// The paths that routers in this folder name.
fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for mark in [".route(", "let path = "] {
                for rest in text.split(mark).skip(1) {
                    let Some(rest) = rest.trim_start().strip_prefix("\"/") else { continue };
                    found.insert(format!("/{}", rest.split('"').next().unwrap()));
                }
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_answers_as_it_says() {
    let folder = Folder::new("openapi");
    let settings = [("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")];
    let house = house(&settings).await;
    let document = ask(&house, "GET", "/api/openapi", &[], "").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.body;
    assert_eq!(document["info"]["title"], "Sensocto API");
    let paths = document["paths"].as_object().unwrap();
    let mut found = BTreeSet::new();
    routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let documented: BTreeSet<String> = paths.keys().cloned().collect();
    let missing: Vec<_> = found.difference(&documented).collect();
    let missing: Vec<_> =
        missing.iter().filter(|it| !UNDOCUMENTED.contains(&it.as_str())).collect();
    assert!(missing.is_empty(), "the document does not have {missing:?}");
    for (path, operations) in paths {
        let asked: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in METHODS {
            let answer = ask(&house, &method.to_uppercase(), &asked, &[], "{}").await;
            let operation = &operations[method];
            let what = format!("{method} {path}: {} {}", answer.status, answer.body);
            if operation.is_null() {
                assert_eq!(answer.status, 405, "it is not in the document; {what}");
                continue;
            }
            assert_ne!(answer.status, 405, "{what}");
            let is_said = operation["responses"][answer.status.to_string()].is_object();
            let is_error = answer.status >= 400 && answer.body["error"].is_string();
            assert!(is_said || is_error, "{what}");
            assert!(answer.status < 500 || is_said, "{what}");
        }
    }
    let page = ask(&house, "GET", "/swaggerui", &[], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    house.close().await;
}
