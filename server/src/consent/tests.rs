//! Who may see what, on made-up time.

use std::sync::atomic::AtomicI64;

use components::id::{FeedId, Handle};
use components::sample::EngineTime;

use super::*;
use crate::belongings::{Bringer, ConnectorKind, ConnectorWords, Pass};
use crate::can::Who;
use crate::clock::Now;
use crate::device::DeviceDesk;
use crate::intake::Intake;
use crate::people::{Granted, PeopleConfig};
use crate::rooms::Wishes;
use crate::store::{Place, Readiness, StoreConfig, sections};
use crate::viewer::ViewerDesk;

const BEGAN_UNIX_MS: i64 = 1_800_000_000_000;

struct Town {
    unix_ms: Arc<AtomicI64>,
    store: Store,
    people: Arc<People>,
    rooms: Arc<RoomDesk>,
    belongings: Arc<Belongings>,
    consent: Arc<Consent>,
    clock: Clock,
}

impl Town {
    async fn new() -> Self {
        let unix_ms = Arc::new(AtomicI64::new(BEGAN_UNIX_MS));
        let time = Arc::clone(&unix_ms);
        let clock = Clock::made_up(move || {
            let unix_ms = time.load(Ordering::SeqCst);
            let passed = (unix_ms - BEGAN_UNIX_MS) as u64;
            Now { engine: EngineTime(passed * 1000), unix_ms }
        });
        let store = StoreConfig::new(Place::Memory, sections(), clock.clone());
        let store = Store::start(store).unwrap();
        store.watch().wait_for(|now| *now == Readiness::Ready).await.unwrap();
        let config = PeopleConfig::default();
        let people = People::start(config, None, store.clone(), clock.clone()).unwrap();
        let intake = Arc::new(Intake::default());
        let devices = Arc::new(DeviceDesk::new(Arc::clone(&intake), 100));
        let viewers = ViewerDesk::new(intake, clock.clone(), 100, store.clone());
        let rooms = RoomDesk::new(
            store.clone(),
            Arc::clone(&people),
            viewers,
            Arc::default(),
            clock.clone(),
        );
        let belongings =
            Belongings::new(store.clone(), Arc::clone(&people), devices, clock.clone());
        let town = Self {
            consent: Consent::new(
                store.clone(),
                Arc::clone(&people),
                Arc::clone(&rooms),
                Arc::clone(&belongings),
                clock.clone(),
            ),
            unix_ms,
            store,
            people,
            rooms,
            belongings,
            clock,
        };
        let (people, rooms) = (Arc::clone(&town.people), Arc::clone(&town.rooms));
        let (own, consent) = (Arc::clone(&town.belongings), Arc::clone(&town.consent));
        let all = move || {
            people.hydrate().unwrap();
            rooms.hydrate().unwrap();
            own.hydrate().unwrap();
            consent.hydrate().unwrap();
        };
        tokio::task::spawn_blocking(all).await.unwrap();
        town
    }

    /// What another server finds in the store.
    async fn restarted(&self) -> Arc<Consent> {
        // Behind everything that nobody waited for.
        self.store.commit(Vec::new()).await.unwrap();
        let consent = Consent::new(
            self.store.clone(),
            Arc::clone(&self.people),
            Arc::clone(&self.rooms),
            Arc::clone(&self.belongings),
            self.clock.clone(),
        );
        let again = Arc::clone(&consent);
        tokio::task::spawn_blocking(move || again.hydrate().unwrap()).await.unwrap();
        consent
    }

    fn pass(&self, seconds: i64) {
        self.unix_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn guest(&self) -> (Asker, Granted) {
        let granted = self.people.guest(None).await.unwrap();
        let id = Some(Arc::clone(&granted.user.id));
        (Asker { who: Who::Person, id, session: Some(granted.session) }, granted)
    }

    /// It feeds this sensor, which is theirs from then on.
    fn feeds(&self, them: &Granted, sensor_id: &str) {
        let bringer =
            Bringer { account: Arc::clone(&them.user.id), pass: Pass::Session(them.session) };
        let connector =
            ConnectorWords { id: "c".into(), name: "C".into(), kind: ConnectorKind::Native };
        let feed = FeedId(Handle { slot: 1, generation: 1 });
        self.belongings.admit(feed, &sensor_id.into(), &bringer, &connector).unwrap();
    }

    fn sees(&self, who: Option<&Asker>, sensor_id: &str, kind: &str) -> bool {
        let circle = self.consent.circle(sensor_id, kind, kind);
        circle.is_none_or(|circle| circle.has(who.and_then(|asker| asker.id.as_deref())))
    }
}

fn to(asker: &Asker) -> To {
    To::Person((**asker.id.as_ref().unwrap()).into())
}

fn wish(to: To, word: &str) -> Wish {
    Wish { to, word: word.into(), sensor_id: None, expires_in: None }
}

#[tokio::test]
async fn what_is_private_is_for_the_owner_and_for_whom_it_is_granted() {
    let town = Town::new().await;
    let ((anna, hers), (bert, _), (eve, _)) =
        (town.guest().await, town.guest().await, town.guest().await);
    town.feeds(&hers, "belt");
    for who in [Some(&anna), Some(&bert), None] {
        assert!(town.sees(who, "belt", "ecg"), "as long as nothing is said");
    }
    town.consent.set_private(&anna, vec!["ecg".into()]).await.unwrap();
    assert!(town.sees(Some(&anna), "belt", "ecg"));
    for who in [Some(&bert), Some(&eve), None] {
        assert!(!town.sees(who, "belt", "ecg"));
        assert!(town.sees(who, "belt", "respiration"), "the rest is as it was");
        assert!(town.sees(who, "another", "ecg"), "it is not hers");
    }
    let (id, _, _) = town.consent.grant(&anna, wish(to(&bert), "ecg")).await.unwrap();
    assert!(town.sees(Some(&bert), "belt", "ecg") && !town.sees(Some(&eve), "belt", "ecg"));
    town.consent.revoke(&anna, id).await.unwrap();
    assert!(!town.sees(Some(&bert), "belt", "ecg"));
    // What is granted is private by that, also what nobody had said of.
    town.consent.grant(&anna, wish(to(&bert), "imu")).await.unwrap();
    assert!(town.sees(Some(&bert), "belt", "imu") && !town.sees(Some(&eve), "belt", "imu"));
    let (words, grants) = town.consent.given(&anna).unwrap();
    assert_eq!((words, grants.len()), (vec!["ecg".into(), "imu".into()], 1));
    assert_eq!(town.consent.received(&bert).unwrap(), grants);
    // All at once, and nothing any more.
    town.consent.set_private(&anna, vec![ANY.into()]).await.unwrap();
    assert!(!town.sees(Some(&eve), "belt", "respiration"));
    town.consent.set_private(&anna, Vec::new()).await.unwrap();
    assert!(town.sees(None, "belt", "ecg") && !town.consent.is_any());
}

#[tokio::test]
async fn a_grant_ends_at_its_hour_and_everybody_hears_that_something_changed() {
    let town = Town::new().await;
    let ((anna, hers), (bert, _)) = (town.guest().await, town.guest().await);
    town.feeds(&hers, "belt");
    let short = Wish { expires_in: Some(60), ..wish(to(&bert), "ecg") };
    town.consent.grant(&anna, short).await.unwrap();
    let now = || town.unix_ms.load(Ordering::SeqCst);
    let round = town.consent.round(now());
    town.pass(59);
    assert!(town.sees(Some(&bert), "belt", "ecg"));
    assert_eq!(town.consent.round(now()), round);
    town.pass(1);
    assert_ne!(town.consent.round(now()), round, "who sends values looks again");
    assert!(!town.sees(Some(&bert), "belt", "ecg"));
    assert_eq!(town.consent.given(&anna).unwrap().1, []);
    assert_eq!(town.consent.figures().grants, 1);
    town.consent.sweep();
    assert_eq!(town.consent.figures().grants, 0);
    assert!(!town.sees(Some(&bert), "belt", "ecg"), "what was private stays so");
}

#[tokio::test]
async fn a_grant_to_a_room_is_for_who_is_in_it_now() {
    let town = Town::new().await;
    let ((anna, hers), (bert, _)) = (town.guest().await, town.guest().await);
    town.feeds(&hers, "belt");
    let (room, _) = town.rooms.create(&anna, &Wishes::default()).await.unwrap();
    town.consent.grant(&anna, wish(To::Room(room.0), "ecg")).await.unwrap();
    assert!(!town.sees(Some(&bert), "belt", "ecg"));
    let round = town.consent.round(BEGAN_UNIX_MS);
    town.rooms.join(&bert, room).await.unwrap();
    assert_ne!(town.consent.round(BEGAN_UNIX_MS), round);
    assert!(town.sees(Some(&bert), "belt", "ecg"));
    town.rooms.leave(&bert, room).await.unwrap();
    assert!(!town.sees(Some(&bert), "belt", "ecg"));
    town.rooms.join(&bert, room).await.unwrap();
    town.rooms.delete(&anna, room).await.unwrap();
    assert!(!town.sees(Some(&bert), "belt", "ecg"));
    town.consent.sweep();
    assert_eq!(town.consent.figures().grants, 0, "it was to nobody");
}

#[tokio::test]
async fn a_grant_of_one_sensor_is_of_no_other() {
    let town = Town::new().await;
    let ((anna, hers), (bert, his)) = (town.guest().await, town.guest().await);
    for sensor_id in ["belt", "strap"] {
        town.feeds(&hers, sensor_id);
    }
    town.feeds(&his, "watch");
    let one = Wish { sensor_id: Some("belt".into()), ..wish(to(&bert), ANY) };
    town.consent.grant(&anna, one.clone()).await.unwrap();
    assert!(town.sees(Some(&bert), "belt", "ecg") && !town.sees(Some(&bert), "strap", "ecg"));
    let no_sensor = Err(ConsentError::NoSuch("sensor"));
    for sensor_id in ["watch", "nobody's"] {
        let wish = Wish { sensor_id: Some(sensor_id.into()), ..one.clone() };
        assert_eq!(town.consent.grant(&anna, wish).await.map(drop), no_sensor);
    }
    // Whose it becomes has their own rules.
    town.belongings.give_up(&anna, "strap").await.unwrap();
    assert!(town.sees(None, "strap", "ecg"));
    town.feeds(&his, "strap");
    assert!(town.sees(None, "strap", "ecg"));
}

#[tokio::test]
async fn what_was_said_outlives_the_server_and_goes_with_the_account() {
    let town = Town::new().await;
    let ((anna, hers), (bert, _)) = (town.guest().await, town.guest().await);
    town.feeds(&hers, "belt");
    town.consent.set_private(&anna, vec!["imu".into()]).await.unwrap();
    let (kept, _, _) = town.consent.grant(&anna, wish(to(&bert), "ecg")).await.unwrap();
    let (gone, _, _) = town.consent.grant(&anna, wish(to(&bert), "imu")).await.unwrap();
    town.consent.revoke(&anna, gone).await.unwrap();
    let again = town.restarted().await;
    assert_eq!(again.given(&anna), town.consent.given(&anna));
    assert_eq!(again.given(&anna).unwrap().1[0].0, kept);
    assert!(!again.circle("belt", "imu", "imu").unwrap().has(bert.id.as_deref()));
    again.forget(&[Arc::clone(bert.id.as_ref().unwrap())]);
    assert_eq!(again.given(&anna).unwrap().1, []);
    again.forget(&[Arc::clone(anna.id.as_ref().unwrap())]);
    assert!(!again.is_any());
    assert_eq!(town.restarted().await.given(&anna).unwrap(), Default::default());
}

#[tokio::test]
async fn what_cannot_be_granted_is_told_and_everything_has_a_bound() {
    let town = Town::new().await;
    let ((anna, _), (bert, _)) = (town.guest().await, town.guest().await);
    let visitor = Asker { who: Who::Visitor, id: None, session: None };
    let denied = Err(ConsentError::Denied(Denied::SignIn));
    assert_eq!(town.consent.grant(&visitor, wish(to(&bert), "ecg")).await.map(drop), denied);
    assert_eq!(town.consent.set_private(&visitor, Vec::new()).await.map(drop), denied);
    let nobody = Err(ConsentError::NoSuch("person or room"));
    for to in [To::Person("nobody".into()), To::Room([1; 16])] {
        assert_eq!(town.consent.grant(&anna, wish(to, "ecg")).await.map(drop), nobody);
    }
    for word in ["", "e c g", "-", &"a".repeat(65)] {
        let said = town.consent.grant(&anna, wish(to(&bert), word)).await.map(drop);
        assert_eq!(said, Err(ConsentError::Word), "{word}");
    }
    for expires_in in [Some(0), Some(GRANT_SECONDS_MAX + 1), Some(u64::MAX)] {
        let wish = Wish { expires_in, ..wish(to(&bert), "ecg") };
        assert_eq!(town.consent.grant(&anna, wish).await.map(drop), Err(ConsentError::Expiry));
    }
    let many = (0..=PRIVATE_COUNT_MAX).map(|n| format!("a{n}").into()).collect();
    let too_many = Err(ConsentError::TooMany("private attributes"));
    assert_eq!(town.consent.set_private(&anna, many).await, too_many);
    for _ in 0..GRANT_COUNT_MAX {
        town.consent.grant(&anna, wish(to(&bert), "ecg")).await.unwrap();
    }
    let full = town.consent.grant(&anna, wish(to(&bert), "ecg")).await.map(drop);
    assert_eq!(full, Err(ConsentError::TooMany("grants")));
    let (id, _) = town.consent.given(&anna).unwrap().1[0].clone();
    let not_his = town.consent.revoke(&bert, id).await.map(drop);
    assert_eq!(not_his, Err(ConsentError::NoSuch("grant")));
}
