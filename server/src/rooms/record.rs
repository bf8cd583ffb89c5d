//! What is kept of a room: one record, so that it is changed as a whole or not at all.

use serde::{Deserialize, Serialize, Serializer};

use crate::can::{Rank, What};
use crate::store::record::{Record, Unreadable, frozen, unknown_version};

/// What can be done in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Features {
    pub calls: bool,
    pub media: bool,
    pub object_3d: bool,
    pub whiteboard: bool,
}

impl Default for Features {
    /// `reference/collab.md` 2.1.
    fn default() -> Self {
        Self { calls: true, media: true, object_3d: false, whiteboard: false }
    }
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub account: Box<str>,
    #[serde(serialize_with = "as_number")]
    pub rank: Rank,
    pub joined_unix_ms: i64,
}

fn as_number<S: Serializer>(rank: &Rank, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(match rank {
        Rank::Owner => 3,
        Rank::Admin => 2,
        Rank::Member | Rank::Stranger => 1,
        Rank::Banned => 0,
    })
}

/// A room, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomRecord {
    pub name: Box<str>,
    pub description: Option<Box<str>>,
    pub is_public: bool,
    pub code: Box<str>,
    /// Tickets are good for this one only.
    pub ticket_round: u64,
    pub features: Features,
    /// Those who were sent away are among them.
    pub members: Vec<Member>,
    /// Those that were put there; not those that a device brings along.
    pub sensors: Vec<Box<str>>,
    pub made_unix_ms: i64,
    pub changed_unix_ms: i64,
    /// From 1, one more with each change.
    pub version: u64,
    /// Markdown.
    pub notes: Option<Box<str>>,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct RoomV1 {
    name: Box<str>,
    description: Option<Box<str>>,
    is_public: bool,
    code: Box<str>,
    ticket_round: u64,
    features: FeaturesV1,
    members: Vec<MemberV1>,
    sensors: Vec<Box<str>>,
    made_unix_ms: i64,
    changed_unix_ms: i64,
}

#[derive(Deserialize)]
struct FeaturesV1 {
    calls: bool,
    media: bool,
    object_3d: bool,
    whiteboard: bool,
}

#[derive(Deserialize)]
struct MemberV1 {
    account: Box<str>,
    /// 0: sent away, 1: member, 2: admin, 3: owner.
    rank: u8,
    joined_unix_ms: i64,
}

/// With a version and notes.
#[derive(Deserialize)]
struct RoomV2 {
    name: Box<str>,
    description: Option<Box<str>>,
    is_public: bool,
    code: Box<str>,
    ticket_round: u64,
    features: FeaturesV1,
    members: Vec<MemberV1>,
    sensors: Vec<Box<str>>,
    made_unix_ms: i64,
    changed_unix_ms: i64,
    version: u64,
    notes: Option<Box<str>>,
}

impl TryFrom<RoomV2> for RoomRecord {
    type Error = Unreadable;

    fn try_from(room: RoomV2) -> Result<Self, Unreadable> {
        let RoomV2 { version, notes, .. } = room;
        let room = RoomV1 {
            name: room.name,
            description: room.description,
            is_public: room.is_public,
            code: room.code,
            ticket_round: room.ticket_round,
            features: room.features,
            members: room.members,
            sensors: room.sensors,
            made_unix_ms: room.made_unix_ms,
            changed_unix_ms: room.changed_unix_ms,
        };
        Ok(Self { version, notes, ..room.try_into()? })
    }
}

impl TryFrom<RoomV1> for RoomRecord {
    type Error = Unreadable;

    fn try_from(room: RoomV1) -> Result<Self, Unreadable> {
        let member = |MemberV1 { account, rank, joined_unix_ms }| {
            let rank = match rank {
                0 => Rank::Banned,
                1 => Rank::Member,
                2 => Rank::Admin,
                3 => Rank::Owner,
                _ => return Err(Unreadable(format!("there is no rank {rank}"))),
            };
            Ok(Member { account, rank, joined_unix_ms })
        };
        let FeaturesV1 { calls, media, object_3d, whiteboard } = room.features;
        Ok(Self {
            name: room.name,
            description: room.description,
            is_public: room.is_public,
            code: room.code,
            ticket_round: room.ticket_round,
            features: Features { calls, media, object_3d, whiteboard },
            members: room.members.into_iter().map(member).collect::<Result<_, _>>()?,
            sensors: room.sensors,
            made_unix_ms: room.made_unix_ms,
            changed_unix_ms: room.changed_unix_ms,
            version: 1,
            notes: None,
        })
    }
}

impl Record for RoomRecord {
    const TABLE: &'static str = "rooms";
    const SECTION: u16 = 12;
    const VERSION: u16 = 2;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<RoomV1>(body)?.try_into(),
            2 => frozen::<RoomV2>(body)?.try_into(),
            _ => Err(unknown_version(version)),
        }
    }
}

/// What tickets are signed with: one for each installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketKeyRecord {
    pub secret: [u8; 32],
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct TicketKeyV1 {
    secret: [u8; 32],
}

impl Record for TicketKeyRecord {
    const TABLE: &'static str = "ticket_key";
    const SECTION: u16 = 13;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<TicketKeyV1>(body).map(|TicketKeyV1 { secret }| Self { secret }),
            _ => Err(unknown_version(version)),
        }
    }
}

impl RoomRecord {
    pub(super) fn rank_of(&self, account: Option<&str>) -> Rank {
        let member = self.members.iter().find(|member| Some(&*member.account) == account);
        member.map_or(Rank::Stranger, |member| member.rank)
    }

    /// What it is to whoever asks.
    pub(super) fn what(&self, account: Option<&str>) -> What {
        What::Room {
            is_public: self.is_public,
            rank: self.rank_of(account),
            has_banned: self.members.iter().any(|member| member.rank == Rank::Banned),
        }
    }

    /// Another code; the old one and all tickets are void.
    pub(super) fn renew(&mut self, code: Box<str>) {
        self.code = code;
        self.ticket_round += 1;
    }

    pub(super) fn owner(&self) -> &str {
        let owner = self.members.iter().find(|member| member.rank == Rank::Owner);
        owner.map_or("", |member| &*member.account)
    }

    pub(super) fn member_count(&self) -> usize {
        self.members.iter().filter(|member| member.rank.is_member()).count()
    }
}

#[cfg(test)]
impl RoomRecord {
    /// What the golden file of the first version holds.
    pub(crate) fn golden_v1() -> Self {
        Self { version: 1, notes: None, ..Self::golden() }
    }

    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        let member = |account: &str, rank| Member {
            account: account.into(),
            rank,
            joined_unix_ms: 1_795_492_320_999,
        };
        Self {
            name: "Chör".into(),
            description: Some("on Mondays".into()),
            is_public: false,
            code: "ABCD2345".into(),
            ticket_round: 7,
            features: Features { calls: true, media: false, object_3d: true, whiteboard: false },
            members: vec![
                member("anna", Rank::Owner),
                member("bert", Rank::Admin),
                member("guest_x", Rank::Member),
                member("eve", Rank::Banned),
            ],
            sensors: vec!["anna:ecg".into()],
            made_unix_ms: 1_795_492_320_999,
            changed_unix_ms: 1_795_492_321_000,
            version: 5,
            notes: Some("# Chör".into()),
        }
    }
}
