//! What is counted in each second of a load run: added up over threads, processes and time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::histogram::Histogram;

/// Kinds of answers that are told apart; what is beyond is counted under `other`. A server's
/// words must not make us grow.
const ANSWER_KIND_COUNT_MAX: usize = 64;

/// Name of the answers beyond [`ANSWER_KIND_COUNT_MAX`].
const OTHER_ANSWER: &str = "other";

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What is counted. Names as in the JSON report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Count {
            $($(#[$doc])* $variant,)*
        }

        impl Count {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counts! {
    /// Samples that were due.
    Offered "offered",
    /// Samples written to sockets.
    Sent "sent",
    /// Samples that could not be written: the server did not read, or had closed the connection.
    NotTaken "not_taken",
    /// Samples that a planned fault kept back: a silent or disconnected device.
    Withheld "withheld",
    /// Samples sent twice, late or out of order on purpose, and rubbish.
    Repeated "repeated",
    Delayed "delayed",
    Garbage "garbage",
    /// Connections of devices that ended without our doing, and that were opened again.
    DevicesBroken "devices_broken",
    DevicesReopened "devices_reopened",
    /// Connections of devices with planned faults that the server ended.
    FaultyBroken "faulty_broken",
    /// Live samples that viewers received in full lists.
    Delivered "delivered",
    /// Live samples that stood for all before them, alone or as the latest of a digest.
    Latest "latest",
    /// Samples that those stood for.
    Coalesced "coalesced",
    /// Samples of the past.
    Seeded "seeded",
    /// Samples of healthy devices that the server said were lost to a viewer.
    Missed "missed",
    /// Samples of healthy devices missing from full lists that nobody spoke of.
    Gaps "gaps",
    /// Samples of healthy devices that a viewer had already.
    Doubled "doubled",
    /// Samples that were never sent so: another value, or a time at which there was none.
    Wrong "wrong",
    /// As above, of devices with planned faults.
    FaultyMissed "faulty_missed",
    FaultyGaps "faulty_gaps",
    FaultyDoubled "faulty_doubled",
    /// Samples that aged while a viewer looked elsewhere.
    Away "away",
    /// What viewers received, and did not, who stop reading by plan.
    SlowDelivered "slow_delivered",
    SlowMissed "slow_missed",
    /// Viewers that came, and left.
    ViewersCame "viewers_came",
    ViewersLeft "viewers_left",
    /// Viewers whose connection ended without our doing.
    ViewersBroken "viewers_broken",
    /// Viewers that the server let go because they did not read, as it should.
    ViewersLetGo "viewers_let_go",
}

/// How a viewer looks at a sensor: what is told apart under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Look {
    /// Pointed at: every sample.
    Close,
    /// Merely visible.
    Seen,
    /// Merely visible, on a battery that is nearly empty.
    Dim,
}

impl Look {
    pub const ALL: [Self; 3] = [Self::Close, Self::Seen, Self::Dim];

    /// The level of attention that it asks for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Close => "high",
            Self::Seen => "medium",
            Self::Dim => "low",
        }
    }
}

/// What healthy devices' samples came to for viewers that read and look so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Live samples that came one by one, and those that another stood for.
    pub whole: u64,
    pub summed_up: u64,
    /// Said to be missed, or gone without a word.
    pub lost: u64,
    /// From sending to receiving, µs; of what came alone or as the latest of a digest.
    pub age: Histogram,
}

impl Looked {
    /// The part that came one by one; 1 when there was nothing.
    pub fn whole_part(&self) -> f64 {
        let all = self.whole + self.summed_up + self.lost;
        if all == 0 { 1.0 } else { self.whole as f64 / all as f64 }
    }

    /// Nothing came, and nothing was known to be lost yet: it was shed, or nobody sent or looked.
    pub fn is_dark(&self) -> bool {
        self.whole + self.summed_up + self.lost == 0
    }

    fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.summed_up += other.summed_up;
        self.lost += other.lost;
        self.age.merge(&other.age);
    }

    fn to_json(&self) -> Value {
        json!([self.whole, self.summed_up, self.lost, histogram_json(&self.age)])
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            whole: value[0].as_u64()?,
            summed_up: value[1].as_u64()?,
            lost: value[2].as_u64()?,
            age: histogram(&value[3])?,
        })
    }
}

/// One second of a run, or many of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    counts: [u64; Count::ALL.len()],
    /// By [`Look`].
    pub looks: [Looked; Look::ALL.len()],
    /// From sending to receiving, µs; live samples of healthy devices.
    pub age: Histogram,
    /// How late the generator was in sending, µs.
    pub lateness: Histogram,
    /// Errors that the server answered devices with, by reason.
    pub answers: BTreeMap<String, u64>,
}

impl Figures {
    pub fn add(&mut self, count: Count, by: u64) {
        self.counts[count as usize] += by;
    }

    pub fn of(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// A live sample of a healthy device reached a viewer who looks at it so.
    pub fn aged(&mut self, look: Look, micros: u64) {
        self.age.add(micros);
        self.looks[look as usize].age.add(micros);
    }

    pub fn answer(&mut self, reason: &str, by: u64) {
        let known = self.answers.len() < ANSWER_KIND_COUNT_MAX || self.answers.contains_key(reason);
        let reason = if known { reason } else { OTHER_ANSWER };
        *self.answers.entry(reason.to_owned()).or_default() += by;
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.looks.iter_mut().zip(&other.looks).for_each(|(mine, theirs)| mine.merge(theirs));
        self.age.merge(&other.age);
        self.lateness.merge(&other.lateness);
        other.answers.iter().for_each(|(reason, count)| self.answer(reason, *count));
    }

    /// Samples that should have reached viewers one by one.
    pub fn expected(&self) -> u64 {
        self.of(Count::Delivered) + self.of(Count::Missed) + self.of(Count::Gaps)
    }

    /// The part of what healthy devices offered that reached everyone who was promised it: of
    /// what could be sent and of what was delivered, the smaller. 1 when there was nothing.
    pub fn delivered_part(&self) -> f64 {
        let part = |some: u64, all: u64| if all == 0 { 1.0 } else { some as f64 / all as f64 };
        let taken = part(self.of(Count::Sent), self.of(Count::Sent) + self.of(Count::NotTaken));
        taken.min(part(self.of(Count::Delivered), self.expected()))
    }

    /// As one process tells another.
    pub fn to_json(&self) -> Value {
        let looks = self.looks.each_ref().map(Looked::to_json);
        json!({"counts": self.counts, "looks": looks, "age": histogram_json(&self.age),
               "lateness": histogram_json(&self.lateness), "answers": self.answers})
    }

    /// What [`to_json`](Self::to_json) made. `None` if it is something else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut made = Self::default();
        let counts = value["counts"].as_array().filter(|all| all.len() == made.counts.len())?;
        for (mine, told) in made.counts.iter_mut().zip(counts) {
            *mine = told.as_u64()?;
        }
        let looks = value["looks"].as_array().filter(|all| all.len() == made.looks.len())?;
        for (mine, told) in made.looks.iter_mut().zip(looks) {
            *mine = Looked::from_json(told)?;
        }
        made.age = histogram(&value["age"])?;
        made.lateness = histogram(&value["lateness"])?;
        for (reason, count) in value["answers"].as_object()? {
            made.answer(reason, count.as_u64()?);
        }
        Some(made)
    }
}

fn histogram_json(histogram: &Histogram) -> Value {
    let bins: Vec<[u64; 2]> = histogram.filled().map(|(b, n)| [b as u64, n]).collect();
    json!({"bins": bins, "max": histogram.max()})
}

fn histogram(value: &Value) -> Option<Histogram> {
    let bins = value["bins"].as_array()?.iter().map(|pair| {
        let [bin, count] = pair.as_array()?.as_slice() else { return None };
        Some((bin.as_u64()? as usize, count.as_u64()?))
    });
    let bins: Vec<_> = bins.collect::<Option<_>>()?;
    Some(Histogram::from_filled(bins, value["max"].as_u64()?))
}

/// Seconds of a run that may have figures of their own: an hour. What is later is counted in the
/// last.
pub const SECOND_COUNT_MAX: usize = 3600;

/// Figures by the second in which a sample was sent, counted from the beginning of the run.
#[derive(Debug, Clone, Default)]
pub struct Series(BTreeMap<usize, Figures>);

impl Series {
    pub fn at(&mut self, micros: u64) -> &mut Figures {
        let second = (micros / 1_000_000) as usize;
        self.0.entry(second.min(SECOND_COUNT_MAX - 1)).or_default()
    }

    pub fn merge(&mut self, second: usize, figures: &Figures) {
        self.0.entry(second.min(SECOND_COUNT_MAX - 1)).or_default().merge(figures);
    }

    pub fn seconds(&self) -> impl Iterator<Item = (usize, &Figures)> {
        self.0.iter().map(|(second, figures)| (*second, figures))
    }

    pub fn get(&self, second: usize) -> Option<&Figures> {
        self.0.get(&second)
    }

    /// Everything in these seconds.
    pub fn total(&self, seconds: std::ops::Range<usize>) -> Figures {
        let mut total = Figures::default();
        self.0.range(seconds).for_each(|(_, figures)| total.merge(figures));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(age: u64) -> Figures {
        let mut figures = Figures::default();
        figures.add(Count::Delivered, 998);
        figures.add(Count::Missed, 1);
        figures.add(Count::Gaps, 1);
        figures.age.add(age);
        figures.lateness.add(12);
        figures.answer("rate_limited", 3);
        let close = &mut figures.looks[Look::Close as usize];
        (close.whole, close.summed_up, close.lost) = (6, 3, 1);
        close.age.add(age);
        figures
    }

    #[test]
    fn what_one_process_tells_another_adds_up() {
        let mut all = figures(1000);
        all.merge(&Figures::from_json(&figures(3000).to_json()).unwrap());
        assert_eq!((all.of(Count::Delivered), all.expected()), (1996, 2000));
        assert_eq!((all.age.count(), all.age.max(), all.answers["rate_limited"]), (2, 3000, 6));
        assert!((all.delivered_part() - 0.998).abs() < 1e-12);
        let [close, seen, _] = &all.looks;
        assert_eq!((close.whole_part(), close.age.count(), close.age.max()), (0.6, 2, 3000));
        assert_eq!((seen.whole_part(), seen.age.count()), (1.0, 0), "nothing was asked for");
        assert_eq!(Figures::from_json(&json!({"counts": [1]})), None);
        assert_eq!(Figures::from_json(&json!("counts")), None);
    }

    #[test]
    fn samples_the_server_did_not_take_are_losses_too() {
        let mut figures = Figures::default();
        assert_eq!(figures.delivered_part(), 1.0);
        figures.add(Count::Delivered, 10);
        figures.add(Count::Sent, 50);
        figures.add(Count::NotTaken, 50);
        assert_eq!(figures.delivered_part(), 0.5);
    }

    #[test]
    fn a_server_with_ever_new_answers_does_not_make_us_grow() {
        let mut figures = Figures::default();
        (0..1000).for_each(|n| figures.answer(&n.to_string(), 1));
        assert_eq!(figures.answers.len(), ANSWER_KIND_COUNT_MAX + 1);
        assert_eq!(figures.answers[OTHER_ANSWER], 1000 - ANSWER_KIND_COUNT_MAX as u64);
    }
}
