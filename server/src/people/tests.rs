//! People on made-up time, over the real store in memory.

use std::sync::atomic::AtomicI64;

use super::session::{ACCESS_SECONDS, LINK_SECONDS, SESSION_SECONDS};
use super::*;
use crate::store::{Place, Readiness, StoreConfig, sections};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse";

/// Seconds that have gone by, as the machine's clock tells and as it jumps.
#[derive(Clone, Default)]
struct Time {
    seconds: Arc<AtomicU64>,
    jumped: Arc<AtomicI64>,
}

impl Time {
    fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::made_up(move || {
            let seconds = time.seconds.load(Ordering::SeqCst);
            let jumped = time.jumped.load(Ordering::SeqCst);
            let unix_ms = (1_800_000_000 + seconds as i64 + jumped) * 1000;
            Now { engine: EngineTime(seconds * 1_000_000), unix_ms }
        })
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

struct Town {
    time: Time,
    store: Store,
    people: Arc<People>,
}

impl Town {
    async fn new(config: PeopleConfig) -> Self {
        let time = Time::default();
        let store = StoreConfig::new(Place::Memory, sections(), time.clock());
        let store = Store::start(store).unwrap();
        store.watch().wait_for(|now| *now == Readiness::Ready).await.unwrap();
        let people = Self::moved_in(&store, &time, config).await;
        Self { time, store, people }
    }

    /// What another server finds in the store.
    async fn moved_in(store: &Store, time: &Time, config: PeopleConfig) -> Arc<People> {
        let people = People::start(config, None, store.clone(), time.clock()).unwrap();
        let hydrating = Arc::clone(&people);
        tokio::task::spawn_blocking(move || hydrating.hydrate().unwrap()).await.unwrap();
        people
    }

    async fn restarted(&self) -> Arc<People> {
        // Behind everything that nobody waited for.
        self.store.commit(Vec::new()).await.unwrap();
        Self::moved_in(&self.store, &self.time, PeopleConfig::default()).await
    }

    async fn anna(&self) -> Granted {
        self.people.register("anna@example.org", PASSWORD, None, None).await.unwrap()
    }
}

async fn town() -> Town {
    Town::new(PeopleConfig::default()).await
}

fn refresh_of(granted: &Granted) -> &str {
    granted.refresh.as_deref().unwrap()
}

#[tokio::test]
async fn a_token_opens_its_own_door_and_no_other() {
    let town = town().await;
    let granted = town.anna().await;
    let anna = town.people.by_access(&granted.access).unwrap();
    assert_eq!((&anna.id, anna.role), (&granted.user.id, Role::Person));
    assert_eq!(town.people.by_socket(&granted.socket), Some(anna.clone()));
    let link = town.people.link(&anna).unwrap();
    for token in [&granted.socket, &link, refresh_of(&granted), "sa_", "", "missing"] {
        assert_eq!(town.people.by_access(token), None, "{token}");
    }
    for token in [&granted.access, &link, refresh_of(&granted)] {
        assert_eq!(town.people.by_socket(token), None, "{token}");
    }
    for token in [&granted.access, &granted.socket, &link] {
        assert_eq!(town.people.refresh(token).await, Err(PeopleError::BadToken), "{token}");
    }
    for token in [&granted.socket, refresh_of(&granted)] {
        assert_eq!(town.people.exchange(token).await, Err(PeopleError::BadToken), "{token}");
    }
    // Under another's prefix it is nothing either.
    let disguised = format!("sa_{}", &granted.socket[3..]);
    assert_eq!(town.people.by_access(&disguised), None);
}

#[tokio::test]
async fn an_access_token_ends_after_a_quarter_of_an_hour_and_a_refresh_gives_another() {
    let town = town().await;
    let first = town.anna().await;
    town.time.pass(ACCESS_SECONDS - 1);
    assert!(town.people.by_access(&first.access).is_some());
    town.time.pass(1);
    assert_eq!(town.people.by_access(&first.access), None);
    assert_eq!(town.people.by_socket(&first.socket), None);
    let second = town.people.refresh(refresh_of(&first)).await.unwrap();
    assert_eq!((second.user.clone(), second.session), (first.user.clone(), first.session));
    assert!(town.people.by_access(&second.access).is_some());
    // Each refresh begins the thirty days anew.
    town.time.pass(SESSION_SECONDS - 1);
    let third = town.people.refresh(refresh_of(&second)).await.unwrap();
    town.time.pass(SESSION_SECONDS);
    assert_eq!(town.people.refresh(refresh_of(&third)).await, Err(PeopleError::BadToken));
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_the_session_of_thief_and_owner() {
    let town = town().await;
    let ended = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&ended);
    town.people.on_end(Box::new(move |sessions| lock(&heard).extend_from_slice(sessions)));
    let first = town.anna().await;
    let other = town.people.sign_in("anna@example.org", PASSWORD, HERE).await.unwrap();
    let second = town.people.refresh(refresh_of(&first)).await.unwrap();
    assert!(lock(&ended).is_empty());
    assert_eq!(town.people.refresh(refresh_of(&first)).await, Err(PeopleError::BadToken));
    assert_eq!(*lock(&ended), [first.session]);
    assert_eq!(town.people.refresh(refresh_of(&second)).await, Err(PeopleError::BadToken));
    assert_eq!(town.people.by_access(&second.access), None);
    assert_eq!(town.people.by_socket(&second.socket), None);
    assert!(town.people.by_access(&other.access).is_some(), "the other sign-in is another family");
    assert_eq!(town.people.figures().reused, 1);
    assert!(town.restarted().await.refresh(refresh_of(&second)).await.is_err());
}

#[tokio::test]
async fn what_is_granted_outlives_the_server_and_what_was_ended_stays_so() {
    let town = town().await;
    let kept = town.anna().await;
    let out = town.people.sign_in("anna@example.org", PASSWORD, HERE).await.unwrap();
    assert!(town.people.end(out.session) && !town.people.end(out.session));
    town.time.pass(60);
    let after = town.restarted().await;
    assert_eq!(after.by_access(&kept.access).map(|person| person.id), Some(kept.user.id.clone()));
    assert_eq!(after.by_access(&out.access), None);
    assert_eq!(after.refresh(refresh_of(&out)).await, Err(PeopleError::BadToken));
    let again = after.refresh(refresh_of(&kept)).await.unwrap();
    assert_eq!(again.user, kept.user);
    assert!(after.sign_in("ANNA@example.org ", PASSWORD, HERE).await.is_ok());
    // A clock that goes back does not make anything young again.
    town.time.jumped.store(-86_400 * 365, Ordering::SeqCst);
    let later = town.restarted().await;
    town.time.pass(SESSION_SECONDS);
    assert_eq!(later.refresh(refresh_of(&again)).await, Err(PeopleError::BadToken));
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_of_ones_own() {
    let town = town().await;
    let mut granted = vec![town.anna().await];
    for _ in 0..2 {
        granted.push(town.people.sign_in("anna@example.org", PASSWORD, HERE).await.unwrap());
    }
    let bert = town.people.register("bert@example.org", PASSWORD, None, None).await.unwrap();
    assert_eq!(town.people.end_all(&granted[0].user.id).await, 3);
    for anna in &granted {
        assert_eq!(town.people.by_access(&anna.access), None);
        assert_eq!(town.people.refresh(refresh_of(anna)).await, Err(PeopleError::BadToken));
    }
    assert!(town.people.by_access(&bert.access).is_some());
    let after = town.restarted().await;
    assert!(after.refresh(refresh_of(&granted[1])).await.is_err());
    assert!(after.refresh(refresh_of(&bert)).await.is_ok());
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest() {
    let town = town().await;
    let first = town.anna().await;
    let mut last = None;
    for _ in 0..SESSION_COUNT_MAX {
        last = Some(town.people.sign_in("anna@example.org", PASSWORD, HERE).await.unwrap());
    }
    assert_eq!(town.people.by_access(&first.access), None);
    assert!(town.people.by_access(&last.unwrap().access).is_some());
    assert_eq!(town.people.figures().sessions, SESSION_COUNT_MAX);
}

#[tokio::test]
async fn a_wrong_password_and_an_address_nobody_has_are_answered_alike_and_slowed_down_alike() {
    let town = town().await;
    town.anna().await;
    for email in ["anna@example.org", "nobody@example.org", "no address"] {
        for _ in 0..5 {
            let answer = town.people.sign_in(email, "wrong horse", HERE).await;
            assert_eq!(answer, Err(PeopleError::Wrong), "{email}");
        }
        // Not even the right one is looked at now.
        let slowed = town.people.sign_in(email, PASSWORD, HERE).await;
        let retry = Duration::from_secs(1);
        assert_eq!(slowed, Err(PeopleError::Guessing { retry }), "{email}");
    }
    town.time.pass(1);
    assert!(town.people.sign_in("anna@example.org", PASSWORD, HERE).await.is_ok());
    let Figures { wrong, slowed, signed_in, .. } = town.people.figures();
    assert_eq!((wrong, slowed, signed_in), (15, 3, 1));
}

#[tokio::test]
async fn an_address_has_one_account() {
    let town = town().await;
    town.anna().await;
    let again = town.people.register(" ANNA@example.org", "another password", None, None).await;
    assert_eq!(again, Err(PeopleError::EmailTaken));
    let both = tokio::join!(
        town.people.register("bert@example.org", PASSWORD, None, None),
        town.people.register("bert@example.org", PASSWORD, None, None)
    );
    assert_ne!(both.0.is_ok(), both.1.is_ok(), "one of two who come at once");
    assert_eq!(town.people.figures().accounts, 2);
    for (email, password, name, word) in [
        ("anna", PASSWORD, None, WordError::Email),
        ("c@x", "short", None, WordError::Password),
        ("c@x", PASSWORD, Some("\u{202e}"), WordError::DisplayName),
    ] {
        let refused = town.people.register(email, password, name, None).await;
        assert_eq!(refused, Err(PeopleError::Word(word)));
    }
}

#[tokio::test]
async fn a_guest_is_gone_two_hours_after_it_was_last_seen() {
    let town = town().await;
    let guest = town.people.guest(Some("Eve")).await.unwrap();
    assert!(guest.user.id.starts_with("guest_") && guest.user.id.len() == 28);
    assert_eq!((&*guest.user.display_name, guest.user.role), ("Eve", Role::Guest));
    let mut granted = guest.clone();
    for _ in 0..20 {
        town.time.pass(14 * 60);
        town.people.sweep();
        granted = town.people.refresh(refresh_of(&granted)).await.unwrap();
    }
    // Another server knows when it was seen.
    town.time.pass(3600);
    let after = town.restarted().await;
    assert_eq!(after.figures().guests, 1);
    town.time.pass(3599);
    after.sweep();
    assert_eq!(after.figures().guests, 1);
    town.time.pass(1);
    after.sweep();
    assert_eq!((after.figures().guests, after.figures().sessions), (0, 0));
    assert_eq!(after.refresh(refresh_of(&granted)).await, Err(PeopleError::BadToken));
    assert_eq!(town.restarted().await.figures().guests, 0);
}

#[tokio::test]
async fn whoever_uses_an_access_token_is_seen() {
    let config = PeopleConfig { guest_idle: Duration::from_secs(600), ..PeopleConfig::default() };
    let town = Town::new(config).await;
    let guest = town.people.guest(None).await.unwrap();
    town.time.pass(500);
    assert!(town.people.by_access(&guest.access).is_some());
    town.time.pass(399);
    town.people.sweep();
    assert!(town.people.by_access(&guest.access).is_some(), "900 s after it came, 399 after seen");
    let config = PeopleConfig { lets_guests_in: false, ..PeopleConfig::default() };
    assert_eq!(Town::new(config).await.people.guest(None).await, Err(PeopleError::GuestsRefused));
    let config = PeopleConfig { guest_count_max: 1, ..PeopleConfig::default() };
    let full = Town::new(config).await.people;
    assert!(full.guest(None).await.is_ok());
    assert_eq!(full.guest(None).await, Err(PeopleError::TooMany));
}

#[tokio::test]
async fn a_link_brings_another_device_in_once() {
    let town = town().await;
    let granted = town.anna().await;
    let anna = town.people.by_access(&granted.access).unwrap();
    let link = town.people.link(&anna).unwrap();
    let phone = town.people.exchange(&link).await.unwrap();
    assert_eq!((&phone.user, phone.session == granted.session), (&granted.user, false));
    assert!(phone.refresh.is_some());
    assert_eq!(town.people.exchange(&link).await, Err(PeopleError::BadToken));
    let late = town.people.link(&anna).unwrap();
    town.time.pass(LINK_SECONDS);
    assert_eq!(town.people.exchange(&late).await, Err(PeopleError::BadToken));
    // An access token gives new ones of the same session.
    let again = town.people.exchange(&phone.access).await.unwrap();
    assert_eq!((again.session, again.refresh), (phone.session, None));
    assert!(town.people.by_socket(&again.socket).is_some());
    // What the first session has handed out goes on without it.
    assert!(town.people.end(granted.session));
    assert!(town.people.by_access(&again.access).is_some());
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let town = town().await;
    let granted = town.anna().await;
    let other = town.people.sign_in("anna@example.org", PASSWORD, HERE).await.unwrap();
    let anna = town.people.by_access(&granted.access).unwrap();
    let wrong = town.people.change_password(&anna, "wrong horse", "battery staple", HERE).await;
    assert_eq!(wrong, Err(PeopleError::Wrong));
    town.people.change_password(&anna, PASSWORD, "battery staple", HERE).await.unwrap();
    assert!(town.people.by_access(&granted.access).is_some());
    assert_eq!(town.people.by_access(&other.access), None);
    for people in [&town.people, &town.restarted().await] {
        let old = people.sign_in("anna@example.org", PASSWORD, HERE).await;
        assert_eq!(old, Err(PeopleError::Wrong));
        assert!(people.sign_in("anna@example.org", "battery staple", HERE).await.is_ok());
    }
    let guest = town.people.guest(None).await.unwrap();
    let guest = town.people.by_access(&guest.access).unwrap();
    let none = town.people.change_password(&guest, PASSWORD, "battery staple", HERE).await;
    assert_eq!(none, Err(PeopleError::NotForGuests));
}

#[tokio::test]
async fn who_is_deleted_is_nowhere() {
    let town = town().await;
    let granted = town.anna().await;
    town.people.rename(&granted.user.id, "Anna A.").await.unwrap();
    assert_eq!(town.people.display_name(&granted.user.id).as_deref(), Some("Anna A."));
    town.people.delete(&granted.user.id).await.unwrap();
    for people in [&town.people, &town.restarted().await] {
        assert_eq!(people.user(&granted.user.id), None);
        assert_eq!(people.by_access(&granted.access), None);
        assert_eq!(people.figures().accounts, 0);
    }
    assert!(town.anna().await.user.id != granted.user.id, "the address is free again");
}

#[tokio::test]
async fn there_is_one_first_administrator() {
    let config = PeopleConfig { is_registration_open: false, ..PeopleConfig::default() };
    let town = Town::new(config).await;
    let folder = std::env::temp_dir().join(format!("sensocto-first-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = PeopleConfig { is_registration_open: false, ..PeopleConfig::default() };
    let people =
        People::start(config, Some(folder.clone()), town.store.clone(), town.time.clock()).unwrap();
    let closed = people.register("eve@example.org", PASSWORD, None, None).await;
    assert_eq!(closed, Err(PeopleError::Hydrating));
    people.hydrate().unwrap();
    let closed = people.register("eve@example.org", PASSWORD, None, None).await;
    assert_eq!(closed, Err(PeopleError::RegistrationClosed));
    let file = folder.join("first-run-token");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let wrong = people.register("eve@example.org", PASSWORD, None, Some("x")).await;
    assert_eq!(wrong, Err(PeopleError::BadFirstRunToken));
    let root = people.register("root@example.org", PASSWORD, None, Some(&token)).await.unwrap();
    assert_eq!(root.user.role, Role::Administrator);
    assert!(!file.exists());
    let again = people.register("eve@example.org", PASSWORD, None, Some(&token)).await;
    assert_eq!(again, Err(PeopleError::BadFirstRunToken));
    // The next server has nothing to offer.
    let config = PeopleConfig::default();
    let next =
        People::start(config, Some(folder.clone()), town.store.clone(), town.time.clock()).unwrap();
    next.hydrate().unwrap();
    assert!(!file.exists());
    assert_eq!(next.by_access(&root.access).map(|person| person.role), Some(Role::Administrator));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_account_that_is_not_taken_by_the_store_is_none() {
    let town = town().await;
    town.store.close();
    let refused = town.people.register("anna@example.org", PASSWORD, None, None).await;
    assert_eq!(refused, Err(PeopleError::Refused(Refused::Closed)));
    assert_eq!(town.people.figures().accounts, 0);
    let refused = town.people.guest(None).await;
    assert_eq!(refused, Err(PeopleError::Refused(Refused::Closed)));
    assert_eq!((town.people.figures().guests, town.people.figures().sessions), (0, 0));
}

#[tokio::test]
async fn a_link_by_mail_opens_once_within_ten_minutes_and_the_next_voids_it() {
    let town = Town::new(PeopleConfig { mails_links: true, ..PeopleConfig::default() }).await;
    let anna = town.anna().await;
    let link = |email: &str| town.people.mail_link(email);
    assert_eq!(link("nobody@example.org"), Ok(None));
    assert_eq!(link("no address"), Err(PeopleError::Word(WordError::Email)));
    let first = link(" Anna@Example.org ").unwrap().unwrap();
    let second = link("anna@example.org").unwrap().unwrap();
    assert_eq!(town.people.exchange(&first).await, Err(PeopleError::BadToken), "it is void");
    let granted = town.people.exchange(&second).await.unwrap();
    assert_eq!(granted.user, anna.user);
    assert_ne!(granted.session, anna.session);
    assert!(town.people.by_access(&granted.access).is_some());
    assert_eq!(town.people.exchange(&second).await, Err(PeopleError::BadToken), "once");
    let late = link("anna@example.org").unwrap().unwrap();
    for door in [town.people.by_access(&late), town.people.by_socket(&late)] {
        assert_eq!(door, None);
    }
    town.time.pass(LINK_SECONDS);
    assert_eq!(town.people.exchange(&late).await, Err(PeopleError::BadToken), "too late");
    let gone = link("anna@example.org").unwrap().unwrap();
    town.people.delete(&anna.user.id).await.unwrap();
    assert_eq!(town.people.exchange(&gone).await, Err(PeopleError::BadToken));
    let without = Town::new(PeopleConfig::default()).await;
    assert_eq!(without.people.mail_link("anna@example.org"), Err(PeopleError::NoMail));
}
