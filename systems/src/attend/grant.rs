//! What each viewer is served: the least of what it asked for, of what its line and its browser
//! bear, and of its part of the budget. Never a product: what one has cut the next leaves alone.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::budget::{Grant, Layer};
use components::delivery::Notice;
use components::viewer::{Cursors, Quality, QualityChoice, Viewer};

use crate::conduct::divide::Share;
use crate::conduct::pace::Pace;
use crate::world::{Fresh, Outgoing, ViewerIndex};

pub fn grant_viewers(
    mut index: ResMut<ViewerIndex>,
    mut viewers: Query<(Entity, &Viewer, &Pace, &Share, &mut Grant, &mut Cursors)>,
    mut fresh: ResMut<Fresh>,
    mut out: ResMut<Outgoing>,
) {
    let index = &mut *index;
    if index.changed.is_empty() && index.regraded.is_empty() {
        return;
    }
    // Whoever said something new is among the changed, whatever else is new.
    let changed = index.changed.len();
    index.changed.append(&mut index.regraded);
    let mut n = 0;
    index.changed.retain(|&entity| {
        n += 1;
        let Ok((_, viewer, pace, share, mut granted, mut cursors)) = viewers.get_mut(entity) else {
            return n <= changed;
        };
        let before = *granted;
        let grant = decide(viewer.choice, pace, share);
        if grant != before {
            *granted = grant;
            cursors.scan_all();
            out.0.notices.push(Notice::QualityGranted { viewer: viewer.id, grant });
        }
        // Claims follow only from words, and from beginning or ceasing to look at all.
        let looked = before.strong != Quality::Paused;
        n <= changed || looked != (grant.strong != Quality::Paused)
    });
    fresh.wanted = viewers
        .iter()
        .filter(|(_, viewer, _, _, grant, _)| viewer.is_looking(grant))
        .fold(0, |bits, (.., grant, _)| bits | grant.bits());
}

/// Every viewer's grant anew, whatever it was decided from before.
pub(crate) fn decide_all(world: &mut World) {
    let mut state = SystemState::<(
        Query<(&Viewer, &Pace, &Share, &mut Grant)>,
        ResMut<ViewerIndex>,
        ResMut<Fresh>,
        ResMut<Outgoing>,
    )>::new(world);
    let (mut viewers, mut index, mut fresh, mut out) =
        state.get_mut(world).expect("the world has its resources");
    index.regraded.clear();
    fresh.wanted = 0;
    for (viewer, pace, share, mut granted) in &mut viewers {
        let grant = decide(viewer.choice, pace, share);
        if *granted != grant {
            *granted = grant;
            out.0.notices.push(Notice::QualityGranted { viewer: viewer.id, grant });
        }
        if viewer.is_looking(&grant) {
            fresh.wanted |= grant.bits();
        }
    }
}

/// The least of what all allow, and who that was: of equals the first on the way out.
fn decide(choice: QualityChoice, pace: &Pace, share: &Share) -> Grant {
    if pace.stalled {
        let paused = Quality::Paused;
        return Grant { strong: paused, rest: paused, limited_by: Some(Layer::Socket) };
    }
    let (socket, health) = match choice {
        QualityChoice::Auto | QualityChoice::AutoUpTo(_) => (pace.socket, pace.health),
        // Whoever chose by hand is taken at their word.
        QualityChoice::Fixed(_) => (Quality::High, Quality::High),
    };
    let asked = choice.ceiling();
    let strong = asked.min(socket).min(health);
    let rest = strong.min(share.rest);
    let by = [
        (Layer::Asked, asked),
        (Layer::Budget, share.rest),
        (Layer::Socket, socket),
        (Layer::Health, health),
    ];
    let limited_by = by.into_iter().find(|(_, quality)| rest < Quality::High && *quality == rest);
    Grant { strong, rest, limited_by: limited_by.map(|(layer, _)| layer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: [QualityChoice; 9] = [
        QualityChoice::Auto,
        QualityChoice::AutoUpTo(Quality::Minimal),
        QualityChoice::AutoUpTo(Quality::Low),
        QualityChoice::AutoUpTo(Quality::Medium),
        QualityChoice::Fixed(Quality::Paused),
        QualityChoice::Fixed(Quality::Minimal),
        QualityChoice::Fixed(Quality::Low),
        QualityChoice::Fixed(Quality::Medium),
        QualityChoice::Fixed(Quality::High),
    ];

    /// Every combination of choice, line, browser and budget.
    fn all(mut check: impl FnMut(QualityChoice, [Quality; 3], Grant)) {
        let served = &Quality::ALL[1..];
        for choice in CHOICES {
            for &socket in &served[1..] {
                for &health in &served[1..] {
                    for &rest in served {
                        let pace = Pace { socket, health, ..Pace::default() };
                        let share = Share { rest, ..Share::default() };
                        check(choice, [socket, health, rest], decide(choice, &pace, &share));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_pointed_at_is_never_cut_by_the_budget() {
        all(|choice, [socket, health, _], grant| {
            let unpressed =
                decide(choice, &Pace { socket, health, ..Pace::default() }, &Share::default());
            assert_eq!(grant.strong, unpressed.strong);
            if choice.is_auto() {
                assert!(grant.strong.interval_ms().unwrap() <= 200, "five times a second");
            }
        });
    }

    #[test]
    fn no_layer_cuts_what_another_has_cut() {
        all(|choice, [socket, health, rest], grant| {
            let mut allowed = vec![choice.ceiling(), rest];
            if choice.is_auto() {
                allowed.extend([socket, health]);
            }
            assert_eq!(Some(grant.rest), allowed.into_iter().min(), "the least, no less");
            assert_eq!(grant.limited_by.is_none(), grant.rest == Quality::High);
        });
    }

    #[test]
    fn whoever_chose_by_hand_is_not_overruled_by_a_line() {
        let pace = Pace { socket: Quality::Minimal, health: Quality::Low, ..Pace::default() };
        let fixed = decide(QualityChoice::Fixed(Quality::High), &pace, &Share::default());
        assert_eq!(fixed, Grant::asked(Quality::High.into()));
        let auto = decide(QualityChoice::Auto, &pace, &Share::default());
        assert_eq!((auto.strong, auto.limited_by), (Quality::Minimal, Some(Layer::Socket)));
    }

    #[test]
    fn whoever_reads_nothing_gets_nothing() {
        let pace = Pace { stalled: true, ..Pace::default() };
        for choice in CHOICES {
            assert_eq!(decide(choice, &pace, &Share::default()).strong, Quality::Paused);
        }
    }
}
