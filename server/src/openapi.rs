//! What can be asked over HTTP, as OpenAPI, and the same as a page to read. The document is kept by
//! hand, one operation a line; `tests/people/openapi.rs` holds it against the router.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::{Map, Value};

const DOCUMENT: &str = include_str!("openapi/openapi.json");
const STYLE: &str = include_str!("openapi/style.css");

static PAGE: LazyLock<String> =
    LazyLock::new(|| page(&serde_json::from_str(DOCUMENT).unwrap_or_default()));

pub(crate) fn router() -> Router {
    Router::new()
        .route("/api/openapi", get(document))
        .route("/swaggerui", get(|| async { Html(&**PAGE) }))
        .route("/swaggerui/style.css", get(style))
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], STYLE)
}

/// Every operation by its tag, and every schema: no script, nothing from elsewhere.
fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><link rel=\"stylesheet\" \
         href=\"/swaggerui/style.css\"><h1>{title}</h1><p>{}</p><p>As a file: <a \
         href=\"/api/openapi\">/api/openapi</a></p><nav>",
        text(&document["info"]["description"])
    );
    let tags: Vec<&Value> = members(&document["tags"]).map(|tag| &tag["name"]).collect();
    for tag in &tags {
        put(&mut out, format_args!("<a href=\"#{0}\">{0}</a>", text(tag)));
    }
    out.push_str("<a href=\"#schemas\">Schemas</a></nav>");
    for tag in tags {
        put(&mut out, format_args!("<h2 id=\"{0}\">{0}</h2>", text(tag)));
        for (path, operations) in entries(&document["paths"]) {
            for (method, operation) in entries(operations) {
                if operation["tags"][0] == *tag {
                    show(&mut out, &method.to_uppercase(), path, operation);
                }
            }
        }
    }
    out.push_str("<h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let name = escaped(name);
        put(&mut out, format_args!("<details id=\"{name}\"><summary>{name}</summary>"));
        put(&mut out, format_args!("<pre>{}</pre></details>", pretty(schema)));
    }
    out.push_str("</html>");
    out
}

fn show(out: &mut String, method: &str, path: &str, operation: &Value) {
    let (path, summary) = (escaped(path), text(&operation["summary"]));
    put(out, format_args!("<details><summary><code>{method} {path}</code> {summary}</summary>"));
    let parameters: Vec<&Value> = members(&operation["parameters"]).collect();
    if !parameters.is_empty() {
        out.push_str("<table><tr><th>Parameter<th>in<th>is");
        for parameter in parameters {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let schema = escaped(&parameter["schema"].to_string());
            put(
                out,
                format_args!("<tr><td><code>{name}</code><td>{place}<td><code>{schema}</code>"),
            );
        }
        out.push_str("</table>");
    }
    if let Value::Object(body) = &operation["requestBody"] {
        let schema = &body["content"]["application/json"]["schema"];
        put(out, format_args!("<p>Body, JSON:<pre>{}</pre>", pretty(schema)));
    }
    for (status, response) in entries(&operation["responses"]) {
        let what = text(&response["description"]);
        put(out, format_args!("<p><code>{}</code> {what}", escaped(status)));
        for (kind, content) in entries(&response["content"]) {
            let schema = pretty(&content["schema"]);
            put(out, format_args!(" <code>{}</code><pre>{schema}</pre>", escaped(kind)));
        }
    }
    out.push_str("</details>");
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(what);
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_every_name_that_is_meant_is_there() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut count = 0;
        for (path, operations) in entries(&document["paths"]) {
            for (method, operation) in entries(operations) {
                let shown = format!("<code>{} {path}</code>", method.to_uppercase());
                assert!(PAGE.contains(&shown), "{shown}");
                assert!(operation["summary"].is_string(), "{path}");
                count += 1;
            }
        }
        assert_eq!(PAGE.matches("<details><summary><code>").count(), count);
        for meant in DOCUMENT.split("#/components/schemas/").skip(1) {
            let name = meant.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn what_is_shown_is_text() {
        let document = serde_json::json!({
            "info": { "title": "<b>&\"", "description": "" }, "tags": [], "paths": {},
        });
        assert!(page(&document).contains("<h1>&lt;b>&amp;&quot;</h1>"));
    }
}
