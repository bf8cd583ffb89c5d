//! The conductor's part of a snapshot: what was judged, what was divided, what each viewer is served.

use components::attention::Level;
use components::budget::{Budget, Grant, Layer, Pacing};
use components::load::{Load, LoadLevel};
use components::pressure::{Pressures, Resource};
use components::sample::EngineTime;
use components::viewer::Quality;

use super::bytes::{Read, Reader, Writer, broken};
use super::read::{optional_time, time};
use crate::conduct::divide::{CurrentBudget, Flow, Passed, Rates, Share, Valve};
use crate::conduct::judge::Judgement;
use crate::conduct::pace::Pace;
use crate::world::Settings;

fn load(load: Load, out: &mut Writer) {
    out.byte(load.level as u8);
    out.flag(load.memory_protection);
}

fn read_load(bytes: &mut Reader<'_>) -> Read<Load> {
    Ok(Load { level: bytes.one_of(&LoadLevel::ALL)?, memory_protection: bytes.flag()? })
}

fn times(times: &[Option<EngineTime>], out: &mut Writer) {
    times.iter().for_each(|at| out.option(at.map(|at| at.0)));
}

/// A figure that must be one, and not less than nothing.
fn amount(bytes: &mut Reader<'_>) -> Read<f64> {
    match bytes.float()? {
        amount if amount.is_finite() && amount >= 0.0 => Ok(amount),
        other => broken(format!("{other} is no amount")),
    }
}

fn optional_amount(bytes: &mut Reader<'_>) -> Read<Option<f64>> {
    if bytes.flag()? { amount(bytes).map(Some) } else { Ok(None) }
}

fn option(amount: Option<f64>, out: &mut Writer) {
    out.flag(amount.is_some());
    if let Some(amount) = amount {
        out.float(amount);
    }
}

pub(super) fn write_judgement(judgement: &Judgement, out: &mut Writer) {
    let Judgement { load: judged, since, pressures, measured_at, by, rising, calm_since } =
        *judgement;
    load(judged, out);
    out.number(since.0);
    let Pressures { used, age_p99_ms, unix_ms, utc_offset_minutes } = pressures;
    used.iter().for_each(|used| out.number(u64::from(used.to_bits())));
    out.option(age_p99_ms.map(|age| u64::from(age.to_bits())));
    out.signed(unix_ms);
    out.signed(i64::from(utc_offset_minutes));
    out.option(by.map(|by| by as u64));
    out.number(rising.into());
    times(&[measured_at, calm_since], out);
}

pub(super) fn read_judgement(bytes: &mut Reader<'_>) -> Read<Judgement> {
    let (load, since) = (read_load(bytes)?, time(bytes)?);
    let mut used = [0.0; Resource::COUNT];
    for used in &mut used {
        *used = f32::from_bits(bytes.number32()?);
    }
    let age = bytes.option()?.map(u32::try_from).transpose();
    let Ok(age) = age else { return broken("an age is beyond 32 bits") };
    let unix_ms = bytes.signed()?;
    let Ok(utc_offset_minutes) = i16::try_from(bytes.signed()?) else {
        return broken("no clock is so far from Greenwich");
    };
    let pressures =
        Pressures { used, age_p99_ms: age.map(f32::from_bits), unix_ms, utc_offset_minutes };
    let by = match bytes.option()? {
        None => None,
        Some(by) => match Resource::ALL.get(by as usize) {
            Some(by) => Some(*by),
            None => return broken(format!("there is no resource {by}")),
        },
    };
    let rising = bytes.number32()?;
    let (measured_at, calm_since) = (optional_time(bytes)?, optional_time(bytes)?);
    Ok(Judgement { load, since, pressures, measured_at, by, rising, calm_since })
}

fn valve(valve: Valve, out: &mut Writer) {
    let Valve { limit, cut_at, opened_at, rest_ms } = valve;
    option(limit, out);
    out.number(cut_at.0);
    times(&[opened_at], out);
    out.number(rest_ms);
}

fn read_valve(bytes: &mut Reader<'_>) -> Read<Valve> {
    Ok(Valve {
        limit: optional_amount(bytes)?,
        cut_at: time(bytes)?,
        opened_at: optional_time(bytes)?,
        rest_ms: bytes.total()?,
    })
}

pub(super) fn write_budget(current: &CurrentBudget, out: &mut Writer) {
    let CurrentBudget {
        budget,
        // Told with the levels: see `write`.
        changed: _,
        delivery,
        intake,
        devices,
        measured_at,
        taken,
        shed,
        class_in_sps,
        class_offered_sps,
        paced_at,
        turn,
    } = current;
    let Budget { load: decided, pacing, delivery_sps, class_sps, seed_sample_count_max } = budget;
    load(*decided, out);
    pacing.iter().for_each(|pacing| out.number(pacing.window_ms));
    option(*delivery_sps, out);
    class_sps.iter().for_each(|sps| option(*sps, out));
    out.count(*seed_sample_count_max);
    [delivery, intake, devices].into_iter().for_each(|each| valve(*each, out));
    out.number(measured_at.0);
    taken.iter().chain(shed).for_each(|count| out.number(*count));
    class_in_sps.iter().chain(class_offered_sps).for_each(|sps| out.float(*sps));
    out.number(paced_at.0);
    out.number((*turn).into());
}

pub(super) fn read_budget(settings: &Settings, bytes: &mut Reader<'_>) -> Read<CurrentBudget> {
    let mut current = CurrentBudget::new(settings);
    let load = read_load(bytes)?;
    current.budget.load = load;
    for level in Level::ALL {
        current.budget.pacing[level as usize] =
            Pacing { window_ms: bytes.total()?, ..Pacing::of(level, load) };
    }
    current.budget.delivery_sps = optional_amount(bytes)?;
    for sps in &mut current.budget.class_sps {
        *sps = optional_amount(bytes)?;
    }
    current.budget.seed_sample_count_max = bytes.total()? as usize;
    current.delivery = read_valve(bytes)?;
    current.intake = read_valve(bytes)?;
    current.devices = read_valve(bytes)?;
    current.measured_at = time(bytes)?;
    for count in current.taken.iter_mut().chain(&mut current.shed) {
        *count = bytes.total()?;
    }
    for sps in current.class_in_sps.iter_mut().chain(&mut current.class_offered_sps) {
        *sps = amount(bytes)?;
    }
    current.paced_at = time(bytes)?;
    current.turn = bytes.number32()?;
    Ok(current)
}

fn rates(rates: Rates, out: &mut Writer) {
    out.float(rates.asked_sps);
    out.float(rates.delivered_sps);
}

fn read_rates(bytes: &mut Reader<'_>) -> Read<Rates> {
    Ok(Rates { asked_sps: amount(bytes)?, delivered_sps: amount(bytes)? })
}

fn flow(flow: Flow, out: &mut Writer) {
    for passed in [flow.strong, flow.rest] {
        out.number(passed.asked);
        out.number(passed.delivered);
        out.number(passed.at.0);
    }
}

fn read_flow(bytes: &mut Reader<'_>) -> Read<Flow> {
    let mut passed =
        || Ok(Passed { asked: bytes.total()?, delivered: bytes.total()?, at: time(bytes)? });
    Ok(Flow { strong: passed()?, rest: passed()? })
}

pub(super) fn write_served(
    grant: &Grant,
    pace: &Pace,
    share: &Share,
    flowed: &Flow,
    out: &mut Writer,
) {
    out.byte(grant.strong as u8);
    out.byte(grant.rest as u8);
    out.option(grant.limited_by.map(|layer| layer as u64));
    let Pace {
        socket,
        health,
        stalled,
        age_ms,
        bytes,
        socket_since,
        climbed_at,
        healthy_since,
        patience_ms,
        scores,
        score_count,
        health_since,
    } = *pace;
    out.byte(socket as u8);
    out.byte(health as u8);
    out.flag(stalled);
    out.number(age_ms.into());
    out.number(bytes.into());
    out.number(socket_since.0);
    times(&[climbed_at, healthy_since], out);
    out.number(patience_ms);
    scores.iter().for_each(|score| out.byte(*score));
    out.byte(score_count);
    out.number(health_since.0);
    let Share { rest, strong_rates, rest_rates, rest_allowed_sps, counted, stepped_at } = *share;
    out.byte(rest as u8);
    rates(strong_rates, out);
    rates(rest_rates, out);
    out.float(rest_allowed_sps);
    flow(counted, out);
    out.number(stepped_at.0);
    flow(*flowed, out);
}

pub(super) fn read_served(bytes: &mut Reader<'_>) -> Read<(Grant, Pace, Share, Flow)> {
    let (strong, rest) = (bytes.one_of(&Quality::ALL)?, bytes.one_of(&Quality::ALL)?);
    if rest > strong {
        return broken("what is merely visible is served better than what is pointed at");
    }
    let limited_by = match bytes.option()? {
        None => None,
        Some(layer) => match Layer::ALL.get(layer as usize) {
            Some(layer) => Some(*layer),
            None => return broken(format!("there is no layer {layer}")),
        },
    };
    let mut pace = Pace {
        socket: bytes.one_of(&Quality::ALL)?,
        health: bytes.one_of(&Quality::ALL)?,
        stalled: bytes.flag()?,
        age_ms: bytes.number32()?,
        bytes: bytes.number32()?,
        socket_since: time(bytes)?,
        climbed_at: optional_time(bytes)?,
        healthy_since: optional_time(bytes)?,
        patience_ms: bytes.total()?,
        ..Pace::default()
    };
    for score in &mut pace.scores {
        *score = bytes.byte()?.min(100);
    }
    pace.score_count = bytes.byte()?;
    if usize::from(pace.score_count) > pace.scores.len() {
        return broken("a browser has reported more often than is remembered");
    }
    pace.health_since = time(bytes)?;
    let share = Share {
        rest: bytes.one_of(&Quality::ALL)?,
        strong_rates: read_rates(bytes)?,
        rest_rates: read_rates(bytes)?,
        rest_allowed_sps: amount(bytes)?,
        counted: read_flow(bytes)?,
        stepped_at: time(bytes)?,
    };
    Ok((Grant { strong, rest, limited_by }, pace, share, read_flow(bytes)?))
}
