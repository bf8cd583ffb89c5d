//! What a watcher of a group hears (`docs/wire.md` 2.6): names and pairs as JSON in both forms,
//! readings as JSON or as one binary frame.

use std::sync::Arc;

use crate::delivery::Deliveries;
use crate::group::{BreathingHeart, GroupNews, MemberState, Reading, Unmeasurable};
use crate::wire::push::{write_integer, write_number, write_string};

/// The version of the binary frame.
pub const GROUP_FRAME_VERSION: u8 = 1;

/// In a binary frame, of a member who has a phase.
const MEASURABLE: u8 = u8::MAX;

/// `group_members`: who is in it, in the order of everything that is said of members.
pub fn members(group: &str, sensor_ids: &[Arc<str>], left_out: u32, out: &mut Vec<u8>) {
    open(group, out);
    out.extend_from_slice(b",\"members\":[");
    for (n, id) in sensor_ids.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(id, out);
    }
    out.extend_from_slice(b"],\"left_out\":");
    write_integer(left_out, out);
    out.push(b'}');
}

/// `group_reading`: every reading of the tick, and the members' states at the newest.
pub fn readings(group: &str, deliveries: &Deliveries, news: &GroupNews, out: &mut Vec<u8>) {
    open(group, out);
    out.extend_from_slice(b",\"readings\":[");
    let mut newest: (&[MemberState], f64) = (&[], f64::NAN);
    for (n, (reading, states)) in deliveries.readings_of(news).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_reading(reading, out);
        newest = (states, reading.order.map_or(f64::NAN, |order| order.phase));
    }
    let (states, group_phase) = newest;
    out.extend_from_slice(b"],\"phases\":");
    list(states, out, |state, out| write_number(state.unwrap_or(f64::NAN), out));
    out.extend_from_slice(b",\"distances\":");
    list(states, out, |state, out| {
        write_number(state.map_or(f64::NAN, |phase| distance(phase, group_phase)), out);
    });
    out.extend_from_slice(b",\"why\":");
    list(states, out, |state, out| match state {
        Ok(_) => out.extend_from_slice(b"null"),
        Err(why) => write_string(why.name(), out),
    });
    out.push(b'}');
}

fn write_reading(reading: &Reading, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":");
    write_integer(reading.at_us.div_euclid(1_000), out);
    let order = reading.order;
    for (name, value) in [
        ("R", order.map(|order| order.r)),
        ("kappa", order.map(|order| order.kappa)),
        ("null95", order.map(|order| order.null95)),
        ("R_smoothed", reading.smoothed.map(|(r, _)| r)),
        ("kappa_smoothed", reading.smoothed.map(|(_, kappa)| kappa)),
    ] {
        member(name, value.unwrap_or(f64::NAN), out);
    }
    out.extend_from_slice(b",\"measurable\":");
    write_integer(reading.measurable, out);
    out.extend_from_slice(b",\"members\":");
    write_integer(reading.members, out);
    out.push(b'}');
}

/// `group_pairs`.
pub fn pairs(group: &str, deliveries: &Deliveries, news: &GroupNews, out: &mut Vec<u8>) {
    open(group, out);
    out.extend_from_slice(b",\"pairs\":");
    list(deliveries.pairs_of(news), out, |pair, out| {
        out.extend_from_slice(b"{\"a\":");
        write_integer(pair.a, out);
        out.extend_from_slice(b",\"b\":");
        write_integer(pair.b, out);
        member("plv", pair.plv, out);
        member("lag_s", pair.lag_s, out);
        member("correlation_lag_s", pair.correlation_lag_s.unwrap_or(f64::NAN), out);
        member("common_s", pair.common_s, out);
        out.push(b'}');
    });
    out.push(b'}');
}

/// `group_hearts`: beats since the last time, and once a second what they come to, and what
/// breathing does to those of whom it is known.
pub fn hearts(
    group: &str,
    deliveries: &Deliveries,
    news: &GroupNews,
    breathing: &[(u16, BreathingHeart)],
    out: &mut Vec<u8>,
) {
    open(group, out);
    out.extend_from_slice(b",\"beats\":");
    list(deliveries.beats_of(news), out, |beat, out| {
        out.extend_from_slice(b"{\"member\":");
        write_integer(beat.member, out);
        out.extend_from_slice(b",\"t\":");
        write_integer(beat.at_us.div_euclid(1_000), out);
        out.push(b'}');
    });
    out.extend_from_slice(b",\"hearts\":");
    list(deliveries.hearts_of(news), out, |heart, out| {
        let of = &heart.variability;
        out.extend_from_slice(b"{\"member\":");
        write_integer(heart.member, out);
        member("rate_bpm", of.rate_bpm(), out);
        member("rmssd_ms", of.rmssd_ms, out);
        member("sdnn_ms", of.sdnn_ms, out);
        member("pnn50_pct", of.pnn50_pct, out);
        member("window_s", of.window_s, out);
        member("corrected_share", of.corrected_share, out);
        out.push(b'}');
    });
    out.extend_from_slice(b",\"breathing\":");
    list(breathing, out, |(place, of), out| {
        out.extend_from_slice(b"{\"member\":");
        write_integer(*place, out);
        member("breath_per_min", 60.0 * of.breath_hz, out);
        member("plv", of.plv, out);
        member("coherence", of.coherence, out);
        out.extend_from_slice(b",\"segments\":");
        write_integer(of.segments, out);
        member("peak_to_trough_ms", of.peak_to_trough_ms, out);
        out.push(b'}');
    });
    out.push(b'}');
}

/// The binary form of [`readings`], behind what `out` has already.
pub fn frame(group: &str, deliveries: &Deliveries, news: &GroupNews, out: &mut Vec<u8>) {
    out.push(GROUP_FRAME_VERSION);
    let name = &group.as_bytes()[..group.len().min(usize::from(u8::MAX))];
    out.push(name.len() as u8);
    out.extend_from_slice(name);
    out.extend_from_slice(&(news.reading_count as u16).to_le_bytes());
    out.extend_from_slice(&(news.member_count as u16).to_le_bytes());
    let mut newest: &[MemberState] = &[];
    for (reading, states) in deliveries.readings_of(news) {
        out.extend_from_slice(&(reading.at_us as f64 * 1e-3).to_le_bytes());
        let order = reading.order;
        for value in [
            order.map(|order| order.r),
            order.map(|order| order.kappa),
            order.map(|order| order.null95),
            order.map(|order| order.phase),
            reading.smoothed.map(|(r, _)| r),
            reading.smoothed.map(|(_, kappa)| kappa),
        ] {
            out.extend_from_slice(&(value.unwrap_or(f64::NAN) as f32).to_le_bytes());
        }
        out.extend_from_slice(&reading.measurable.to_le_bytes());
        out.extend_from_slice(&reading.members.to_le_bytes());
        newest = states;
    }
    for state in newest {
        out.extend_from_slice(&(state.unwrap_or(f64::NAN) as f32).to_le_bytes());
    }
    out.extend(
        newest.iter().map(|state| state.map_or_else(|why: Unmeasurable| why as u8, |_| MEASURABLE)),
    );
}

/// Radians from the group's phase to a member's, -pi to pi.
fn distance(phase: f64, group_phase: f64) -> f64 {
    let turn = std::f64::consts::TAU;
    let apart = phase - group_phase;
    apart - turn * (apart / turn).round()
}

fn open(group: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"group\":");
    write_string(group, out);
}

fn member(name: &str, value: f64, out: &mut Vec<u8>) {
    out.push(b',');
    write_string(name, out);
    out.push(b':');
    write_number(value, out);
}

fn list<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}
