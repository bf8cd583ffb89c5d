//! Who may do what with which room: one question, asked by HTTP and sockets alike. What is not
//! allowed here is refused.
//!
//! Whoever may not know that a room is there hears the same as of one that is not.

/// What somebody is here, whatever room it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Has not said who they are, where one must.
    Nobody,
    /// Has not said who they are, where nobody need.
    Visitor,
    Guest,
    Person,
    Administrator,
}

/// What somebody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Was sent away.
    Banned,
    Stranger,
    Member,
    Admin,
    Owner,
}

impl Rank {
    /// The word on the wire. Only members have a rank there.
    pub fn name(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::Stranger => "stranger",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn is_member(self) -> bool {
        self >= Self::Member
    }
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// No room in particular.
    House,
    /// A room that is not there.
    Nothing,
    Room {
        is_public: bool,
        /// Of who asks.
        rank: Rank,
        /// Somebody was sent away: a stranger without a name, or with one that costs nothing, may
        /// be them.
        has_banned: bool,
    },
    /// Somebody in a room.
    Member { is_public: bool, rank: Rank, theirs: Rank, is_oneself: bool, is_guest: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Of the house.
    ListPublic,
    ListMine,
    Create,
    /// To see and change what is one's own of devices.
    OwnDevices,
    MakeCredential,
    /// Of a room: what it is called and who is there.
    See,
    /// To receive what goes on there, and what its sensors measure.
    Watch,
    Join,
    /// With a code or a ticket.
    JoinInvited,
    Leave,
    /// To see the code, or have a ticket.
    Invite,
    RenewCode,
    Edit,
    Delete,
    AddSensor,
    RemoveSensor,
    /// To have one's own device measure there.
    BringSensor,
    /// Of what is said there, or to everybody.
    ReadChat,
    WriteChat,
    /// To take back what others said.
    ModerateChat,
    /// Of a member.
    Promote,
    Demote,
    Kick,
    /// Whoever was sent away may come again.
    Pardon,
}

impl Action {
    pub const ALL: [Self; 24] = [
        Self::ListPublic,
        Self::ListMine,
        Self::Create,
        Self::OwnDevices,
        Self::MakeCredential,
        Self::See,
        Self::Watch,
        Self::Join,
        Self::JoinInvited,
        Self::Leave,
        Self::Invite,
        Self::RenewCode,
        Self::Edit,
        Self::Delete,
        Self::AddSensor,
        Self::RemoveSensor,
        Self::BringSensor,
        Self::ReadChat,
        Self::WriteChat,
        Self::ModerateChat,
        Self::Promote,
        Self::Demote,
        Self::Kick,
        Self::Pardon,
    ];
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Say who you are.
    SignIn,
    /// There is no such room, for all you may know.
    NotFound,
    /// The word for it, as in `reference/collab.md` 2.
    Forbidden(&'static str),
}

const NOT_AUTHORIZED: Denied = Denied::Forbidden("not_authorized");

/// # Errors
/// They may not, and what they may hear of why.
pub(crate) fn can(who: Who, action: Action, what: What) -> Result<(), Denied> {
    if who == Who::Nobody {
        return Err(Denied::SignIn);
    }
    match (what, action) {
        (What::House, Action::ListPublic | Action::ReadChat) => Ok(()),
        (What::House, Action::ListMine | Action::OwnDevices) => signed_in(who),
        (What::House, Action::ModerateChat) if who == Who::Administrator => Ok(()),
        // A guest costs nothing, and neither do a thousand of them.
        (What::House, Action::Create | Action::WriteChat | Action::MakeCredential) => {
            signed_in(who)?;
            if who == Who::Guest { Err(Denied::Forbidden("not_for_guests")) } else { Ok(()) }
        }
        (What::House, _) => Err(NOT_AUTHORIZED),
        (What::Nothing, _) => Err(Denied::NotFound),
        (What::Room { is_public, rank, has_banned }, _) => {
            visible(who, action, is_public, rank)?;
            if has_banned && is_public && rank == Rank::Stranger {
                known_by_name(who, action)?;
            }
            of_room(who, action, is_public, rank)
        }
        (What::Member { is_public, rank, theirs, is_oneself, is_guest }, _) => {
            visible(who, action, is_public, rank)?;
            of_member(who, action, rank, theirs, is_oneself, is_guest)
        }
    }
}

fn signed_in(who: Who) -> Result<(), Denied> {
    if who >= Who::Guest { Ok(()) } else { Err(Denied::SignIn) }
}

/// Whether they may know that the room is there: whoever brings its code or ticket does already.
fn visible(who: Who, action: Action, is_public: bool, rank: Rank) -> Result<(), Denied> {
    let is_invited = action == Action::JoinInvited && rank != Rank::Banned;
    let may = is_public || rank.is_member() || who == Who::Administrator || is_invited;
    if may { Ok(()) } else { Err(Denied::NotFound) }
}

/// Where somebody was sent away, strangers come in with an account only: as a visitor, or a guest of a
/// minute ago, whoever was sent away would be back at once.
fn known_by_name(who: Who, action: Action) -> Result<(), Denied> {
    match (action, who) {
        (Action::Watch | Action::ReadChat, Who::Nobody | Who::Visitor) => Err(Denied::SignIn),
        (Action::Watch | Action::ReadChat | Action::Join | Action::JoinInvited, Who::Guest) => {
            Err(Denied::Forbidden("not_for_guests"))
        }
        _ => Ok(()),
    }
}

/// Whether they run the room. A guest is gone tomorrow, and runs nothing.
fn runs(who: Who, rank: Rank) -> bool {
    who == Who::Administrator || (who == Who::Person && rank >= Rank::Admin)
}

fn owns(who: Who, rank: Rank) -> bool {
    who == Who::Administrator || (who == Who::Person && rank == Rank::Owner)
}

fn of_room(who: Who, action: Action, is_public: bool, rank: Rank) -> Result<(), Denied> {
    let if_so = |may: bool| if may { Ok(()) } else { Err(NOT_AUTHORIZED) };
    match action {
        Action::See => Ok(()),
        Action::Watch | Action::ReadChat if rank == Rank::Banned => {
            Err(Denied::Forbidden("banned"))
        }
        Action::Watch | Action::ReadChat => Ok(()),
        Action::Join | Action::JoinInvited => {
            signed_in(who)?;
            match rank {
                Rank::Banned => Err(Denied::Forbidden("banned")),
                Rank::Stranger => {
                    let is_open = is_public || action == Action::JoinInvited;
                    if_so(is_open || who == Who::Administrator)
                }
                _ => Err(Denied::Forbidden("already_member")),
            }
        }
        Action::Leave => {
            signed_in(who)?;
            match rank {
                Rank::Owner => Err(Denied::Forbidden("owner_cannot_leave")),
                Rank::Admin | Rank::Member => Ok(()),
                Rank::Stranger | Rank::Banned => Err(Denied::Forbidden("not_a_member")),
            }
        }
        Action::BringSensor | Action::WriteChat => {
            if_so(signed_in(who).is_ok() && rank.is_member())
        }
        Action::Invite
        | Action::RenewCode
        | Action::Edit
        | Action::AddSensor
        | Action::RemoveSensor
        | Action::ModerateChat => if_so(runs(who, rank)),
        Action::Delete => if_so(owns(who, rank)),
        _ => Err(NOT_AUTHORIZED),
    }
}

fn of_member(
    who: Who,
    action: Action,
    rank: Rank,
    theirs: Rank,
    is_oneself: bool,
    is_guest: bool,
) -> Result<(), Denied> {
    let forbidden = |why| Err(Denied::Forbidden(why));
    match action {
        Action::Promote | Action::Demote => {
            if !owns(who, rank) {
                return Err(NOT_AUTHORIZED);
            }
            match (theirs, action) {
                (Rank::Owner, _) => forbidden("cannot_change_owner"),
                (Rank::Admin, Action::Promote) => forbidden("already_admin"),
                (Rank::Member, Action::Demote) => forbidden("already_member"),
                (Rank::Member, Action::Promote) if is_guest => forbidden("not_for_guests"),
                (Rank::Admin | Rank::Member, _) => Ok(()),
                (Rank::Stranger | Rank::Banned, _) => forbidden("not_a_member"),
            }
        }
        Action::Kick => {
            if !runs(who, rank) || is_oneself {
                return Err(NOT_AUTHORIZED);
            }
            match theirs {
                Rank::Owner => forbidden("cannot_kick_owner"),
                Rank::Admin if !owns(who, rank) => forbidden("cannot_kick_admin_or_owner"),
                Rank::Admin | Rank::Member => Ok(()),
                Rank::Stranger | Rank::Banned => forbidden("not_a_member"),
            }
        }
        Action::Pardon if !runs(who, rank) => Err(NOT_AUTHORIZED),
        Action::Pardon if theirs != Rank::Banned => forbidden("not_banned"),
        Action::Pardon => Ok(()),
        _ => Err(NOT_AUTHORIZED),
    }
}

#[cfg(test)]
mod tests;
