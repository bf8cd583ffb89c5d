//! Which web pages may open a socket: the `Origin` header, compared as parsed, exactly
//! (`reference/reliability.md` T5).

use axum::http::{HeaderMap, header};
use url::{Host, Url};

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// `scheme://host[:port]` and nothing else: no path, no user, no trailing dot.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let no_user = url.username().is_empty() && url.password().is_none() && !text.contains('@');
        let (_, authority) = text.split_once("://")?;
        let trailing =
            authority.contains(['/', '\\']) || matches!(&host, Host::Domain(d) if d.ends_with('.'));
        (bare && no_user && !trailing && matches!(url.scheme(), "http" | "https")).then(|| Self {
            scheme: url.scheme().to_owned(),
            host,
            port,
        })
    }
}

/// The origins that may come from elsewhere.
#[derive(Debug, Default)]
pub struct Origins {
    pub allowed: Vec<Origin>,
}

impl Origins {
    /// No `Origin`: not a browser. Else it must be of the same host and port as the request, or
    /// one of the allowed.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        if origins.next().is_some() {
            return false;
        }
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else { return false };
        if self.allowed.contains(&origin) {
            return true;
        }
        // The scheme is the origin's: a proxy in front may speak TLS for us, and the Host header
        // carries none.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.and_then(|host| Origin::parse(&format!("{}://{host}", origin.scheme))).as_ref()
            == Some(&origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_and_the_same_origin_open() {
        let origins = Origins { allowed: vec![Origin::parse("https://app.example.org").unwrap()] };
        let admit = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:4000".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            origins.admit(&headers)
        };
        for origin in [
            None,
            Some("http://127.0.0.1:4000"),
            Some("https://app.example.org"),
            Some("https://APP.example.org:443"),
        ] {
            assert!(admit(origin), "{origin:?}");
        }
        for origin in [
            "null",
            "",
            "https://app.example.org.evil.org",
            "https://evil-app.example.org",
            "https://app.example.org:444",
            "http://app.example.org",
            "https://user@app.example.org",
            "https://app.example.org.",
            "https://app.example.org/",
            "http://127.0.0.1",
            "http://127.0.0.1:4001",
            "http://[::1]:4000",
            "http://localhost:4000",
            "file://127.0.0.1:4000",
            "https://@app.example.org",
        ] {
            assert!(!admit(Some(origin)), "{origin}");
        }
    }
}
