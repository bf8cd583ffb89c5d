//! What happens within a tick, stage by stage. [`install`] is the table of contents.
//!
//! A system is a free function whose queries are its signature. Time, chance and input arrive as
//! data; each component has one writer. Within a stage the order is the order written here, and
//! bevy's ambiguity detection refuses a schedule in which any order is left open.
//!
//! A system that panics loses its own work of that tick; see [`supervise`].

pub mod adapt;
pub mod attend;
pub mod audit;
pub mod bio;
pub mod conduct;
pub mod devices;
pub mod figures;
pub mod intake;
mod mend;
pub mod reap;
pub mod resume;
pub mod route;
pub mod sense;
pub mod snapshot;
pub mod supervise;
pub mod world;

use bevy_app::App;
use bevy_ecs::error::FallbackErrorHandler;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel};
use bevy_ecs::system::ScheduleSystem;

use supervise::{Supervision, Suspects};
use world::{Stopwatch, Timings};

/// The one schedule.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tick;

/// The stages of a tick, in order. Each variant says what holds when it is over.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Every command is applied, every sample is in its ring or accounted for.
    Intake,
    /// Every watched group is read as far as its members' samples have come.
    Sense,
    /// The pressures are judged, and what there is to give is divided.
    Conduct,
    /// Every level is the maximum of the live claims, and every viewer has its grant.
    Attend,
    /// Rings are within the limits that the load and the budget allow, or on their way there.
    Adapt,
    /// Every viewer whose turn it is has its slices.
    Route,
    /// What left is gone.
    Reap,
}

/// Puts every system into its stage.
pub fn install(app: &mut App) {
    let mut schedule = Schedule::new(Tick);
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    schedule.configure_sets(
        (
            Stage::Intake,
            Stage::Sense,
            Stage::Conduct,
            Stage::Attend,
            Stage::Adapt,
            Stage::Route,
            Stage::Reap,
        )
            .chain(),
    );
    let mut names = Vec::new();
    let mut stage = |stage: Stage, systems: Vec<(&'static str, ScheduleConfigs)>| {
        // One after the other: what runs in parallel does so within a system, over chunks.
        let mut before: Option<TimedSet> = None;
        for (name, system) in systems {
            let set = TimedSet(names.len());
            let index = names.len();
            names.push(name);
            schedule.add_systems(
                (
                    move |watch: Res<Stopwatch>, mut timings: ResMut<Timings>| {
                        timings.begin(watch.read());
                    },
                    system.run_if(supervise::before(index, name)),
                    move |world: &mut World| {
                        let nanos = world.resource::<Stopwatch>().read();
                        world.resource_mut::<Timings>().end(index, nanos);
                        supervise::after(world, index);
                    },
                )
                    .chain()
                    .in_set(set),
            );
            schedule.configure_sets(set.in_set(stage));
            if let Some(before) = before {
                schedule.configure_sets(before.before(set));
            }
            before = Some(set);
        }
    };
    stage(
        Stage::Intake,
        vec![
            ("apply_commands", timed(intake::commands::apply_commands)),
            ("fill_rings", timed(intake::fill::fill_rings)),
            ("notice_novelty", timed(bio::live::notice_novelty)),
        ],
    );
    stage(
        Stage::Sense,
        vec![
            ("keep_watch", timed(sense::gather::keep_watch)),
            ("read_groups", timed(sense::gather::read_groups)),
        ],
    );
    stage(
        Stage::Conduct,
        vec![
            ("advise", timed(bio::live::advise)),
            ("judge_load", timed(conduct::judge::judge_load)),
            ("pace_viewers", timed(conduct::pace::pace_viewers)),
            ("divide_budget", timed(conduct::divide::divide_budget)),
        ],
    );
    stage(
        Stage::Attend,
        vec![
            ("grant_viewers", timed(attend::grant::grant_viewers)),
            ("gather_claims", timed(attend::claims::gather_claims)),
            ("learn_looks", timed(bio::live::learn_looks)),
            ("rest_cursors", timed(route::cursors::rest_cursors)),
            ("derive_levels", timed(attend::levels::derive_levels)),
        ],
    );
    stage(Stage::Adapt, vec![("trim_rings", timed(adapt::trim::trim_rings))]);
    stage(
        Stage::Route,
        vec![
            ("choose_slices", timed(route::choose::choose_slices)),
            ("cut_slices", timed(route::cut::cut_slices)),
        ],
    );
    stage(Stage::Reap, vec![("reap", timed(reap::reap))]);
    app.add_schedule(schedule);
    app.insert_resource(FallbackErrorHandler(supervise::caught));
    app.insert_resource(Supervision::of(&names));
    app.init_resource::<Suspects>();
    app.insert_resource(Timings::new(names));
}

type ScheduleConfigs = bevy_ecs::schedule::ScheduleConfigs<ScheduleSystem>;

fn timed<M>(system: impl IntoScheduleConfigs<ScheduleSystem, M>) -> ScheduleConfigs {
    system.into_configs()
}

/// One system between its two readings of the stopwatch.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct TimedSet(usize);
