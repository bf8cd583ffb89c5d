//! Groups, with all that is known of their people: a recording that begins while somebody watches
//! one goes on reading it, and so does every replay.

use std::collections::VecDeque;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::command::SensorSet;
use components::group::{
    GROUP_COUNT_MAX, Group, GroupPlan, MEMBER_COUNT_MAX, Signal, Tier, Unmeasurable,
};
use components::id::{GroupId, SensorKey, StreamId, ViewerId};
use components::sample::EngineTime;
use components::viewer::Watch;

use super::bytes::{Read, Reader, Writer, broken};
use crate::sense::clock::Clock;
use crate::sense::ensemble::Ensemble;
use crate::sense::gather::{Gathering, GroupIndex, Member, PEOPLE_COUNT_MAX};
use crate::sense::grid::Grid;
use crate::sense::heart::Heart;
use crate::sense::heart::artefact::{Beat, Class, Corrector};
use crate::sense::heart::detect::{Centred, Detector, STEP_US as HEART_STEP_US};
use crate::sense::pair::WINDOW_STEPS;
use crate::sense::person::{Gate, Person, Verdict};
use crate::sense::phase::CENTRE_COUNT;
use crate::sense::phasor::Phasor;

/// Times beyond are no times of any clock, microseconds: 36,000 years.
const TIME_US_MAX: i64 = 1 << 60;

pub(super) fn write(world: &World, out: &mut Writer) {
    let index = world.resource::<GroupIndex>();
    let all: Vec<(&Group, &Gathering)> = index
        .slots
        .iter()
        .flatten()
        .filter_map(|(_, entity)| {
            Some((world.get::<Group>(*entity)?, world.get::<Gathering>(*entity)?))
        })
        .collect();
    out.count(all.len());
    for (group, gathering) in all {
        let Group { id, plan, watchers, closes_at } = group;
        out.handle(id.0);
        out.text(&plan.name);
        out.byte(plan.signal as u8);
        out.byte(plan.tier as u8);
        match &plan.sensors {
            SensorSet::All => out.flag(true),
            SensorSet::Ids(ids) => {
                out.flag(false);
                out.count(ids.len());
                ids.iter().for_each(|id| out.text(id));
            }
        }
        out.text(&plan.attribute_id);
        out.count(watchers.len());
        watchers.iter().for_each(|viewer| out.handle(viewer.0));
        out.option(closes_at.map(|time| time.0));
        let Gathering { members, left_out, ensemble, untold } = gathering;
        out.number((*left_out).into());
        out.flag(*untold);
        out.count(members.len());
        for Member { sensor_id, key: _, stream, next, found: _ } in members {
            out.text(sensor_id);
            out.option(stream.map(|stream| stream.0.into()));
            out.number(*next);
        }
        out.flag(ensemble.is_some());
        if let Some(ensemble) = ensemble {
            write_ensemble(ensemble, out);
        }
    }
}

/// The groups, whose members hold no names yet.
pub(super) fn read(world: &mut World, bytes: &mut Reader<'_>) -> Read<()> {
    let count = bytes.count(12)?;
    if count > GROUP_COUNT_MAX {
        return broken(format!("there are {count} groups"));
    }
    for _ in 0..count {
        let id = GroupId(bytes.handle()?);
        if id.0.slot as usize >= GROUP_SLOT_COUNT_MAX
            || world
                .resource::<GroupIndex>()
                .slots
                .get(id.0.slot as usize)
                .is_some_and(Option::is_some)
        {
            return broken(format!("group {:?} is not in its place", id.0));
        }
        let name = bytes.text()?.into();
        let (signal, tier) = (bytes.one_of(&Signal::ALL)?, bytes.one_of(&Tier::ALL)?);
        let sensors = if bytes.flag()? {
            SensorSet::All
        } else {
            let count = bytes.count(1)?;
            let ids: Read<Vec<Box<str>>> =
                (0..count).map(|_| bytes.text().map(Box::from)).collect();
            SensorSet::Ids(ids?)
        };
        let attribute_id = bytes.text()?.into();
        let plan = Arc::new(GroupPlan { name, signal, tier, sensors, attribute_id });
        let watcher_count = bytes.count(2)?;
        let watchers: Read<Vec<ViewerId>> =
            (0..watcher_count).map(|_| bytes.handle().map(ViewerId)).collect();
        let watchers = watchers?;
        if !watchers.is_sorted_by(|a, b| a < b) {
            return broken("somebody watches a group twice");
        }
        let closes_at = match bytes.option()? {
            Some(time) if time >= super::COUNT_MAX => return broken("a group closes too late"),
            time => time.map(EngineTime),
        };
        let (left_out, untold) = (bytes.number32()?, bytes.flag()?);
        let member_count = bytes.count(3)?;
        if member_count > MEMBER_COUNT_MAX {
            return broken(format!("a group has {member_count} members"));
        }
        let mut members = Vec::with_capacity(member_count);
        for _ in 0..member_count {
            let sensor_id: Arc<str> = bytes.text()?.into();
            let stream = match bytes.option()? {
                Some(id) if id > u64::from(u32::MAX) => return broken("there is no such stream"),
                id => id.map(|id| StreamId(id as u32)),
            };
            let next = bytes.total()?;
            // Names are held when claims are made of all this.
            members.push(Member { sensor_id, key: SensorKey(0), stream, next, found: None });
        }
        let ensemble = if bytes.flag()? {
            Some(read_ensemble(signal, tier, member_count, bytes)?)
        } else {
            None
        };
        let people = world.resource::<GroupIndex>().people + member_count;
        if people > PEOPLE_COUNT_MAX {
            return broken("there are more members than there may be");
        }
        if ensemble.is_none() && member_count > 0 {
            return broken("a group that nobody watches has members");
        }
        world.resource_mut::<GroupIndex>().people += members.len();
        let gathering = Gathering { members, left_out, ensemble, untold };
        let group = Group { id, plan, watchers, closes_at };
        let entity = world.spawn((group, Watch::default(), gathering)).id();
        world.resource_mut::<GroupIndex>().put(id, Some(entity));
    }
    Ok(())
}

/// Slots of groups: those of a recording are below.
const GROUP_SLOT_COUNT_MAX: usize = 1 << 22;

fn write_ensemble(ensemble: &Ensemble, out: &mut Writer) {
    out.place(ensemble.next);
    out.option(ensemble.centre.map(|centre| centre as u64));
    out.flag(ensemble.smoothed.is_some());
    if let Some((r, kappa)) = ensemble.smoothed {
        out.float(r);
        out.float(kappa);
    }
    out.place(ensemble.settled_us);
    out.place(ensemble.common_delay_us);
    out.flag(ensemble.history.is_some());
    if let Some(history) = &ensemble.history {
        out.signed(history.end);
        out.count(history.phasors.first().map_or(0, Vec::len));
        history.phasors.iter().flatten().for_each(|phasor| out.phasor(*phasor));
    }
    ensemble.people.iter().for_each(|person| write_person(person, out));
}

fn read_ensemble(
    signal: Signal,
    tier: Tier,
    members: usize,
    bytes: &mut Reader<'_>,
) -> Read<Ensemble> {
    let mut ensemble = Ensemble::new(signal, tier, members);
    ensemble.next = bytes.place()?;
    ensemble.centre = bytes.centre()?;
    if bytes.flag()? {
        ensemble.smoothed = Some((bytes.finite()?, bytes.finite()?));
    }
    ensemble.settled_us = bytes.place()?;
    ensemble.common_delay_us = bytes.place()?;
    let has_history = bytes.flag()?;
    if has_history != ensemble.history.is_some() {
        return broken("a group's pairs do not go with its size");
    }
    if let Some(history) = &mut ensemble.history {
        history.end = bytes.time()?;
        let steps = bytes.count(16 * members.max(1))?;
        if steps > 2 * WINDOW_STEPS {
            return broken("a group remembers too much");
        }
        for past in &mut history.phasors {
            for _ in 0..steps {
                past.push(bytes.phasor()?);
            }
        }
    }
    for person in &mut ensemble.people {
        read_person(person, bytes)?;
    }
    ensemble.forgets = true;
    Ok(ensemble)
}

fn write_person(person: &Person, out: &mut Writer) {
    let Person {
        clock,
        grid,
        newest_us,
        forgotten,
        heart,
        heard_us,
        no_number_us,
        rhythm_hz,
        verdict,
        gate,
        centre,
        apart,
        amplitudes,
        median_amplitude,
        turned,
        turns,
        last,
        state,
    } = person;
    write_clock(clock, out);
    write_grid(grid, out);
    out.place(*newest_us);
    out.flag(*forgotten);
    if let Some(heart) = heart {
        write_heart(heart, out);
    }
    out.place(*heard_us);
    out.place(*no_number_us);
    out.maybe(*rhythm_hz);
    out.byte(*verdict as u8);
    out.byte(*gate as u8);
    out.option(centre.map(|centre| centre as u64));
    out.flag(*apart);
    out.floats(amplitudes);
    out.maybe(*median_amplitude);
    out.float(*turned);
    out.floats(turns);
    out.phasor(last.unwrap_or(Phasor::ZERO));
    match state {
        Ok(phasor) => {
            out.byte(u8::MAX);
            out.phasor(*phasor);
        }
        Err(why) => out.byte(*why as u8),
    }
}

fn read_person(person: &mut Person, bytes: &mut Reader<'_>) -> Read<()> {
    person.clock = read_clock(bytes)?;
    read_grid(&mut person.grid, crate::sense::grid::STEP_US, bytes)?;
    person.newest_us = bytes.place()?;
    person.forgotten = bytes.flag()?;
    if let Some(heart) = &mut person.heart {
        read_heart(heart, bytes)?;
    }
    person.heard_us = bytes.place()?;
    person.no_number_us = bytes.place()?;
    person.rhythm_hz = bytes.maybe()?;
    if person.rhythm_hz.is_some_and(|hz| !(0.01..=1.0).contains(&hz)) {
        return broken("somebody has no possible rhythm");
    }
    person.verdict = bytes.one_of(&Verdict::ALL)?;
    person.gate = bytes.one_of(&Gate::ALL)?;
    person.centre = bytes.centre()?;
    person.apart = bytes.flag()?;
    person.amplitudes = bytes.floats(Person::AMPLITUDE_COUNT)?;
    person.median_amplitude = bytes.maybe()?;
    person.turned = bytes.finite()?;
    person.turns = bytes.floats(Person::TURN_COUNT)?;
    person.last = Some(bytes.phasor()?).filter(|last| *last != Phasor::ZERO);
    person.state = match bytes.byte()? {
        u8::MAX => Ok(bytes.phasor()?),
        why => match Unmeasurable::ALL.get(usize::from(why)) {
            Some(why) => Err(*why),
            None => return broken("somebody cannot be measured for no known reason"),
        },
    };
    Ok(())
}

fn write_clock(clock: &Clock, out: &mut Writer) {
    out.count(clock.buckets.len());
    for (at, least) in &clock.buckets {
        out.signed(*at);
        out.signed(*least);
    }
    out.number(clock.strays_in_a_row.into());
    out.place(clock.restarted_at_us);
    out.signed(clock.wrong_until_us);
    out.signed(clock.correction_us);
    out.place(clock.uncertainty_us);
    out.place(clock.latest_us);
    out.number(clock.standing.into());
}

fn read_clock(bytes: &mut Reader<'_>) -> Read<Clock> {
    let mut clock = Clock::default();
    for _ in 0..bytes.at_most(2, Clock::BUCKET_COUNT_MAX)? {
        clock.buckets.push_back((bytes.time()?, bytes.time()?));
    }
    clock.note_drift();
    clock.strays_in_a_row = bytes.number32()?.min(u32::MAX / 2);
    clock.restarted_at_us = bytes.place()?;
    clock.wrong_until_us = bytes.time()?;
    clock.correction_us = bytes.time()?;
    clock.uncertainty_us = bytes.place()?;
    clock.latest_us = bytes.place()?;
    clock.standing = bytes.number32()?.min(u32::MAX / 2);
    Ok(clock)
}

fn write_grid(grid: &Grid, out: &mut Writer) {
    out.count(grid.waiting.len());
    for (at, value) in &grid.waiting {
        out.signed(*at);
        out.float(*value);
    }
    out.flag(grid.last.is_some());
    if let Some((at, value)) = grid.last {
        out.signed(at);
        out.float(value);
    }
    out.float(grid.sum);
    out.signed(grid.sum_gap_us);
    out.floats(&grid.cells);
    grid.gaps_us.iter().for_each(|gap| out.number((*gap).into()));
    out.signed(grid.end);
    out.place(grid.newest_us);
    out.number(grid.late);
}

fn read_grid(grid: &mut Grid, step_us: i64, bytes: &mut Reader<'_>) -> Read<()> {
    for _ in 0..bytes.at_most(9, Grid::WAITING_COUNT_MAX)? {
        grid.waiting.push_back((bytes.time()?, bytes.finite()?));
    }
    if bytes.flag()? {
        grid.last = Some((bytes.time()?, bytes.finite()?));
    }
    grid.sum = bytes.finite()?;
    grid.sum_gap_us = bytes.time()?;
    grid.cells = bytes.floats(Grid::CELL_COUNT_MAX)?;
    for _ in 0..grid.cells.len() {
        grid.gaps_us.push(bytes.number32()?);
    }
    grid.note_gaps();
    grid.end = bytes.time()?;
    grid.newest_us = bytes.place()?;
    grid.late = bytes.total()?;
    let ascending = grid.waiting.iter().is_sorted_by(|a, b| a.0 <= b.0);
    let behind = grid
        .last
        .is_none_or(|(last, _)| grid.waiting.front().is_none_or(|(first, _)| last < *first));
    // The cell that is being filled lies at the last sample, or right behind it.
    let in_place = match grid.last {
        Some((at, _)) => (0..=2).contains(&(grid.end - (at - step_us / 2).div_euclid(step_us))),
        None => grid.end == 0 && grid.cells.is_empty(),
    };
    if ascending && behind && in_place {
        Ok(())
    } else {
        broken("somebody's samples are out of order")
    }
}

fn write_heart(heart: &Heart, out: &mut Writer) {
    let Heart { detector, corrector, beats, found_us } = heart;
    write_grid(&detector.grid, out);
    out.place(detector.next);
    for part in [&detector.hum, &detector.smooth, &detector.average] {
        out.queue(&part.values);
    }
    detector.before.iter().for_each(|value| out.maybe(*value));
    out.queue(&detector.values);
    out.queue(&detector.slopes);
    out.floats(&detector.complex);
    out.flag(detector.whole);
    out.float(detector.usual_length);
    out.float(detector.lengths);
    out.place(detector.last_us);
    out.count(corrector.beats_us.len());
    corrector.beats_us.iter().for_each(|at| out.signed(*at));
    out.place(corrector.last_us);
    out.count(beats.len());
    for beat in beats {
        out.signed(beat.at_us);
        out.byte(beat.class as u8);
    }
    out.count(found_us.len());
    found_us.iter().for_each(|at| out.signed(*at));
}

fn read_heart(heart: &mut Heart, bytes: &mut Reader<'_>) -> Read<()> {
    let mut detector = Detector::default();
    read_grid(&mut detector.grid, HEART_STEP_US, bytes)?;
    detector.next = bytes.place()?;
    for part in [&mut detector.hum, &mut detector.smooth, &mut detector.average] {
        part.values = bytes.queue(Centred::width(part))?;
    }
    for value in &mut detector.before {
        *value = bytes.maybe()?;
    }
    detector.values = bytes.queue(Detector::BEHIND_COUNT_MAX)?;
    detector.slopes = bytes.queue(Detector::BEHIND_COUNT_MAX)?;
    detector.complex = bytes.floats(Detector::BEHIND_COUNT_MAX)?;
    detector.whole = bytes.flag()?;
    detector.usual_length = bytes.finite()?;
    detector.lengths = bytes.finite()?;
    detector.last_us = bytes.place()?;
    if !detector.is_sound() {
        return broken("somebody's heart is out of step");
    }
    let mut corrector = Corrector::default();
    for _ in 0..bytes.at_most(1, Corrector::MEMORY)? {
        corrector.beats_us.push_back(bytes.time()?);
    }
    corrector.last_us = bytes.place()?;
    let mut beats = VecDeque::new();
    for _ in 0..bytes.at_most(2, Heart::BEAT_COUNT_MAX)? {
        beats.push_back(Beat { at_us: bytes.time()?, class: bytes.one_of(&Class::ALL)? });
    }
    let mut found_us = VecDeque::new();
    for _ in 0..bytes.at_most(1, Heart::FOUND_COUNT_MAX)? {
        found_us.push_back(bytes.time()?);
    }
    let in_order =
        corrector.beats_us.iter().is_sorted() && beats.iter().is_sorted_by_key(|b| b.at_us);
    if !in_order {
        return broken("somebody's heart beats backwards");
    }
    *heart = Heart { detector, corrector, beats, found_us };
    Ok(())
}

/// What groups have and nothing else does.
impl Writer {
    fn phasor(&mut self, phasor: Phasor) {
        self.float(phasor.re);
        self.float(phasor.im);
    }

    /// A time or a place, if there is one.
    fn place(&mut self, place: Option<i64>) {
        self.flag(place.is_some());
        if let Some(place) = place {
            self.signed(place);
        }
    }

    fn maybe(&mut self, number: Option<f64>) {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.float(number);
        }
    }

    fn floats(&mut self, numbers: &[f64]) {
        self.count(numbers.len());
        numbers.iter().for_each(|number| self.float(*number));
    }

    fn queue(&mut self, numbers: &VecDeque<f64>) {
        self.count(numbers.len());
        numbers.iter().for_each(|number| self.float(*number));
    }
}

impl Reader<'_> {
    fn finite(&mut self) -> Read<f64> {
        match self.float()? {
            number if number.is_finite() => Ok(number),
            _ => broken("a number is none"),
        }
    }

    fn phasor(&mut self) -> Read<Phasor> {
        Ok(Phasor { re: self.finite()?, im: self.finite()? })
    }

    fn time(&mut self) -> Read<i64> {
        match self.signed()? {
            time if (-TIME_US_MAX..=TIME_US_MAX).contains(&time) => Ok(time),
            _ => broken("a time is none"),
        }
    }

    fn place(&mut self) -> Read<Option<i64>> {
        if self.flag()? { self.time().map(Some) } else { Ok(None) }
    }

    fn maybe(&mut self) -> Read<Option<f64>> {
        if self.flag()? { self.finite().map(Some) } else { Ok(None) }
    }

    fn centre(&mut self) -> Read<Option<usize>> {
        match self.option()? {
            Some(centre) if centre >= CENTRE_COUNT as u64 => broken("there is no such band"),
            centre => Ok(centre.map(|centre| centre as usize)),
        }
    }

    /// A count that has a bound of its own besides.
    fn at_most(&mut self, bytes_min: usize, most: usize) -> Read<usize> {
        match self.count(bytes_min)? {
            count if count <= most => Ok(count),
            count => broken(format!("there are {count} where {most} may be")),
        }
    }

    fn floats(&mut self, most: usize) -> Read<Vec<f64>> {
        (0..self.at_most(8, most)?).map(|_| self.finite()).collect()
    }

    fn queue(&mut self, most: usize) -> Read<VecDeque<f64>> {
        self.floats(most).map(VecDeque::from)
    }
}
