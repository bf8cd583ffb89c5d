//! What is written is read again, and what is not a document says why.

use proptest::prelude::*;

use super::*;
use crate::rooms::record::{Features, Member};

const KEY: TicketKey = TicketKey([5; 32]);

fn id() -> RoomId {
    RoomId::parse("00000000-0000-4000-8000-00000000000a").unwrap()
}

fn room() -> RoomRecord {
    let member = |account: &str, rank| Member {
        account: account.into(),
        rank,
        joined_unix_ms: 1_795_492_320_999,
    };
    RoomRecord {
        name: "Chör: Mondays".into(),
        description: Some("first line\nsecond \"line\"".into()),
        is_public: false,
        code: "ABCD2345".into(),
        ticket_round: 7,
        features: Features { calls: true, media: false, object_3d: true, whiteboard: false },
        members: vec![
            member("bert", Rank::Admin),
            member("anna", Rank::Owner),
            member("eve", Rank::Banned),
        ],
        sensors: vec!["anna:ecg".into(), "7".into()],
        made_unix_ms: 1_795_492_320_999,
        changed_unix_ms: 1_795_492_321_000,
        version: 5,
        notes: Some("# Rules\n\nBreathe.".into()),
    }
}

#[test]
fn a_document_is_as_the_original_wrote_them() {
    let written = write(id(), &room(), "anna", &KEY);
    let signature = written.lines().find(|line| line.starts_with("  signature: ")).unwrap();
    let expected = format!(
        "---\n\
         id: \"00000000-0000-4000-8000-00000000000a\"\n\
         name: \"Chör: Mondays\"\n\
         description: \"first line\\nsecond \\\"line\\\"\"\n\
         owner_id: anna\n\
         join_code: ABCD2345\n\
         version: 5\n\
         created_at: \"2026-11-24T03:52:00.999Z\"\n\
         updated_at: \"2026-11-24T03:52:01Z\"\n\
         features:\n  is_public: false\n  calls_enabled: true\n  media_playback_enabled: false\n  \
         object_3d_enabled: true\n  whiteboard_enabled: false\n\
         admins:\n{signature}\n  updated_by: anna\n  members:\n    - id: anna\n      role: owner\n    \
         - id: bert\n      role: admin\n    - id: eve\n      role: banned\n\
         configuration:\n  sensors:\n    - \"anna:ecg\"\n    - \"7\"\n\
         ---\n\n# Rules\n\nBreathe.\n"
    );
    assert_eq!(written, expected);
}

#[test]
fn what_is_written_is_read_again_and_what_is_off_stays_off() {
    let room = room();
    let read = Document::read(write(id(), &room, "anna", &KEY).as_bytes()).unwrap();
    assert_eq!(read.id, Some(id().to_string()));
    assert_eq!(read.version, Some(5));
    assert_eq!(read.owner.as_deref(), Some("anna"));
    assert_eq!(read.notes.as_deref(), room.notes.as_deref());
    assert_eq!(read.sensors, Some(vec!["anna:ecg".to_owned(), "7".to_owned()]));
    let wishes = Wishes {
        name: Some("Chör: Mondays".into()),
        description: Some(Some("first line\nsecond \"line\"".into())),
        is_public: Some(false),
        calls: Some(true),
        media: Some(false),
        object_3d: Some(true),
        whiteboard: Some(false),
    };
    assert_eq!(read.wishes, wishes);
    assert_eq!(read.members(id(), &room, &KEY), Ok(None), "nobody has come or gone");
}

#[test]
fn a_list_of_members_is_taken_as_it_was_signed_here_and_in_no_other_way() {
    let before = room();
    let written = write(id(), &before, "anna", &KEY);
    let read = |text: &str| Document::read(text.as_bytes()).unwrap();
    let mut now = room();
    now.members.retain(|member| &*member.account != "bert");
    let listed = read(&written).members(id(), &now, &KEY).unwrap().unwrap();
    assert!(listed.contains(&("bert".to_owned(), Rank::Admin)), "{listed:?}");
    let wrong = |text: &str, why: &'static str| {
        let error = read(text).members(id(), &now, &KEY).unwrap_err();
        assert_eq!(error.code(), why, "{text}");
    };
    wrong(&written.replace("role: admin", "role: member"), "invalid_signature");
    wrong(&written.replace("03:52:01Z", "03:52:02Z"), "invalid_signature");
    wrong(&written.replace("updated_by: anna", "updated_by: eve"), "unauthorized_signer");
    wrong(&written.replace("updated_by: anna", "updated_by: zoe"), "unknown_signer");
    wrong(&written.replace("  updated_by: anna\n", ""), "missing_signer");
    wrong(&written.replace("id: bert", "id: zoe"), "invalid_signature");
    wrong(&written.replace("role: admin", "role: owner"), "cannot_change_owner");
    let line = written.lines().find(|line| line.starts_with("  signature: ")).unwrap();
    wrong(&written.replace(&format!("{line}\n"), ""), "missing_signature");
    wrong(&written.replace(line, "  signature: \"%%\""), "invalid_signature_encoding");
    // Nor one that another installation has signed, nor that of another room.
    let other = TicketKey([6; 32]);
    assert!(read(&written).members(id(), &now, &other).is_err());
    let elsewhere = RoomId::parse("00000000-0000-4000-8000-00000000000b").unwrap();
    assert!(read(&written).members(elsewhere, &now, &KEY).is_err());
    // An unknown role is a member's.
    let listed = read(&written.replace("role: banned", "role: king"));
    assert_eq!(
        listed.admins.unwrap().members.iter().map(|it| rank(&it.role)).max(),
        Some(Rank::Owner)
    );
}

#[test]
fn what_is_no_document_says_why() {
    let read = |text: &str| Document::read(text.as_bytes()).unwrap_err();
    assert_eq!(read("# only words"), DocumentError::Missing("id"));
    assert_eq!(read("---\n- a\n- b\n---\n"), DocumentError::NotAMap);
    assert_eq!(read("---\n---\nx"), DocumentError::NotAMap);
    let DocumentError::Yaml { line, .. } = read("---\nid: a\nname: [\n---\n") else { panic!() };
    assert!(line.is_some_and(|line| (2..=5).contains(&line)), "{line:?}");
    let unknown = read("---\nid: a\nnmae: b\n---\n");
    assert!(unknown.to_string().contains("nmae"), "{unknown}");
    // All is head where it does not end.
    assert!(matches!(read("---\nid: a\n\n# Rules: none\nwords\n"), DocumentError::Yaml { .. }));
    assert_eq!(
        read(&format!("---\nid: a\n---\n{}", "x".repeat(NOTES_BYTES_MAX + 1))),
        DocumentError::Notes
    );
    assert_eq!(read("---\nid: a\n---\n\u{202e}x"), DocumentError::Notes);
    assert_eq!(read(&"x".repeat(DOCUMENT_BYTES_MAX + 1)), DocumentError::TooLong);
    assert_eq!(Document::read(b"---\nid: \xff\n---\n"), Err(DocumentError::NotText));
    // What stands for itself many times over is not unfolded.
    let laughs = "---\nid: &a [x, x]\nname: [*a, *a, *a]\n---\n";
    assert!(matches!(read(laughs), DocumentError::Yaml { .. }));
    let deep = format!("---\nid: {}{}\n---\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(read(&deep), DocumentError::Yaml { .. }));
}

/// W22 of `reference/collab.md`: the original counts bytes and letters as one.
#[test]
fn protected_parts_are_found_among_letters_of_any_width() {
    let text = "Ünïcödé ☃ <!-- PROTECTED:rules -->Nüchtern ☃!<!-- /PROTECTED:rules --> ☃ \
                <!-- PROTECTED:b -->x<!-- /PROTECTED:b -->";
    let parts = protected(text).unwrap();
    assert_eq!(parts, BTreeMap::from([("rules", "Nüchtern ☃!"), ("b", "x")]));
    let open = protected("<!-- PROTECTED:☃ -->x<!-- /PROTECTED:b -->");
    assert_eq!(open, Err(DocumentError::Part("☃".into())));
}

proptest! {
    #[test]
    fn any_words_are_read_as_they_were_written(
        name in "\\PC{1,40}",
        description in "(\\PC|\n|\t){0,60}",
        notes in "(\\PC|\n){0,80}",
        sensors in proptest::collection::vec("\\PC{1,12}", 0..4),
    ) {
        let seen = |text: &str| !text.contains(|c: char| is_unseen(c) && !matches!(c, '\n' | '\t'));
        prop_assume!(seen(&name) && seen(&description) && seen(&notes));
        prop_assume!(sensors.iter().all(|id| seen(id)) && protected(&notes).is_ok());
        let notes = notes.trim().to_owned();
        let written = RoomRecord {
            name: name.as_str().into(),
            description: Some(description.as_str()).filter(|it| !it.trim().is_empty()).map(Box::from),
            sensors: sensors.iter().map(|id| id.as_str().into()).collect(),
            notes: (!notes.is_empty()).then(|| notes.as_str().into()),
            ..room()
        };
        let read = Document::read(write(id(), &written, "anna", &KEY).as_bytes()).unwrap();
        prop_assert_eq!(read.wishes.name.as_deref(), Some(&*written.name));
        let description = read.wishes.description.flatten();
        prop_assert_eq!(description.as_deref(), written.description.as_deref());
        prop_assert_eq!(read.notes.as_deref(), written.notes.as_deref());
        prop_assert_eq!(read.sensors.unwrap_or_default(), sensors);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Document::read(&bytes);
        let _ = Document::read(&[b"---\n", &bytes[..], b"\n---\n"].concat());
    }
}
