//! Which sensors will be looked at soon: each one's habits by time of day and week, how recently it
//! was looked at, and what is watched with it.
//!
//! Looks at a sensor are taken for a point process whose rate is a sum of three: *habit*, a rate
//! that depends on the local time; *echo*, for each look some more soon after (Hawkes 1971); and
//! *company*, the same for looks at sensors that are watched together with it. How much each
//! causes is learnt from each look by what the parts had foretold of it (Lewis and Mohler
//! 2011: expectation and maximisation, done look by look). All is pulled towards "as always" by
//! as much as evidence is missing.
//!
//! A forecast that is not better than none is none: every five minutes it is put on record what is
//! foretold for some sensors, with and without each part, and five minutes later how it came out.
//! The *referee* compares logarithmic scores against each sensor's own base rate, and advice is
//! given only while the difference is positive beyond doubt; company is added only while it adds.
//! (`reference/core.md` 12.2, W28.)

use rustc_hash::FxHashMap;

use super::{Key, count32, faded, finite, least, minutes, write32};
use crate::snapshot::bytes::{Read, Reader, Writer, broken};

/// Sensors whose habits are known at once: about 8 MB. When one more comes, one of those that were
/// looked at least goes.
pub const SENSOR_COUNT_MAX: usize = 16_384;
/// Seconds that the referee looks ahead, and that advice is about.
pub const HORIZON_S: f64 = 300.0;
/// Sensors in one round of the referee.
pub const ROUND_COUNT_MAX: usize = 256;
/// Chances below are not worth to be warmed up for.
const WARM_CHANCE_MIN: f64 = 0.1;
/// The most that a window is shortened ahead of a look (`reference/core.md` 12.2).
const FACTOR_MIN: f64 = 0.75;

const DAY_S: f64 = 86_400.0;
/// Parts of a day with a rate of their own, a quarter of an hour each, smoothed over neighbours.
const BIN_COUNT: usize = 96;
const BIN_S: f64 = DAY_S / BIN_COUNT as f64;
/// Days until half is forgotten (`reference/core.md` 12.2 keeps 14).
const HALF_LIFE_S: f64 = 14.0 * DAY_S;
/// Looks that the doubt about a habit weighs.
const DOUBT_LOOKS: f32 = 4.0;
/// Seconds that the doubt about a sensor's base rate weighs.
const DOUBT_S: f64 = DAY_S;
/// The age in days from which times of day say something, and days of the week.
const DAILY_AGE_S: f64 = 2.0 * DAY_S;
const WEEKLY_AGE_S: f64 = 14.0 * DAY_S;
/// Seconds until an echo has fallen to 1/e, and company's call.
const ECHO_S: f64 = 600.0;
const COMPANY_S: f64 = 120.0;
/// What echo and company cause of all looks is taken for, before there are any, and how many
/// looks that weighs.
const CAUSED_PRIOR: f64 = 0.1;
const CAUSED_DOUBT: f64 = 20.0;
/// Sensors among which the one to go is chosen.
const CANDIDATE_COUNT: usize = 8;
/// Nothing is foretold more surely than this, either way.
const CHANCE_MIN: f64 = 1e-4;

/// Days until the referee has forgotten all but 1/e; its rounds until it speaks at all; standard
/// errors above nothing from which advice is given, and below which it is given no more.
const REFEREE_MEMORY_S: f64 = 3.0 * DAY_S;
const ROUND_COUNT_MIN: f64 = 100.0;
const SURE: f64 = 2.0;
const UNSURE: f64 = 0.5;

/// Counts in one habit.
const COUNT_COUNT: usize = 4 + BIN_COUNT + 7;

/// What is known of one sensor.
#[derive(Debug, Clone, PartialEq)]
struct Habit {
    key: Key,
    first_s: f64,
    /// When counts were last faded, and the latest look.
    as_of_s: f64,
    /// All looks, and those that neither echo nor company had called.
    looks: f32,
    own: f32,
    /// Of the latter, by time of the local day, and by day of the week from Thursday on.
    by_time: [f32; BIN_COUNT],
    by_day: [f32; 7],
    /// Calls, as they were at `as_of_s` and `called_s`.
    echo: f32,
    company: f32,
    called_s: f64,
}

/// What is foretold of one sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    pub key: Key,
    /// That it is looked at within the horizon.
    pub chance: f64,
    /// 0 to 1, by how many looks are known.
    pub confidence: f64,
    /// What its device's window is multiplied by: 0.75 to 1, never above.
    pub factor: f64,
}

/// Running scores of one forecast against another, by round.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Referee {
    /// Rounds that are remembered.
    rounds: f64,
    /// Means over rounds of the difference in logarithmic score, in nats a forecast, and its
    /// square.
    difference: f64,
    square: f64,
    brier: f64,
    brier_without: f64,
    on: bool,
}

impl Referee {
    /// The contender has been better, beyond doubt.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Standard errors by which it is better; 0 while there is too little to say so.
    pub fn surety(&self) -> f64 {
        let variance = self.square - self.difference * self.difference;
        if self.rounds < ROUND_COUNT_MIN || variance <= 0.0 {
            return 0.0;
        }
        self.difference / (variance / self.rounds).sqrt()
    }

    /// Mean squared errors of the contender, and of what it is held against (Brier 1950).
    pub fn brier(&self) -> (f64, f64) {
        (self.brier, self.brier_without)
    }

    fn write(&self, out: &mut Writer) {
        out.float(self.rounds);
        out.float(self.difference);
        out.float(self.square);
        out.float(self.brier);
        out.float(self.brier_without);
        out.flag(self.on);
    }

    fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            rounds: finite(bytes)?,
            difference: finite(bytes)?,
            square: finite(bytes)?,
            brier: finite(bytes)?,
            brier_without: finite(bytes)?,
            on: bytes.flag()?,
        })
    }

    fn judge(&mut self, difference: f64, brier: f64, brier_without: f64) {
        self.rounds = (1.0 - HORIZON_S / REFEREE_MEMORY_S) * self.rounds + 1.0;
        let share = 1.0 / self.rounds;
        self.difference += share * (difference - self.difference);
        self.square += share * (difference * difference - self.square);
        self.brier += share * (brier - self.brier);
        self.brier_without += share * (brier_without - self.brier_without);
        let enough = if self.on { UNSURE } else { SURE };
        self.on = self.surety() > enough && self.brier < self.brier_without;
    }
}

/// A forecast on record.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pending {
    place: u32,
    key: Key,
    /// By base rate; by habit and echo; by what is in use of these; by that and company.
    chances: [f64; 4],
    looked: bool,
}

/// All habits, and the referees. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecast {
    /// Minutes that local time is ahead of UTC.
    pub utc_offset_minutes: i32,
    habits: Vec<Habit>,
    places: FxHashMap<Key, u32>,
    hand: usize,
    /// When the first look was.
    began_s: f64,
    /// Over all sensors, faded to `as_of_s`: looks, those called by echo, those called by company,
    /// and how often company has called.
    looks: f64,
    echoed: f64,
    accompanied: f64,
    calls: f64,
    as_of_s: f64,
    pending: Vec<Pending>,
    round_s: f64,
    next_in_round: usize,
    next_in_survey: usize,
    /// Habit and echo against each sensor's base rate.
    referee: Referee,
    /// What is in use and company against what is in use.
    company_referee: Referee,
}

/// Looks per second of each part, and of all as if they came evenly.
struct Rates {
    own: f64,
    echo: f64,
    company: f64,
    base: f64,
}

impl Forecast {
    pub fn new(utc_offset_minutes: i32) -> Self {
        Self { utc_offset_minutes, ..Self::default() }
    }

    /// Somebody turned to the sensor at `unix_s`. `peers` are those watched together with it, and
    /// how strongly: what [`Correlation::peers`](super::correlation::Correlation::peers) says of
    /// it.
    pub fn look(&mut self, key: Key, peers: impl IntoIterator<Item = (Key, f64)>, unix_s: f64) {
        if !unix_s.is_finite() {
            return;
        }
        if self.habits.is_empty() {
            (self.began_s, self.as_of_s, self.round_s) = (unix_s, unix_s, unix_s);
        }
        let place = match self.places.get(&key) {
            Some(&place) => place as usize,
            None => self.place_for(key, unix_s),
        };
        let rates = self.rates(&self.habits[place], unix_s);
        let all = rates.own + rates.echo + rates.company;
        let (own, echo) = if all > 0.0 { (rates.own / all, rates.echo / all) } else { (1.0, 0.0) };

        let kept = faded(unix_s - self.as_of_s, HALF_LIFE_S);
        self.as_of_s = self.as_of_s.max(unix_s);
        self.looks = kept * self.looks + 1.0;
        self.echoed = kept * self.echoed + echo;
        self.accompanied = kept * self.accompanied + (1.0 - own - echo).max(0.0);
        self.calls *= kept;

        let (bin, day) = self.local(unix_s);
        let habit = &mut self.habits[place];
        habit.fade(unix_s);
        habit.looks += 1.0;
        habit.own += own as f32;
        habit.by_time[bin as usize % BIN_COUNT] += own as f32;
        habit.by_day[day] += own as f32;
        habit.echo += 1.0;

        if unix_s <= self.round_s + HORIZON_S {
            for pending in self.pending.iter_mut().filter(|pending| pending.key == key) {
                pending.looked = true;
            }
        }
        for (peer, strength) in peers {
            if let Some(&place) = self.places.get(&peer)
                && strength > 0.0
            {
                let habit = &mut self.habits[place as usize];
                habit.fade(unix_s);
                habit.company += strength.min(1.0) as f32;
                self.calls += strength.min(1.0);
            }
        }
    }

    /// Keeps the referees going: to be called about once a minute, more often does no harm.
    pub fn step(&mut self, unix_s: f64) {
        // A clock that was set back begins a new round.
        let after_s = unix_s - self.round_s;
        if self.habits.is_empty() || (0.0..HORIZON_S).contains(&after_s) || !after_s.is_finite() {
            return;
        }
        if after_s >= HORIZON_S {
            self.judge();
        }
        self.round_s = unix_s;
        self.pending.clear();
        for _ in 0..self.habits.len().min(ROUND_COUNT_MAX) {
            let place = self.next_in_round % self.habits.len();
            self.next_in_round = place + 1;
            let habit = &self.habits[place];
            let chances = self.chances(habit, unix_s, HORIZON_S);
            let pending = Pending { place: place as u32, key: habit.key, chances, looked: false };
            self.pending.push(pending);
        }
    }

    fn judge(&mut self) {
        let (mut logs, mut squares, mut count) = ([0.0; 4], [0.0; 4], 0.0);
        for pending in &self.pending {
            if self.habits[pending.place as usize].key != pending.key {
                // It went, and with it who would have told of a look.
                continue;
            }
            count += 1.0;
            for (n, chance) in pending.chances.iter().enumerate() {
                let of_what_came = if pending.looked { *chance } else { 1.0 - chance };
                logs[n] += libm::log(of_what_came);
                squares[n] += (1.0 - of_what_came) * (1.0 - of_what_came);
            }
        }
        if count > 0.0 {
            let [base, habit, alone, together] = squares.map(|sum| sum / count);
            self.referee.judge((logs[1] - logs[0]) / count, habit, base);
            self.company_referee.judge((logs[3] - logs[2]) / count, together, alone);
        }
    }

    /// What is foretold of one sensor for the next `horizon_s` seconds; `None` if nobody has
    /// looked at it. While both referees say no, it is what the base rate says, and no advice.
    pub fn outlook(&self, key: Key, unix_s: f64, horizon_s: f64) -> Option<Outlook> {
        let habit = &self.habits[*self.places.get(&key)? as usize];
        Some(self.outlook_of(habit, unix_s, horizon_s))
    }

    fn outlook_of(&self, habit: &Habit, unix_s: f64, horizon_s: f64) -> Outlook {
        let [_, _, alone, together] = self.chances(habit, unix_s, horizon_s);
        if !self.is_on() {
            return Outlook { key: habit.key, chance: alone, confidence: 0.0, factor: 1.0 };
        }
        let chance = if self.company_referee.on { together } else { alone };
        let confidence = f64::from(habit.looks / (habit.looks + DOUBT_LOOKS));
        let factor = 1.0 - (1.0 - FACTOR_MIN) * chance * confidence;
        Outlook { key: habit.key, chance, confidence, factor }
    }

    /// Looks at the next `count` sensors, all in turn from call to call, and adds those to `warm`
    /// that will likely be looked at within the horizon. None while both referees say no.
    pub fn survey(&mut self, unix_s: f64, count: usize, warm: &mut Vec<Outlook>) {
        if !self.is_on() {
            return;
        }
        for _ in 0..count.min(self.habits.len()) {
            let place = self.next_in_survey % self.habits.len();
            self.next_in_survey = place + 1;
            let outlook = self.outlook_of(&self.habits[place], unix_s, HORIZON_S);
            if outlook.chance >= WARM_CHANCE_MIN {
                warm.push(outlook);
            }
        }
    }

    /// There is advice: habit and echo have been right, or company.
    pub fn is_on(&self) -> bool {
        self.referee.on || self.company_referee.on
    }

    /// Of habit and echo against each sensor's base rate.
    pub fn referee(&self) -> &Referee {
        &self.referee
    }

    /// Of company, added to what is in use without it, against that alone.
    pub fn company_referee(&self) -> &Referee {
        &self.company_referee
    }

    /// Sensors known.
    pub fn len(&self) -> usize {
        self.habits.len()
    }

    pub fn is_empty(&self) -> bool {
        self.habits.is_empty()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.utc_offset_minutes.into());
        for place in [self.hand, self.next_in_round, self.next_in_survey] {
            out.count(place);
        }
        for number in [self.began_s, self.looks, self.echoed, self.accompanied, self.calls] {
            out.float(number);
        }
        out.float(self.as_of_s);
        out.float(self.round_s);
        self.referee.write(out);
        self.company_referee.write(out);
        out.count(self.habits.len());
        for habit in &self.habits {
            out.bits(habit.key);
            for time_s in [habit.first_s, habit.as_of_s, habit.called_s] {
                out.float(time_s);
            }
            for count in habit.counts() {
                write32(out, count);
            }
        }
        out.count(self.pending.len());
        for Pending { place, key, chances, looked } in &self.pending {
            out.number((*place).into());
            out.bits(*key);
            for chance in chances {
                out.float(*chance);
            }
            out.flag(*looked);
        }
    }

    pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        let mut it = Self::new(minutes(bytes)?);
        for place in [&mut it.hand, &mut it.next_in_round, &mut it.next_in_survey] {
            *place = bytes.number32()? as usize;
        }
        let numbers = [&mut it.began_s, &mut it.looks, &mut it.echoed, &mut it.accompanied];
        for number in numbers.into_iter().chain([&mut it.calls, &mut it.as_of_s, &mut it.round_s]) {
            *number = finite(bytes)?;
        }
        it.referee = Referee::read(bytes)?;
        it.company_referee = Referee::read(bytes)?;
        let count = bytes.count(32 + COUNT_COUNT)?;
        if count > SENSOR_COUNT_MAX {
            return broken(format!("{count} sensors have habits"));
        }
        for place in 0..count {
            let mut habit = Habit::new(bytes.bits()?, 0.0);
            for time_s in [&mut habit.first_s, &mut habit.as_of_s, &mut habit.called_s] {
                *time_s = finite(bytes)?;
            }
            for count in habit.counts_mut() {
                *count = count32(bytes)?;
            }
            if it.places.insert(habit.key, place as u32).is_some() {
                return broken("a sensor has habits twice");
            }
            it.habits.push(habit);
        }
        for _ in 0..bytes.count(42)? {
            let (place, key) = (bytes.number32()?, bytes.bits()?);
            let mut chances = [0.0; 4];
            for chance in &mut chances {
                *chance = finite(bytes)?;
            }
            let possible = CHANCE_MIN..=1.0 - CHANCE_MIN;
            if place as usize >= count || !chances.iter().all(|chance| possible.contains(chance)) {
                return broken("a forecast on record is of nothing");
            }
            it.pending.push(Pending { place, key, chances, looked: bytes.flag()? });
        }
        Ok(it)
    }

    /// That the sensor is looked at, as in [`Pending`].
    fn chances(&self, habit: &Habit, unix_s: f64, horizon_s: f64) -> [f64; 4] {
        let horizon_s = if horizon_s > 0.0 { horizon_s.min(DAY_S) } else { 0.0 };
        let now = self.rates(habit, unix_s);
        // Habits are smooth over a bin: the middle of each part of the way stands for it.
        let part_s = horizon_s / (horizon_s / BIN_S).ceil().max(1.0);
        let mut own = 0.0;
        let mut at_s = 0.5 * part_s;
        while at_s < horizon_s {
            own += part_s * self.own_rate(habit, unix_s, unix_s + at_s);
            at_s += part_s;
        }
        let echo = now.echo * ECHO_S * (1.0 - libm::exp(-horizon_s / ECHO_S));
        let company = now.company * COMPANY_S * (1.0 - libm::exp(-horizon_s / COMPANY_S));
        let base = now.base * horizon_s;
        let alone = if self.referee.on { own + echo } else { base };
        [base, own + echo, alone, alone + company]
            .map(|looks| (1.0 - libm::exp(-looks)).clamp(CHANCE_MIN, 1.0 - CHANCE_MIN))
    }

    fn rates(&self, habit: &Habit, unix_s: f64) -> Rates {
        let since_s = (unix_s - habit.called_s).max(0.0);
        let caused =
            |by: f64, of: f64| ((by + CAUSED_PRIOR * CAUSED_DOUBT) / (of + CAUSED_DOUBT)).min(0.9);
        let call = |call: f32, half: f64| f64::from(call) * libm::exp(-since_s / half) / half;
        Rates {
            own: self.own_rate(habit, unix_s, unix_s),
            echo: caused(self.echoed, self.looks) * call(habit.echo, ECHO_S),
            company: caused(self.accompanied, self.calls) * call(habit.company, COMPANY_S),
            base: self.mean_rate(habit, habit.looks, unix_s),
        }
    }

    /// Looks per second, as if they came evenly, pulled towards the mean of all sensors.
    fn mean_rate(&self, habit: &Habit, looks: f32, unix_s: f64) -> f64 {
        let looks = f64::from(looks) * faded(unix_s - habit.as_of_s, HALF_LIFE_S);
        let all =
            self.looks / (self.habits.len() as f64 * exposure_s(unix_s - self.began_s) + DOUBT_S);
        (looks + all * DOUBT_S) / (exposure_s(unix_s - habit.first_s) + DOUBT_S)
    }

    /// Looks per second that nothing has called, at the local time of `at_s`, as is known at
    /// `unix_s`.
    fn own_rate(&self, habit: &Habit, unix_s: f64, at_s: f64) -> f64 {
        let mut rate = self.mean_rate(habit, habit.own, unix_s);
        let age_s = unix_s - habit.first_s;
        let (bin, day) = self.local(at_s);
        let whole = habit.own + DOUBT_LOOKS;
        let over_mean = |looks: f32, parts: f32| (looks * parts + DOUBT_LOOKS) / whole;
        if age_s >= DAILY_AGE_S {
            rate *= f64::from(over_mean(habit.smooth(bin), BIN_COUNT as f32));
        }
        if age_s >= WEEKLY_AGE_S {
            rate *= f64::from(over_mean(habit.by_day[day], 7.0));
        }
        rate
    }

    /// The time of the local day in bins, 0 to [`BIN_COUNT`], and the day of the week.
    fn local(&self, unix_s: f64) -> (f64, usize) {
        let local_s = unix_s + 60.0 * f64::from(self.utc_offset_minutes);
        let day = (local_s / DAY_S).floor().rem_euclid(7.0);
        (local_s.rem_euclid(DAY_S) / BIN_S, day as usize % 7)
    }

    fn place_for(&mut self, key: Key, unix_s: f64) -> usize {
        let habit = Habit::new(key, unix_s);
        let place = if self.habits.len() < SENSOR_COUNT_MAX {
            self.habits.push(habit);
            self.habits.len() - 1
        } else {
            let looks = |place: usize| {
                let habit = &self.habits[place];
                f64::from(habit.looks) * faded(unix_s - habit.as_of_s, HALF_LIFE_S)
            };
            let place = least(&mut self.hand, SENSOR_COUNT_MAX, CANDIDATE_COUNT, looks);
            self.places.remove(&self.habits[place].key);
            self.habits[place] = habit;
            place
        };
        self.places.insert(key, place as u32);
        place
    }
}

impl Habit {
    fn new(key: Key, unix_s: f64) -> Self {
        Self {
            key,
            first_s: unix_s,
            as_of_s: unix_s,
            looks: 0.0,
            own: 0.0,
            by_time: [0.0; BIN_COUNT],
            by_day: [0.0; 7],
            echo: 0.0,
            company: 0.0,
            called_s: unix_s,
        }
    }

    fn counts(&self) -> impl Iterator<Item = f32> {
        let few = [self.looks, self.own, self.echo, self.company];
        few.into_iter().chain(self.by_time).chain(self.by_day)
    }

    fn counts_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        let few = [&mut self.looks, &mut self.own, &mut self.echo, &mut self.company];
        few.into_iter().chain(&mut self.by_time).chain(&mut self.by_day)
    }

    /// Brings all counts to what they are worth at `unix_s`.
    fn fade(&mut self, unix_s: f64) {
        let kept = faded(unix_s - self.as_of_s, HALF_LIFE_S) as f32;
        if kept < 1.0 {
            for count in self.by_time.iter_mut().chain(&mut self.by_day) {
                *count *= kept;
            }
            self.looks *= kept;
            self.own *= kept;
            self.as_of_s = unix_s;
        }
        let since_s = (unix_s - self.called_s).max(0.0);
        self.echo *= libm::exp(-since_s / ECHO_S) as f32;
        self.company *= libm::exp(-since_s / COMPANY_S) as f32;
        self.called_s = self.called_s.max(unix_s);
    }

    /// Looks in a bin around this time of day, in bins: a triangle over three, slid between two.
    fn smooth(&self, at: f64) -> f32 {
        let left = (at - 0.5).floor();
        let right_part = (at - 0.5 - left) as f32;
        let left = left.rem_euclid(BIN_COUNT as f64) as usize;
        let bin = |n: usize| self.by_time[(left + BIN_COUNT + n - 1) % BIN_COUNT];
        let (a, b, c, d) = (bin(0), bin(1), bin(2), bin(3));
        let (left, right) = (0.25 * (a + c) + 0.5 * b, 0.25 * (b + d) + 0.5 * c);
        left + right_part * (right - left)
    }
}

/// Seconds that count of so many, when half is forgotten after [`HALF_LIFE_S`].
fn exposure_s(seconds: f64) -> f64 {
    HALF_LIFE_S / std::f64::consts::LN_2 * (1.0 - faded(seconds, HALF_LIFE_S))
}

#[cfg(test)]
mod tests;
