//! Where the server is, however the address was written.

/// Port when none is given: the server's default.
const PORT_DEFAULT: u16 = 4000;

const SOCKET_PATH: &str = "/socket/websocket";

/// A server's host and port, and its socket's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `host:port`.
    pub authority: String,
    pub path: String,
}

impl Address {
    /// From `http://host:port`, `ws://host:port/socket/websocket`, `host:port` and the like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        match scheme {
            "http" | "ws" => {}
            "https" | "wss" => {
                return Err(format!("{text}: TLS is not spoken here; use http:// or ws://"));
            }
            other => return Err(format!("{text}: unknown scheme {other:?}; use http:// or ws://")),
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.is_empty() {
            return Err(format!("{text}: no host in this address"));
        }
        let authority = if authority.rsplit(']').next().unwrap_or_default().contains(':') {
            let port = authority.rsplit(':').next().unwrap_or_default();
            if port.parse::<u16>().is_err() {
                return Err(format!("{text}: {port:?} is not a port"));
            }
            authority.to_owned()
        } else {
            format!("{authority}:{PORT_DEFAULT}")
        };
        let path = match path.trim_end_matches('/') {
            "" => SOCKET_PATH.to_owned(),
            "/socket" => SOCKET_PATH.to_owned(),
            path => path.to_owned(),
        };
        Ok(Self { authority, path })
    }

    /// Where a Phoenix client of version 2 connects.
    pub fn socket_url(&self) -> String {
        format!("ws://{}{}?vsn=2.0.0", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_be_written_in_many_ways() {
        for (text, url) in [
            ("http://127.0.0.1:4000", "ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0"),
            ("ws://h:1/socket/websocket", "ws://h:1/socket/websocket?vsn=2.0.0"),
            ("ws://h:1/socket/websocket?vsn=1.0.0", "ws://h:1/socket/websocket?vsn=2.0.0"),
            ("localhost/", "ws://localhost:4000/socket/websocket?vsn=2.0.0"),
            ("http://[::1]:7/", "ws://[::1]:7/socket/websocket?vsn=2.0.0"),
            ("ws://[::1]/socket", "ws://[::1]:4000/socket/websocket?vsn=2.0.0"),
        ] {
            assert_eq!(Address::parse(text).unwrap().socket_url(), url);
        }
        for text in ["https://h", "ftp://h", "http://", "http://h:port", "http:///x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
