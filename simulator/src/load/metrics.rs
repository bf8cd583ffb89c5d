//! What a Sensocto server says of itself: its `/metrics`, fetched and read.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use components::ledger::Reason;

/// How long a server may take to answer. One under load answers late, and is asked again.
const ANSWER_TIME: Duration = Duration::from_millis(900);

/// Bytes of the longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Every series of one scrape, in the page's order; the name is without `sensocto_` and with its
/// labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Asks the server at `host:port`. `None` when it does not answer in time, or is no Sensocto.
    pub(super) fn fetch(authority: &str) -> Option<Self> {
        let address = authority.to_socket_addrs().ok()?.next()?;
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME).ok()?;
        stream.set_read_timeout(Some(ANSWER_TIME)).ok()?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer);
        if !answer.starts_with("HTTP/1.1 200") {
            return None;
        }
        Some(Self::parse(&answer)).filter(|metrics| metrics.get("ticks_total").is_some())
    }

    /// From Prometheus' text format.
    fn parse(text: &str) -> Self {
        let series = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("sensocto_")?.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// By how much a series grew since an earlier scrape. Absent while the engine was too busy to
    /// be asked.
    pub(super) fn since(&self, before: &Self, name: &str) -> Option<f64> {
        Some(self.get(name)? - before.get(name)?)
    }

    /// Samples received less those that were refused at the door, since an earlier scrape.
    pub(super) fn accepted_since(&self, before: &Self) -> Option<f64> {
        let at_door = Reason::OF_DOOR.into_iter().chain([Reason::UnknownFeed]);
        let refused = at_door.map(|reason| {
            self.since(before, &format!("store_dropped_total{{reason=\"{}\"}}", reason.name()))
        });
        let refused: f64 = refused.sum::<Option<f64>>()?;
        Some(self.since(before, "store_received_total")? - refused)
    }

    /// What was lost since an earlier scrape: ledger (`store` or `lens`), reason and count.
    pub(super) fn dropped_since(&self, before: &Self) -> Vec<(&'static str, String, f64)> {
        let ledgers = ["store", "lens"].into_iter();
        ledgers
            .flat_map(|ledger| {
                let prefix = format!("{ledger}_dropped_total{{reason=\"");
                self.0.iter().filter_map(move |(name, value)| {
                    let reason = name.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                    let count = value - before.get(name)?;
                    // In the store a sample that has aged has come to its ordinary end.
                    let lost = count > 0.0 && (ledger, reason) != ("store", "aged");
                    lost.then(|| (ledger, reason.to_owned(), count))
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(received: u64, full: u64) -> Metrics {
        Metrics::parse(&format!(
            "HTTP/1.1 200 OK\r\n\r\n# HELP sensocto_ticks_total x\nsensocto_ticks_total 5\n\
             sensocto_store_received_total {received}\n\
             sensocto_store_dropped_total{{reason=\"aged\"}} {received}\n\
             sensocto_store_dropped_total{{reason=\"unknown_feed\"}} 0\n\
             sensocto_store_dropped_total{{reason=\"intake_full\"}} {full}\n\
             sensocto_store_dropped_total{{reason=\"rate_limited\"}} 0\n\
             sensocto_store_dropped_total{{reason=\"paced\"}} 0\n\
             sensocto_store_dropped_total{{reason=\"shed\"}} 0\nother 5\nsensocto_bad x\n"
        ))
    }

    #[test]
    fn what_was_accepted_is_what_came_less_what_was_refused() {
        let (before, after) = (page(100, 0), page(300, 25));
        assert_eq!(after.accepted_since(&before), Some(175.0));
        assert_eq!(after.dropped_since(&before), [("store", "intake_full".to_owned(), 25.0)]);
        assert_eq!(after.get("other"), None);
        assert_eq!(Metrics::default().accepted_since(&before), None);
    }
}
