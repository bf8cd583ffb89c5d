//! Whose word is believed about where a request came from: proxies of ours, and nobody else's
//! (`reference/reliability.md` T4).

use std::net::IpAddr;

use axum::http::HeaderMap;

/// What a proxy says of who came to it: each appends the address that it has seen.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// By which scheme.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// An address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    first: IpAddr,
    bits: u8,
}

impl Net {
    /// `192.0.2.7`, `10.0.0.0/8`, `fd00::/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some(Self { first, bits })
    }

    fn has(self, address: IpAddr) -> bool {
        let differ = match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                (first.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                (first.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        differ >= u32::from(self.bits)
    }
}

#[derive(Debug, Default)]
pub struct Proxies(pub Vec<Net>);

impl Proxies {
    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.has(address))
    }

    /// Where a request came from: whoever our proxies say came to the first of them. What stands
    /// further left was written by others.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut from = peer.to_canonical();
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            if !self.has(from) {
                break;
            }
            // What is no address was not written by a proxy of ours.
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            from = hop.to_canonical();
        }
        from
    }

    /// Whether it came to our proxy by TLS.
    pub(crate) fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let said = headers.get_all(FORWARDED_PROTO).iter().next_back();
        let said =
            said.and_then(|line| line.to_str().ok()).and_then(|line| line.rsplit(',').next());
        self.has(peer.to_canonical()) && said.is_some_and(|said| said.trim() == "https")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_our_proxies_say_where_somebody_came_from() {
        let proxies =
            Proxies(vec![Net::parse("127.0.0.1").unwrap(), Net::parse("10.0.0.0/8").unwrap()]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, lines, client) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // What the client itself wrote stands on the left, also as a line of its own.
            ("127.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, nonsense, 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &["nonsense"], "127.0.0.1"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(proxies.client(ip(peer), &headers(lines)), ip(client), "{peer} {lines:?}");
        }
        let none = Proxies::default();
        assert_eq!(none.client(ip("127.0.0.1"), &headers(&["198.51.100.1"])), ip("127.0.0.1"));
    }

    #[test]
    fn a_net_has_those_that_begin_alike() {
        let has = |net: &str, address: &str| Net::parse(net).unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe00::1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
        for text in ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "fd00::/129", "10.0.0/8"] {
            assert_eq!(Net::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_proxy_of_ours_says_whether_it_was_asked_by_tls() {
        let proxies = Proxies(vec![Net::parse("127.0.0.1").unwrap()]);
        let said = |proto: &str| {
            let line = ("x-forwarded-proto".parse().unwrap(), proto.parse().unwrap());
            HeaderMap::from_iter([line])
        };
        let (ours, other) = ("127.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert!(proxies.is_https(ours, &said("https")));
        assert!(!proxies.is_https(ours, &said("http")));
        assert!(!proxies.is_https(ours, &said("https, http")));
        assert!(!proxies.is_https(other, &said("https")));
        assert!(!proxies.is_https(ours, &HeaderMap::new()));
    }
}
