//! Every cell of who, action and room, against a table that is written down by hand.

use super::*;

const WHO: [Who; 5] = [Who::Nobody, Who::Visitor, Who::Guest, Who::Person, Who::Administrator];
const RANKS: [Rank; 5] = [Rank::Banned, Rank::Stranger, Rank::Member, Rank::Admin, Rank::Owner];

/// A letter for each answer.
fn letter(answer: Result<(), Denied>) -> char {
    match answer {
        Ok(()) => 'y',
        Err(Denied::SignIn) => 's',
        Err(Denied::NotFound) => '-',
        Err(Denied::Forbidden(why)) => match why {
            "not_authorized" => 'n',
            "banned" => 'b',
            "already_member" => 'a',
            "owner_cannot_leave" => 'o',
            "not_a_member" => 'x',
            "not_for_guests" => 'g',
            "cannot_change_owner" => 'C',
            "already_admin" => 'A',
            "cannot_kick_owner" => 'K',
            "cannot_kick_admin_or_owner" => 'k',
            "not_banned" => 'p',
            other => panic!("{other}"),
        },
    }
}

/// One where nobody was sent away but, perhaps, who asks.
fn room(is_public: bool, rank: Rank) -> What {
    What::Room { is_public, rank, has_banned: rank == Rank::Banned }
}

/// Where somebody was sent away, whoever is no member comes in with an account only.
#[test]
fn whoever_was_sent_away_does_not_come_back_as_nobody() {
    let ask = |who, action, is_public, rank, has_banned| {
        letter(can(who, action, What::Room { is_public, rank, has_banned }))
    };
    let table = [
        // visitor, guest, person, administrator: all of them strangers
        (Action::Watch, "sgyy"),
        (Action::ReadChat, "sgyy"),
        (Action::Join, "sgyy"),
        (Action::JoinInvited, "sgyy"),
        (Action::See, "yyyy"),
    ];
    for action in Action::ALL {
        let said = |rank, has_banned| -> String {
            WHO[1..].iter().map(|who| ask(*who, action, true, rank, has_banned)).collect()
        };
        let expected = table.iter().find(|row| row.0 == action).map(|row| row.1.to_owned());
        // What else there is stays as it is; and so it is for who is there already.
        let expected = expected.unwrap_or_else(|| said(Rank::Stranger, false));
        assert_eq!(said(Rank::Stranger, true), expected, "{action:?}");
        for rank in [Rank::Member, Rank::Admin, Rank::Owner] {
            assert_eq!(said(rank, true), said(rank, false), "{action:?} {rank:?}");
        }
        // A private room has no way in but its code, which is another one then.
        for who in WHO {
            let (with, without) = (true, false);
            assert_eq!(
                ask(who, action, false, Rank::Stranger, with),
                ask(who, action, false, Rank::Stranger, without),
                "{action:?} {who:?}"
            );
        }
    }
}

/// Of a room: for each rank (banned, stranger, member, admin, owner) one letter; public, private.
#[test]
fn every_cell_of_a_room_is_as_it_is_written_here() {
    use Action::*;
    // nobody says who they are: they must, whatever it is about.
    for action in Action::ALL {
        for is_public in [true, false] {
            for rank in RANKS {
                let what = room(is_public, rank);
                assert_eq!(can(Who::Nobody, action, what), Err(Denied::SignIn));
            }
        }
        assert_eq!(can(Who::Nobody, action, What::Nothing), Err(Denied::SignIn));
        assert_eq!(can(Who::Nobody, action, What::House), Err(Denied::SignIn));
    }
    let table = [
        // action, visitor, guest, person, administrator; each public, private
        (See, ["yyyyy", "--yyy"], ["yyyyy", "--yyy"], ["yyyyy", "--yyy"], ["yyyyy", "yyyyy"]),
        (ReadChat, ["byyyy", "--yyy"], ["byyyy", "--yyy"], ["byyyy", "--yyy"], ["byyyy", "byyyy"]),
        (WriteChat, ["nnnnn", "--nnn"], ["nnyyy", "--yyy"], ["nnyyy", "--yyy"], ["nnyyy", "nnyyy"]),
        (
            ModerateChat,
            ["nnnnn", "--nnn"],
            ["nnnnn", "--nnn"],
            ["nnnyy", "--nyy"],
            ["yyyyy", "yyyyy"],
        ),
        (Watch, ["byyyy", "--yyy"], ["byyyy", "--yyy"], ["byyyy", "--yyy"], ["byyyy", "byyyy"]),
        (Join, ["sssss", "--sss"], ["byaaa", "--aaa"], ["byaaa", "--aaa"], ["byaaa", "byaaa"]),
        (
            JoinInvited,
            ["sssss", "-ssss"],
            ["byaaa", "-yaaa"],
            ["byaaa", "-yaaa"],
            ["byaaa", "byaaa"],
        ),
        (Leave, ["sssss", "--sss"], ["xxyyo", "--yyo"], ["xxyyo", "--yyo"], ["xxyyo", "xxyyo"]),
        (Invite, ["nnnnn", "--nnn"], ["nnnnn", "--nnn"], ["nnnyy", "--nyy"], ["yyyyy", "yyyyy"]),
        (RenewCode, ["nnnnn", "--nnn"], ["nnnnn", "--nnn"], ["nnnyy", "--nyy"], ["yyyyy", "yyyyy"]),
        (Edit, ["nnnnn", "--nnn"], ["nnnnn", "--nnn"], ["nnnyy", "--nyy"], ["yyyyy", "yyyyy"]),
        (Delete, ["nnnnn", "--nnn"], ["nnnnn", "--nnn"], ["nnnny", "--nny"], ["yyyyy", "yyyyy"]),
        (AddSensor, ["nnnnn", "--nnn"], ["nnnnn", "--nnn"], ["nnnyy", "--nyy"], ["yyyyy", "yyyyy"]),
        (
            RemoveSensor,
            ["nnnnn", "--nnn"],
            ["nnnnn", "--nnn"],
            ["nnnyy", "--nyy"],
            ["yyyyy", "yyyyy"],
        ),
        (
            BringSensor,
            ["nnnnn", "--nnn"],
            ["nnyyy", "--yyy"],
            ["nnyyy", "--yyy"],
            ["nnyyy", "nnyyy"],
        ),
    ];
    for (action, visitor, guest, person, administrator) in table {
        let rows = [visitor, guest, person, administrator];
        for (who, expected) in WHO[1..].iter().zip(rows) {
            for (is_public, expected) in [(true, expected[0]), (false, expected[1])] {
                let answers: String = RANKS
                    .iter()
                    .map(|rank| letter(can(*who, action, room(is_public, *rank))))
                    .collect();
                assert_eq!(answers, expected, "{action:?} {who:?} public: {is_public}");
            }
        }
    }
    let listed: Vec<Action> = table.iter().map(|row| row.0).collect();
    for action in Action::ALL {
        let of_house =
            matches!(action, ListPublic | ListMine | Create | OwnDevices | MakeCredential);
        let of_others = of_house || matches!(action, Promote | Demote | Kick | Pardon);
        assert_ne!(of_others, listed.contains(&action), "{action:?} is in a table");
        if of_others {
            // What is not of a room is refused there, to whoever it is.
            let what = room(true, Rank::Owner);
            assert_eq!(can(Who::Administrator, action, what), Err(NOT_AUTHORIZED), "{action:?}");
        } else if !matches!(action, ReadChat | WriteChat | ModerateChat) {
            assert_eq!(can(Who::Administrator, action, What::House), Err(NOT_AUTHORIZED));
        }
        assert_eq!(can(Who::Administrator, action, What::Nothing), Err(Denied::NotFound));
    }
}

#[test]
fn of_the_house_one_may_list_create_and_talk() {
    for (action, expected) in [
        (Action::ListPublic, "syyyy"),
        (Action::ListMine, "ssyyy"),
        (Action::Create, "ssgyy"),
        (Action::OwnDevices, "ssyyy"),
        (Action::MakeCredential, "ssgyy"),
        (Action::ReadChat, "syyyy"),
        (Action::WriteChat, "ssgyy"),
        (Action::ModerateChat, "snnny"),
    ] {
        let answers: String =
            WHO.iter().map(|who| letter(can(*who, action, What::House))).collect();
        assert_eq!(answers, expected, "{action:?}");
    }
}

/// Of a member, who is a person and somebody else: for each of their ranks (banned, stranger,
/// member, admin, owner) one letter.
#[test]
fn every_cell_of_a_member_is_as_it_is_written_here() {
    use Action::*;
    let table = [
        // action, asker's rank, visitor, guest, person, administrator of the house
        (Kick, Rank::Stranger, ["nnnnn", "nnnnn", "nnnnn", "xxyyK"]),
        (Kick, Rank::Member, ["nnnnn", "nnnnn", "nnnnn", "xxyyK"]),
        (Kick, Rank::Admin, ["nnnnn", "nnnnn", "xxykK", "xxyyK"]),
        (Kick, Rank::Owner, ["nnnnn", "nnnnn", "xxyyK", "xxyyK"]),
        (Promote, Rank::Stranger, ["nnnnn", "nnnnn", "nnnnn", "xxyAC"]),
        (Promote, Rank::Member, ["nnnnn", "nnnnn", "nnnnn", "xxyAC"]),
        (Promote, Rank::Admin, ["nnnnn", "nnnnn", "nnnnn", "xxyAC"]),
        (Promote, Rank::Owner, ["nnnnn", "nnnnn", "xxyAC", "xxyAC"]),
        (Demote, Rank::Stranger, ["nnnnn", "nnnnn", "nnnnn", "xxayC"]),
        (Demote, Rank::Member, ["nnnnn", "nnnnn", "nnnnn", "xxayC"]),
        (Demote, Rank::Admin, ["nnnnn", "nnnnn", "nnnnn", "xxayC"]),
        (Demote, Rank::Owner, ["nnnnn", "nnnnn", "xxayC", "xxayC"]),
        (Pardon, Rank::Stranger, ["nnnnn", "nnnnn", "nnnnn", "ypppp"]),
        (Pardon, Rank::Member, ["nnnnn", "nnnnn", "nnnnn", "ypppp"]),
        (Pardon, Rank::Admin, ["nnnnn", "nnnnn", "ypppp", "ypppp"]),
        (Pardon, Rank::Owner, ["nnnnn", "nnnnn", "ypppp", "ypppp"]),
    ];
    let ask = |who, action, is_public, rank, theirs, is_oneself, is_guest| {
        letter(can(who, action, What::Member { is_public, rank, theirs, is_oneself, is_guest }))
    };
    for (action, rank, rows) in table {
        for (who, expected) in WHO[1..].iter().zip(rows) {
            let answers: String = RANKS
                .iter()
                .map(|theirs| ask(*who, action, true, rank, *theirs, false, false))
                .collect();
            assert_eq!(answers, expected, "{action:?} {who:?} {rank:?}");
            // In a private room a stranger hears that there is none.
            let hidden = rank == Rank::Stranger && *who != Who::Administrator;
            let first = ask(*who, action, false, rank, Rank::Member, false, false);
            assert_eq!(first == '-', hidden, "{action:?} {who:?} {rank:?}");
        }
    }
    for rank in RANKS {
        for who in WHO {
            let oneself = ask(who, Kick, true, rank, rank, true, false);
            assert!(matches!(oneself, 's' | 'n'), "nobody sends themselves away: {who:?} {rank:?}");
        }
    }
    let guest = ask(Who::Person, Promote, true, Rank::Owner, Rank::Member, false, true);
    assert_eq!(guest, 'g', "a guest runs nothing");
    let ban = ask(Who::Person, Kick, false, Rank::Banned, Rank::Member, false, false);
    assert_eq!(ban, '-');
}
