//! Makes a failing script small: parts are left out as long as the same checker still objects.

use std::time::{Duration, Instant};

use super::run::Failure;
use super::script::Event;

/// A shrunken script is good enough after so many attempts.
const ATTEMPT_COUNT_MAX: usize = 2_000;

/// The least script found within `at_most`, and how it fails. `fails` plays a script; a failure
/// that another checker finds does not count.
///
/// Delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, IEEE
/// TSE 28, 2002): ever smaller runs of events are left out, ticks among them; ticks become one,
/// and sets of samples smaller, one by one.
pub(super) fn shrink(
    script: &[Event],
    failure: &Failure,
    at_most: Duration,
    plays: &mut dyn FnMut(&[Event]) -> Option<Failure>,
) -> (Vec<Event>, Failure) {
    let began = Instant::now();
    let mut attempts = 0;
    let (mut best, mut best_failure) = (script.to_vec(), failure.clone());
    let mut fails = |script: &[Event]| {
        attempts += 1;
        if attempts > ATTEMPT_COUNT_MAX || began.elapsed() > at_most {
            return None;
        }
        plays(script).filter(|found| found.checker == failure.checker)
    };
    // Nothing behind the failing tick matters.
    let mut ticks = 0;
    let end = best.iter().position(|event| {
        ticks += u64::from(matches!(event, Event::Tick { .. }));
        ticks == failure.tick
    });
    if let Some(end) = end
        && let Some(found) = fails(&best[..=end])
    {
        best.truncate(end + 1);
        best_failure = found;
    }
    leave_out(&mut best, &mut best_failure, &mut fails);
    let mut at = 0;
    while at + 1 < best.len() {
        if let [Event::Tick { us }, Event::Tick { us: more }] = best[at..at + 2] {
            let mut one = best.clone();
            one.splice(at..at + 2, [Event::Tick { us: us + more }]);
            if let Some(found) = fails(&one) {
                (best, best_failure) = (one, found);
                continue;
            }
        }
        at += 1;
    }
    leave_out(&mut best, &mut best_failure, &mut fails);
    for at in 0..best.len() {
        while let Some(less) = lesser(&best[at]) {
            let mut with = best.clone();
            with[at] = less;
            let Some(found) = fails(&with) else { break };
            (best, best_failure) = (with, found);
        }
    }
    (best, best_failure)
}

/// Leaves out halves, quarters, and so on down to single events, until none can go.
fn leave_out(
    best: &mut Vec<Event>,
    failure: &mut Failure,
    fails: &mut dyn FnMut(&[Event]) -> Option<Failure>,
) {
    let mut size = best.len() / 2;
    while size > 0 {
        let (mut at, mut smaller) = (0, false);
        while at < best.len() {
            let mut without = best.clone();
            without.drain(at..(at + size).min(best.len()));
            match fails(&without) {
                Some(found) => (*best, *failure, smaller) = (without, found, true),
                None => at += size,
            }
        }
        if !(smaller && size == 1) {
            size /= 2;
        }
    }
}

/// The same event with half as many samples, or a simpler one.
fn lesser(event: &Event) -> Option<Event> {
    let mut event = event.clone();
    match &mut event {
        Event::Send { count, .. } if *count > 1 => *count /= 2,
        Event::Send { offset_ms, .. } if *offset_ms != 0 => *offset_ms = 0,
        Event::Tick { us } if *us > 4_000 => *us = (*us / 2).max(4_000),
        _ => return None,
    }
    Some(event)
}
