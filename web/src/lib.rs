//! The page, embedded: what `build.rs` made of this folder, by path.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/dist"]
struct Dist;

/// One file of the page, with what its answer should say of it.
#[derive(Clone, Debug)]
pub struct Asset {
    pub bytes: Cow<'static, [u8]>,
    pub mime: &'static str,
    /// A strong entity tag, quoted, from the content.
    pub etag: String,
    /// The name carries a hash of the content: it may be kept for ever.
    pub immutable: bool,
}

/// The file at a URL's path; `/` is the page itself. Only names that were embedded exist, so no path
/// leads anywhere else.
pub fn asset(path: &str) -> Option<Asset> {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let file = Dist::get(name)?;
    let mut etag = String::with_capacity(34);
    etag.push('"');
    // Half of a SHA-256 tells any two builds apart.
    for byte in &file.metadata.sha256_hash()[..16] {
        etag.push(char::from_digit(u32::from(byte >> 4), 16).expect("a nibble"));
        etag.push(char::from_digit(u32::from(byte & 15), 16).expect("a nibble"));
    }
    etag.push('"');
    Some(Asset {
        bytes: file.data,
        mime: mime_of(name),
        etag,
        immutable: name.starts_with("assets/"),
    })
}

/// Of the kinds a build makes. Browsers are told not to guess, so each needs its own.
fn mime_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_page() {
        let page = asset("/").expect("a build has an index.html");
        assert_eq!(page.mime, "text/html; charset=utf-8");
        assert!(!page.immutable);
        assert_eq!(page.bytes, asset("/index.html").expect("the same file").bytes);
        assert_eq!(page.etag.len(), 34);
    }

    #[test]
    fn a_path_that_was_not_built_is_nothing() {
        for path in
            ["/nothing", "/../Cargo.toml", "//etc/passwd", "/assets/", "/assets/../index.html"]
        {
            assert!(asset(path).is_none(), "{path}");
        }
    }

    /// With the placeholder there is nothing to follow; with the page, all it names is there.
    #[test]
    fn everything_the_page_names_is_served_as_what_it_is() {
        let page = asset("/").expect("a build has an index.html");
        let text = String::from_utf8(page.bytes.into_owned()).expect("the page is utf-8");
        for name in text.split('"').filter(|part| part.starts_with('/')) {
            let file = asset(name).unwrap_or_else(|| panic!("{name} is named and not there"));
            assert_ne!(file.mime, "application/octet-stream", "{name}");
            assert_eq!(file.immutable, name.starts_with("/assets/"), "{name}");
        }
        assert!(!text.contains("http"), "the page names another host");
        assert!(!text.contains("<style") && !text.contains("style="), "the page has inline style");
    }
}
