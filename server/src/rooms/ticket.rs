//! Tickets: who holds one may join a room, until it expires or the room's code is renewed
//! (`reference/collab.md` 4.6). They are signed; nothing is kept of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::RoomId;

/// Seconds that a ticket is good for, if nobody says; and at most.
pub(super) const TICKET_SECONDS: u64 = 24 * 3600;
pub(super) const TICKET_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Bytes of an encoded ticket that are looked at.
const ENCODED_BYTES_MAX: usize = 4096;

/// What is in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    pub room_id: String,
    pub room_name: String,
    pub docs_namespace: String,
    pub gossip_topic: String,
    pub bootstrap_peers: Vec<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub expires_at: i64,
    /// The room's round of tickets.
    pub round: u64,
    /// HMAC-SHA256, hex.
    pub signature: String,
}

/// Why a ticket is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketError {
    Unreadable,
    /// Nobody here has made it, or somebody has changed it.
    Forged,
}

impl TicketError {
    pub fn why(self) -> &'static str {
        match self {
            Self::Unreadable => "it cannot be read",
            Self::Forged => "it is not signed here",
        }
    }
}

/// What they are signed with.
#[derive(Clone)]
pub(super) struct TicketKey(pub(super) [u8; 32]);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey")
    }
}

impl TicketKey {
    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        mac
    }

    fn hex(&self, text: &str) -> String {
        let bytes = self.mac(text).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Of whatever else is signed here.
    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        self.mac(text).finalize().into_bytes().to_vec()
    }

    /// In constant time.
    pub(super) fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    pub(super) fn issue(
        &self,
        id: RoomId,
        name: &str,
        round: u64,
        now_seconds: i64,
        seconds: u64,
    ) -> Ticket {
        let id = id.to_string();
        let mut ticket = Ticket {
            docs_namespace: self.hex(&format!("{id}:docs")),
            gossip_topic: self.hex(&format!("{id}:gossip")),
            room_name: name.to_owned(),
            room_id: id,
            bootstrap_peers: Vec::new(),
            created_at: now_seconds,
            expires_at: now_seconds + seconds.clamp(1, TICKET_SECONDS_MAX) as i64,
            round,
            signature: String::new(),
        };
        ticket.signature = self.hex(&signed(&ticket));
        ticket
    }

    /// The ticket that these letters stand for, expired or not.
    pub(super) fn read(&self, encoded: &str) -> Result<Ticket, TicketError> {
        if encoded.len() > ENCODED_BYTES_MAX {
            return Err(TicketError::Unreadable);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TicketError::Unreadable)?;
        let ticket: Ticket = serde_json::from_slice(&bytes).map_err(|_| TicketError::Unreadable)?;
        let signature = (0..ticket.signature.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(ticket.signature.get(at..at + 2)?, 16).ok())
            .collect::<Option<Vec<u8>>>();
        let signature = signature.ok_or(TicketError::Forged)?;
        // Compares in constant time.
        self.mac(&signed(&ticket)).verify_slice(&signature).map_err(|_| TicketError::Forged)?;
        Ok(ticket)
    }
}

impl Ticket {
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub fn is_expired(&self, now_seconds: i64) -> bool {
        now_seconds >= self.expires_at
    }
}

/// All of it but the signature, in one way only.
fn signed(ticket: &Ticket) -> String {
    let unsigned = Ticket { signature: String::new(), ..ticket.clone() };
    format!("ticket:{}", serde_json::to_string(&unsigned).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_as_it_was_made_and_in_no_other_way() {
        let key = TicketKey([7; 32]);
        let id = RoomId([1; 16]);
        let ticket = key.issue(id, "Chör", 3, 1000, 60);
        assert_eq!((ticket.created_at, ticket.expires_at), (1000, 1060));
        assert!(!ticket.is_expired(1059) && ticket.is_expired(1060));
        assert_eq!(key.read(&ticket.encoded()), Ok(ticket.clone()));
        assert_eq!(TicketKey([8; 32]).read(&ticket.encoded()), Err(TicketError::Forged));
        let changes: [fn(&mut Ticket); 6] = [
            |it| it.expires_at += 1,
            |it| it.room_id = RoomId([2; 16]).to_string(),
            |it| it.room_name.push('!'),
            |it| it.round += 1,
            |it| it.signature.clear(),
            |it| it.signature = "ä".repeat(32),
        ];
        for change in changes {
            let mut changed = ticket.clone();
            change(&mut changed);
            assert_eq!(key.read(&changed.encoded()), Err(TicketError::Forged), "{changed:?}");
        }
        for text in ["", "e30", "!!", &"A".repeat(5000)] {
            assert_eq!(key.read(text), Err(TicketError::Unreadable), "{text}");
        }
        assert_eq!(key.issue(id, "x", 0, 0, u64::MAX).expires_at, TICKET_SECONDS_MAX as i64);
    }

    #[test]
    fn its_topics_are_the_hmac_of_the_rooms_id() {
        // python3 -c "import hmac,hashlib; print(hmac.new(bytes([7]*32),
        //   b'01010101-0101-0101-0101-010101010101:docs', hashlib.sha256).hexdigest())"
        let ticket = TicketKey([7; 32]).issue(RoomId([1; 16]), "x", 0, 0, 1);
        assert_eq!(
            ticket.docs_namespace,
            "6b2aca8f3874d1f560b65f75c0656f9ed4f212a56702047eef0efe8d63eba7e5"
        );
        assert_eq!(
            ticket.gossip_topic,
            "9cc21f173faf62f10e46f77108d008e013153a38bae0bba1c7c895925a690ac7"
        );
    }
}
