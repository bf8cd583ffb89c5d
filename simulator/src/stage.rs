//! The stage: several acts at once, each a fleet or a replay with a time of its own, and what
//! became of their sensors.
//!
//! An act's time begins at the moment it is started and goes on at its speed; its samples are
//! stamped with it. At speed 1, never paused, that is the wall clock. A faster act's stamps run
//! ahead of the wall clock, a slower or once paused one's lag behind it: what is simulated is a
//! coherent world with its own calendar, in which a heart that beats once a second has stamps a
//! second apart at any speed. [`Running::stamped_at`] says which moment is being shown. A replay's
//! stamps are moved to the wall clock: it shows the past as if it happened now.
//!
//! No clock, no thread, no I/O: the wall clock is an argument, and what the engine said comes in
//! by [`Stage::hear`].

mod health;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use components::command::{Command, Inputs};
use components::delivery::Notice;
use components::id::FeedId;
use components::sample::Timestamp;

use crate::fleet::{CATCH_UP_MS_MAX, Fleet, OWNER};
use crate::nearest::nearest;
use crate::recording::RecordingError;
use crate::replay::LiveReplay;
use crate::scenario::Scenario;

pub use health::{CHECK_EVERY_MS, GRACE_MS, Health, Missing, NAMED_COUNT_MAX, Why};
use pace::Pace;
pub use pace::{SPEED_MAX, SPEED_MIN};

/// Acts at once, those that leave included.
pub const ACT_COUNT_MAX: usize = 16;

/// Sensors that are told to go in one step: 100,000 leave within 0.4 s at 250 steps a second, and
/// no tick has more than these to take apart.
pub const RETIRE_COUNT_MAX: usize = 1_000;

/// Samples of one step, over all acts, within one act's step of the rate. What is over waits for
/// the next step; an act that is behind by more than [`CATCH_UP_WALL_MS`] skips, and counts it.
pub const STEP_SAMPLE_COUNT_MAX: usize = 65_536;

/// Milliseconds of the wall clock that an act may be behind before it skips. At low speeds
/// [`CATCH_UP_MS_MAX`] of its own time.
pub const CATCH_UP_WALL_MS: i64 = 250;

/// An act ready to be started. Making one takes time in proportion to its sensors: not for the
/// thread that ticks.
#[derive(Debug)]
pub struct Prepared {
    id: Arc<str>,
    name: Arc<str>,
    seed: Option<u64>,
    speed: f64,
    samples_per_second: f64,
    play: Play,
    places: HashMap<Arc<str>, Place>,
}

/// What plays.
#[derive(Debug)]
enum Play {
    Fleet(Box<Fleet>),
    /// `None`: it is lent, and what was lost meanwhile.
    Replay(Option<Box<LiveReplay>>, Vec<FeedId>),
}

impl Prepared {
    /// The fleet of a scenario. Its time begins when it is started.
    pub fn scenario(scenario: &Scenario, seed: u64, speed: f64) -> Result<Self, StageError> {
        if !Pace::may_be(speed) {
            return Err(StageError::Speed);
        }
        let fleet = Fleet::new(Arc::new(scenario.cast(seed)), Timestamp(0));
        let sensors = fleet.cast().sensors.iter().enumerate();
        let place = |number| Place { number: Some(number), ..Place::default() };
        Ok(Self {
            id: (&*scenario.name).into(),
            name: (&*scenario.name).into(),
            seed: Some(seed),
            speed,
            samples_per_second: scenario.summary().samples_per_second,
            places: sensors
                .map(|(number, sensor)| (Arc::clone(&sensor.card.sensor_id), place(number)))
                .collect(),
            play: Play::Fleet(Box::new(fleet)),
        })
    }

    /// A recording, from wherever it stands.
    pub fn replay(name: &str, mut replay: LiveReplay, speed: f64) -> Result<Self, StageError> {
        if !Pace::may_be(speed) {
            return Err(StageError::Speed);
        }
        replay.set_speed(speed);
        let seconds = replay.duration_ms() as f64 / 1000.0;
        Ok(Self {
            id: replay_id(name).into(),
            name: name.into(),
            seed: None,
            speed,
            samples_per_second: replay.reader().summary().samples as f64 / seconds.max(0.001),
            places: HashMap::new(),
            play: Play::Replay(Some(Box::new(replay)), Vec::new()),
        })
    }
}

/// The id of the act that replays the recording of this name: a scenario may have it too.
pub fn replay_id(name: &str) -> String {
    format!("replay:{name}")
}

/// A replay that is away to be moved to another place, while its act stands still.
#[derive(Debug)]
pub struct Lent {
    key: u64,
    replay: Box<LiveReplay>,
}

impl Lent {
    /// Reads what is there at `position_ms`. Takes time: not for the thread that ticks.
    pub fn seek(&mut self, position_ms: u64) -> Result<(), RecordingError> {
        self.replay.seek(position_ms)
    }
}

/// Where one sensor of an act stands.
#[derive(Debug, Default)]
struct Place {
    /// Of the cast.
    number: Option<usize>,
    state: State,
    /// The engine has it.
    present: bool,
    /// It was missing and has been asked for again.
    asked: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has yet to find a feed.
    #[default]
    Wanted,
    Open(FeedId),
    /// Its act has closed it itself.
    Away,
    Lost(Why),
}

/// One of those on the stage.
#[derive(Debug)]
struct Act {
    /// Never used twice.
    key: u64,
    id: Arc<str>,
    name: Arc<str>,
    seed: Option<u64>,
    /// By the wall clock, and the first moment of its own time.
    started_at: Timestamp,
    pace: Pace,
    /// Milliseconds of its own time that were measured.
    done_ms: i64,
    samples_per_second: f64,
    play: Play,
    places: HashMap<Arc<str>, Place>,
    present_count: usize,
    /// Feeds the engine has yet to let go.
    feed_count: usize,
    /// How it was when its replay was lent.
    seen: Option<Box<Running>>,
    leaving: Option<Leaving>,
}

#[derive(Debug)]
struct Leaving {
    since: Timestamp,
    /// Yet to be told.
    feeds: std::vec::IntoIter<FeedId>,
}

/// An act that is over.
#[derive(Debug)]
pub struct Ended {
    pub id: Arc<str>,
    /// Milliseconds from the order to the last word of the engine.
    pub took_ms: u64,
    /// Sensors that are still there, because somebody else feeds them too.
    pub left: Vec<Arc<str>>,
    /// Freeing a hundred thousand sensors takes a while: for a thread that has the time.
    remains: Box<Act>,
}

impl Ended {
    /// Name of the scenario.
    pub fn name(&self) -> &Arc<str> {
        &self.remains.name
    }
}

/// How an act is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Running,
    Paused,
    /// Its sensors are on their way out.
    Stopping,
    /// The recording goes no further.
    Ended,
}

impl Condition {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// One act, as told to whoever asks.
#[derive(Debug, Clone)]
pub struct Running {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub condition: Condition,
    /// `None` of a replay.
    pub seed: Option<u64>,
    pub speed: f64,
    pub sensors: usize,
    /// Those that the engine has.
    pub sensors_live: usize,
    /// Of the act's own time; times the speed, of the wall clock's.
    pub samples_per_second: f64,
    /// By the wall clock.
    pub started_at: Timestamp,
    /// Of its own time, since it began.
    pub position_ms: i64,
    /// The stamp of what is being measured.
    pub stamped_at: Timestamp,
    /// Of its own time: never measured, because the machine did not keep up.
    pub skipped_ms: u64,
    pub replay: Option<Shown>,
}

/// What a replay shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub duration_ms: u64,
    /// When the moment shown was recorded.
    pub recorded_at: Timestamp,
    /// Why it goes no further, if that is not the recording's end.
    pub broken: Option<String>,
}

/// Why an order was not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageError {
    AlreadyRunning {
        id: Arc<str>,
    },
    /// A sensor of the act belongs to one that is on.
    SensorClash {
        sensor_id: Arc<str>,
        owner: Arc<str>,
    },
    NotRunning {
        id: String,
        suggestion: Option<Arc<str>>,
        running: Vec<Arc<str>>,
    },
    TooManyActs,
    Speed,
    NotAReplay {
        id: Arc<str>,
    },
    /// Two recordings may have the same sensors.
    OneReplay {
        id: Arc<str>,
    },
    /// It is being moved to another place.
    Seeking {
        id: Arc<str>,
    },
    /// A switch waits for the stage to be empty.
    Switching,
}

impl StageError {
    /// Its name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning { .. } => "already_running",
            Self::SensorClash { .. } => "sensor_clash",
            Self::NotRunning { .. } => "not_running",
            Self::TooManyActs => "too_many_running",
            Self::Speed => "bad_speed",
            Self::NotAReplay { .. } => "not_a_replay",
            Self::OneReplay { .. } => "sensor_clash",
            Self::Seeking { .. } => "seeking",
            Self::Switching => "switching",
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning { id } => write!(f, "`{id}` is already running"),
            Self::SensorClash { sensor_id, owner } => {
                write!(f, "the sensor `{sensor_id}` belongs to `{owner}`, which is running")
            }
            Self::NotRunning { id, suggestion: Some(near), .. } => {
                write!(f, "`{id}` is not running; did you mean `{near}`?")
            }
            Self::NotRunning { id, running, .. } if running.is_empty() => {
                write!(f, "`{id}` is not running; nothing is")
            }
            Self::NotRunning { id, running, .. } => {
                write!(f, "`{id}` is not running; there is {}", running.join(", "))
            }
            Self::TooManyActs => {
                write!(f, "{ACT_COUNT_MAX} are running, which is as many as may; stop one first")
            }
            Self::Speed => write!(f, "a speed is from {SPEED_MIN} to {SPEED_MAX}"),
            Self::NotAReplay { id } => {
                write!(f, "`{id}` is not a replay: a made-up world has no other place to go to")
            }
            Self::OneReplay { id } => write!(
                f,
                "only one recording can play at a time, and `{id}` is playing; stop it first"
            ),
            Self::Seeking { id } => write!(f, "`{id}` is on its way to another place"),
            Self::Switching => f.write_str("a switch is under way; wait until it is done"),
        }
    }
}

impl std::error::Error for StageError {}

/// All acts.
#[derive(Debug, Default)]
pub struct Stage {
    acts: Vec<Act>,
    key_next: u64,
    /// Whose each feed is: the act's key, and the sensor.
    feeds: HashMap<FeedId, (u64, Arc<str>)>,
    /// Feeds of the simulator's account that no act has opened, and whether the engine did.
    strays: HashMap<FeedId, (Arc<str>, bool)>,
    /// Waits until the stage is empty.
    next: Option<Box<Prepared>>,
    switched: Option<Result<Running, (StageError, Box<Prepared>)>>,
    ended: Vec<Ended>,
    health: Health,
    check_due: Option<Timestamp>,
    check_wanted: bool,
    steps: usize,
}

impl Stage {
    /// An act comes on. What is not taken is handed back, to be freed where there is time.
    pub fn start(
        &mut self,
        prepared: Box<Prepared>,
        now: Timestamp,
    ) -> Result<Running, (StageError, Box<Prepared>)> {
        if self.next.is_some() {
            return Err((StageError::Switching, prepared));
        }
        self.enter(prepared, now)
    }

    fn enter(
        &mut self,
        prepared: Box<Prepared>,
        now: Timestamp,
    ) -> Result<Running, (StageError, Box<Prepared>)> {
        if let Err(error) = self.admit(&prepared) {
            return Err((error, prepared));
        }
        let mut prepared = *prepared;
        if let Play::Fleet(fleet) = &mut prepared.play {
            fleet.begin(now);
        }
        let key = self.key_next;
        self.key_next += 1;
        let act = Act {
            key,
            id: prepared.id,
            name: prepared.name,
            seed: prepared.seed,
            started_at: now,
            pace: Pace::new(now, prepared.speed),
            done_ms: 0,
            samples_per_second: prepared.samples_per_second,
            play: prepared.play,
            places: prepared.places,
            present_count: 0,
            feed_count: 0,
            seen: None,
            leaving: None,
        };
        let status = act.status();
        self.acts.push(act);
        Ok(status)
    }

    fn admit(&self, prepared: &Prepared) -> Result<(), StageError> {
        if let Some(act) = self.acts.iter().find(|act| act.id == prepared.id) {
            return Err(StageError::AlreadyRunning { id: Arc::clone(&act.id) });
        }
        if self.acts.len() >= ACT_COUNT_MAX {
            return Err(StageError::TooManyActs);
        }
        let is_replay = |play: &Play| matches!(play, Play::Replay(..));
        if is_replay(&prepared.play)
            && let Some(act) = self.acts.iter().find(|act| is_replay(&act.play))
        {
            return Err(StageError::OneReplay { id: Arc::clone(&act.id) });
        }
        for act in &self.acts {
            // By the smaller of both: a few beside a hundred thousand cost a few look-ups.
            let (few, many) = match act.places.len() < prepared.places.len() {
                true => (&act.places, &prepared.places),
                false => (&prepared.places, &act.places),
            };
            if let Some(sensor_id) = few.keys().find(|id| many.contains_key(*id)) {
                let (sensor_id, owner) = (Arc::clone(sensor_id), Arc::clone(&act.id));
                return Err(StageError::SensorClash { sensor_id, owner });
            }
        }
        Ok(())
    }

    /// The act's sensors leave; [`take_ended`](Self::take_ended) says when they are gone.
    pub fn stop(&mut self, id: &str, now: Timestamp) -> Result<(), StageError> {
        self.act(id)?;
        self.leave(now, |act| &*act.id == id);
        Ok(())
    }

    /// Everything leaves: the ids of what was on.
    pub fn stop_all(&mut self, now: Timestamp) -> Vec<Arc<str>> {
        self.leave(now, |_| true);
        self.acts.iter().map(|act| Arc::clone(&act.id)).collect()
    }

    /// Everything leaves, and this comes on when all is gone: see
    /// [`take_switched`](Self::take_switched).
    pub fn switch(
        &mut self,
        prepared: Box<Prepared>,
        now: Timestamp,
    ) -> Result<(), (StageError, Box<Prepared>)> {
        if self.next.is_some() {
            return Err((StageError::Switching, prepared));
        }
        self.stop_all(now);
        self.next = Some(prepared);
        Ok(())
    }

    /// Its time stands still; its sensors stay.
    pub fn pause(&mut self, id: &str, now: Timestamp) -> Result<Running, StageError> {
        let act = self.act(id)?;
        act.pace.pause(now);
        if let Play::Replay(Some(replay), _) = &mut act.play {
            replay.pause();
        }
        Ok(act.status())
    }

    /// Its time goes on from where it stood.
    pub fn resume(&mut self, id: &str, now: Timestamp) -> Result<Running, StageError> {
        let act = self.act(id)?;
        let was_paused = act.pace.is_paused();
        act.pace.resume(now);
        if let Play::Replay(Some(replay), _) = &mut act.play
            && was_paused
        {
            replay.resume(now);
        }
        Ok(act.status())
    }

    pub fn set_speed(
        &mut self,
        id: &str,
        speed: f64,
        now: Timestamp,
    ) -> Result<Running, StageError> {
        let act = self.act(id)?;
        if !Pace::may_be(speed) {
            return Err(StageError::Speed);
        }
        act.pace.set_speed(now, speed);
        if let Play::Replay(Some(replay), _) = &mut act.play {
            replay.set_speed(speed);
        }
        Ok(act.status())
    }

    /// Takes a replay out, to be moved where there is time; its act stands still until it is
    /// [given back](Self::give_back).
    pub fn lend(&mut self, id: &str) -> Result<Lent, StageError> {
        let act = self.act(id)?;
        let seen = act.status();
        match &mut act.play {
            Play::Fleet(_) => Err(StageError::NotAReplay { id: Arc::clone(&act.id) }),
            Play::Replay(replay, _) => match replay.take() {
                Some(replay) => {
                    act.seen = Some(Box::new(seen));
                    Ok(Lent { key: act.key, replay })
                }
                None => Err(StageError::Seeking { id: Arc::clone(&act.id) }),
            },
        }
    }

    /// How its act is; or what was lent, if that has left meanwhile.
    pub fn give_back(&mut self, lent: Lent, now: Timestamp) -> Result<Running, Lent> {
        let mut acts = self.acts.iter_mut();
        let Some(act) = acts.find(|act| act.key == lent.key && act.leaving.is_none()) else {
            return Err(lent);
        };
        let mut replay = lent.replay;
        replay.set_speed(act.pace.speed());
        if act.pace.is_paused() {
            replay.pause();
        } else {
            replay.resume(now);
        }
        if let Play::Replay(place, lost) = &mut act.play {
            lost.drain(..).for_each(|feed| replay.lose(feed));
            *place = Some(replay);
        }
        Ok(act.status())
    }

    fn leave(&mut self, now: Timestamp, who: impl Fn(&Act) -> bool) {
        for act in self.acts.iter_mut().filter(|act| act.leaving.is_none() && who(act)) {
            // Those that the act has closed itself linger, unless they are retired too.
            let own = self.feeds.iter().filter(|(_, (key, _))| *key == act.key);
            let mut feeds: Vec<FeedId> = own.map(|(feed, _)| *feed).collect();
            feeds.sort_unstable();
            act.leaving = Some(Leaving { since: now, feeds: feeds.into_iter() });
        }
    }

    /// The act of this id that is not on its way out.
    fn act(&mut self, id: &str) -> Result<&mut Act, StageError> {
        let on = |act: &&mut Act| &*act.id == id && act.leaving.is_none();
        if self.acts.iter_mut().find(on).is_none() {
            let running: Vec<_> = self
                .acts
                .iter()
                .filter(|act| act.leaving.is_none())
                .map(|act| Arc::clone(&act.id))
                .collect();
            let suggestion = nearest(id, running.iter().map(|id| &**id)).map(Arc::from);
            return Err(StageError::NotRunning { id: id.into(), suggestion, running });
        }
        Ok(self.acts.iter_mut().find(on).expect("it was just found"))
    }

    /// How everything is.
    pub fn status(&self) -> Vec<Running> {
        self.acts.iter().map(Act::status).collect()
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Acts that are over since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// What became of the switch, once.
    pub fn take_switched(&mut self) -> Option<Result<Running, (StageError, Box<Prepared>)>> {
        self.switched.take()
    }

    /// The next step checks the health, whenever it would be due.
    pub fn check_soon(&mut self) {
        self.check_wanted = true;
    }

    /// One step: what is due of every act, up to what its time is at `now`.
    pub fn advance(
        &mut self,
        now: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        self.find_strays(&inputs.commands);
        self.end(now);
        if self.acts.is_empty()
            && let Some(prepared) = self.next.take()
        {
            self.switched = Some(self.enter(prepared, now));
        }
        let due = *self.check_due.get_or_insert(after(now, CHECK_EVERY_MS));
        // A wall clock that was set back would have the next check wait for long.
        let set_back = after(now, CHECK_EVERY_MS) < due;
        if std::mem::take(&mut self.check_wanted) || now >= due || set_back {
            self.check(now, &mut inputs.commands);
            self.check_due = Some(after(now, CHECK_EVERY_MS));
        }
        let mut retired = RETIRE_COUNT_MAX;
        let mut samples = STEP_SAMPLE_COUNT_MAX;
        self.steps = self.steps.wrapping_add(1);
        // Whoever is last may find nothing left of the step's samples: each is first in turn.
        for turn in 0..self.acts.len() {
            let index = (self.steps + turn) % self.acts.len();
            let act = &mut self.acts[index];
            match &mut act.leaving {
                Some(leaving) => {
                    let before = inputs.commands.len();
                    let feeds = leaving.feeds.by_ref().take(retired);
                    inputs.commands.extend(feeds.map(|feed| Command::Retire { feed }));
                    retired -= inputs.commands.len() - before;
                }
                None => {
                    let before = (inputs.commands.len(), inputs.samples.len());
                    act.advance(now, samples, take_feed, inputs);
                    samples = samples.saturating_sub(inputs.samples.len() - before.1);
                    act.note(&inputs.commands[before.0..], &mut self.feeds);
                }
            }
        }
    }

    /// What the engine said in the tick behind the last step.
    pub fn hear(&mut self, notices: &[Notice]) {
        for notice in notices {
            match notice {
                Notice::FeedOpened { feed, .. } => self.opened(*feed),
                Notice::FeedRefused { feed, refusal } => {
                    self.closed(*feed, Why::Refused(*refusal));
                }
                Notice::FeedClosed { feed } => self.closed(*feed, Why::Closed),
                Notice::SensorGone { sensor_id } => {
                    for act in &mut self.acts {
                        if let Some(place) = act.places.get_mut(sensor_id)
                            && std::mem::take(&mut place.present)
                        {
                            act.present_count -= 1;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn opened(&mut self, feed: FeedId) {
        if let Some((_, opened)) = self.strays.get_mut(&feed) {
            *opened = true;
        }
        let Some((key, sensor_id)) = self.feeds.get(&feed) else { return };
        let Some(act) = self.acts.iter_mut().find(|act| act.key == *key) else { return };
        let Some(place) = act.places.get_mut(sensor_id) else { return };
        if !std::mem::replace(&mut place.present, true) {
            act.present_count += 1;
        }
        self.health.repaired += u64::from(std::mem::take(&mut place.asked));
    }

    fn closed(&mut self, feed: FeedId, why: Why) {
        self.strays.remove(&feed);
        let Some((key, sensor_id)) = self.feeds.remove(&feed) else { return };
        let Some(act) = self.acts.iter_mut().find(|act| act.key == key) else { return };
        act.feed_count -= 1;
        if act.leaving.is_none()
            && let Some(place) = act.places.get_mut(&sensor_id)
            && place.state == State::Open(feed)
        {
            place.state = State::Lost(why);
            act.play.lose(feed);
        }
    }

    /// Feeds that somebody opens in the simulator's name, and that are no act's.
    fn find_strays(&mut self, commands: &[Command]) {
        for command in commands {
            if let Command::OpenFeed { feed, card, owner } = command
                && **owner == *OWNER
            {
                self.strays.insert(*feed, (Arc::clone(&card.sensor_id), false));
            }
        }
    }

    /// Takes out the acts whose sensors are gone.
    fn end(&mut self, now: Timestamp) {
        let is_over = |act: &mut Act| {
            act.feed_count == 0
                && act.leaving.as_ref().is_some_and(|leaving| leaving.feeds.len() == 0)
        };
        for act in self.acts.extract_if(.., is_over) {
            let since = act.leaving.as_ref().map_or(now, |leaving| leaving.since);
            let present = act.places.iter().filter(|(_, place)| place.present);
            self.ended.push(Ended {
                id: Arc::clone(&act.id),
                took_ms: now.0.saturating_sub(since.0).max(0) as u64,
                left: present.map(|(id, _)| Arc::clone(id)).collect(),
                remains: Box::new(act),
            });
        }
    }

    /// Compares what should be there with what is; asks again for what is missing, and sends away
    /// what belongs to nobody. Leaves alone whatever is as it should be.
    fn check(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let mut health =
            Health { checked_at: Some(now), repaired: self.health.repaired, ..Health::default() };
        for (feed, (sensor_id, opened)) in &self.strays {
            if *opened {
                health.orphan(sensor_id);
                commands.push(Command::Retire { feed: *feed });
            }
        }
        for act in self.acts.iter_mut().filter(|act| act.leaving.is_none()) {
            act.check(now, &mut health);
        }
        self.health = health;
    }
}

impl Act {
    /// What is due, of a fleet with about so many samples at most.
    fn advance(
        &mut self,
        now: Timestamp,
        sample_count_max: usize,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        let fleet = match &mut self.play {
            Play::Fleet(fleet) => fleet,
            Play::Replay(replay, _) => {
                self.pace.step(now);
                if let Some(replay) = replay {
                    replay.advance(now, take_feed, inputs);
                }
                return;
            }
        };
        let position_ms = self.pace.step(now);
        let catch_up_ms = CATCH_UP_MS_MAX.max((CATCH_UP_WALL_MS as f64 * self.pace.speed()) as i64);
        if position_ms - self.done_ms > catch_up_ms {
            self.done_ms = position_ms - CATCH_UP_MS_MAX;
            fleet.skip(after(self.started_at, self.done_ms));
        }
        let end = inputs.samples.len().saturating_add(sample_count_max);
        loop {
            let room = end.saturating_sub(inputs.samples.len()) as f64;
            let fits_ms = room * 1000.0 / self.samples_per_second.max(1.0);
            let step_ms = (position_ms - self.done_ms)
                .min(CATCH_UP_MS_MAX)
                .min(fits_ms.clamp(0.0, CATCH_UP_MS_MAX as f64) as i64);
            // Without time passing it still asks for the feeds it wants.
            let to = after(self.started_at, self.done_ms + step_ms);
            fleet.advance(to, take_feed, inputs);
            self.done_ms += step_ms;
            if step_ms == 0 || self.done_ms >= position_ms {
                return;
            }
        }
    }

    /// Which sensor has which feed, from what the act has just said to the engine.
    fn note(&mut self, commands: &[Command], feeds: &mut HashMap<FeedId, (u64, Arc<str>)>) {
        for command in commands {
            match command {
                Command::OpenFeed { feed, card, .. } => {
                    let place = self.places.entry(Arc::clone(&card.sensor_id)).or_default();
                    place.state = State::Open(*feed);
                    feeds.insert(*feed, (self.key, Arc::clone(&card.sensor_id)));
                    self.feed_count += 1;
                }
                Command::CloseFeed { feed } | Command::Retire { feed } => {
                    if let Some((_, sensor_id)) = feeds.get(feed)
                        && let Some(place) = self.places.get_mut(sensor_id)
                        && place.state == State::Open(*feed)
                    {
                        place.state = State::Away;
                    }
                }
                _ => {}
            }
        }
    }

    fn check(&mut self, now: Timestamp, health: &mut Health) {
        if self.present_count == self.places.len() {
            return;
        }
        let is_new = now.0.saturating_sub(self.started_at.0) < GRACE_MS;
        let mut lost = false;
        for (sensor_id, place) in &mut self.places {
            let why = match place.state {
                State::Lost(why) => why,
                State::Open(feed) if !place.present => {
                    self.play.lose(feed);
                    Why::Gone
                }
                State::Wanted if !is_new && !self.play.is_away(place.number) => Why::NoFeed,
                State::Wanted | State::Away | State::Open(_) => continue,
            };
            health.miss(&self.id, sensor_id, why);
            lost |= why != Why::NoFeed;
            place.asked = true;
            place.state = State::Wanted;
        }
        if lost {
            self.play.reopen_lost();
        }
    }

    fn condition(&self) -> Condition {
        match () {
            () if self.leaving.is_some() => Condition::Stopping,
            () if self.play.is_over() => Condition::Ended,
            () if self.pace.is_paused() => Condition::Paused,
            () => Condition::Running,
        }
    }

    fn status(&self) -> Running {
        let own_ms = self.pace.position_ms();
        let (position_ms, sensors, skipped_ms, shown) = match &self.play {
            Play::Fleet(fleet) => (own_ms, self.places.len(), fleet.skipped_ms(), None),
            Play::Replay(None, _) => match &self.seen {
                Some(seen) => (seen.position_ms, seen.sensors, 0, seen.replay.clone()),
                None => (0, self.present_count, 0, None),
            },
            Play::Replay(Some(replay), _) => {
                let shown = Shown {
                    duration_ms: replay.duration_ms(),
                    recorded_at: Timestamp(replay.recorded_at_unix_ms()),
                    broken: replay.broken().map(str::to_owned),
                };
                (replay.position_ms() as i64, replay.sensor_count(), 0, Some(shown))
            }
        };
        let stamped_at = match self.seed {
            Some(_) => after(self.started_at, own_ms),
            None => self.pace.wall(),
        };
        Running {
            id: Arc::clone(&self.id),
            name: Arc::clone(&self.name),
            condition: self.condition(),
            seed: self.seed,
            speed: self.pace.speed(),
            sensors,
            sensors_live: self.present_count,
            samples_per_second: self.samples_per_second,
            started_at: self.started_at,
            position_ms,
            stamped_at,
            skipped_ms,
            replay: shown,
        }
    }
}

impl Play {
    fn lose(&mut self, feed: FeedId) {
        match self {
            Self::Fleet(fleet) => fleet.lose(feed),
            Self::Replay(Some(replay), _) => replay.lose(feed),
            Self::Replay(None, lost) => lost.push(feed),
        }
    }

    fn reopen_lost(&mut self) {
        match self {
            Self::Fleet(fleet) => fleet.reopen_lost(),
            Self::Replay(Some(replay), _) => replay.reopen_lost(),
            Self::Replay(None, _) => {}
        }
    }

    fn is_away(&self, sensor: Option<usize>) -> bool {
        matches!((self, sensor), (Self::Fleet(fleet), Some(sensor)) if fleet.is_away(sensor))
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Replay(Some(replay), _) if replay.is_over())
    }
}

fn after(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp(time.0.saturating_add(ms))
}
