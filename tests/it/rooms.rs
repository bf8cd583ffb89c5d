//! Rooms: whoever looks into one sees what is measured there, from the very tick in which it changes.

use components::attention::Level;
use components::command::Command;
use components::delivery::{Notice, ViewerEnd};
use components::fault::{Action, Point};
use components::id::{Handle, RoomId, ViewerId};
use components::viewer::Quality;
use engine::EngineConfig;
use tests::{Lab, visible};

const ROOM: RoomId = RoomId(Handle { slot: 0, generation: 0 });

fn set(lab: &mut Lab, room: RoomId, sensors: &[&str]) {
    let sensors = sensors.iter().map(|id| Box::from(*id)).collect();
    lab.command(Command::SetRoom { room, sensors });
}

fn enter(lab: &mut Lab, room: RoomId) -> ViewerId {
    let viewer = lab.watch(&[], Quality::High);
    lab.command(Command::EnterRoom { viewer, room });
    viewer
}

/// One sample of each, delivered as far as it is wanted.
fn send(lab: &mut Lab, n: i64) {
    for sensor in ["a", "b", "c"] {
        lab.send(sensor, "ecg", n, &n.to_string());
    }
    lab.settle();
}

/// What came to somebody since they were asked last: sensors, in order.
fn seen(lab: &mut Lab, viewer: ViewerId) -> Vec<String> {
    let mut seen: Vec<String> = lab.take(viewer).into_iter().map(|it| it.sensor).collect();
    seen.sort();
    seen.dedup();
    seen
}

fn join(lab: &mut Lab) {
    for sensor in ["a", "b", "c"] {
        lab.join(sensor);
    }
}

fn lab() -> Lab {
    let mut lab = Lab::new();
    join(&mut lab);
    lab
}

#[test]
fn all_who_look_into_a_room_see_what_is_measured_there_as_it_changes() {
    let mut lab = lab();
    set(&mut lab, ROOM, &["a"]);
    let crowd = [(); 5].map(|()| enter(&mut lab, ROOM));
    let other = lab.watch(&["c"], Quality::High);
    send(&mut lab, 1);
    assert!(crowd.iter().all(|viewer| seen(&mut lab, *viewer) == ["a"]));
    set(&mut lab, ROOM, &["b", "c", "elsewhere"]);
    lab.tick();
    assert_eq!(lab.level("a"), Level::None, "nobody looks at it from this tick on");
    crowd.iter().for_each(|viewer| drop(lab.take(*viewer)));
    send(&mut lab, 2);
    assert!(crowd.iter().all(|viewer| seen(&mut lab, *viewer) == ["b", "c"]));
    assert_eq!(seen(&mut lab, other), ["c"], "it is in no room");
    lab.attend(crowd[0], visible(&["a", "b"]));
    lab.tick();
    lab.take(crowd[0]);
    send(&mut lab, 3);
    assert_eq!(seen(&mut lab, crowd[0]), ["b"], "what is not there is not seen by asking for it");
}

#[test]
fn what_leaves_a_room_is_not_delivered_in_that_tick() {
    let mut lab = lab();
    set(&mut lab, ROOM, &["a", "b"]);
    let viewer = enter(&mut lab, ROOM);
    send(&mut lab, 1);
    lab.take(viewer);
    // Sent before it leaves, and not flushed yet.
    lab.send("a", "ecg", 2, "2");
    lab.send("b", "ecg", 2, "2");
    set(&mut lab, ROOM, &["b"]);
    lab.settle();
    assert_eq!(seen(&mut lab, viewer), ["b"]);
}

#[test]
fn who_leaves_a_room_sees_what_they_ask_for_and_a_closed_room_shows_nothing() {
    let mut lab = lab();
    set(&mut lab, ROOM, &["a"]);
    let (leaves, stays) = (enter(&mut lab, ROOM), enter(&mut lab, ROOM));
    let sensors = components::command::SensorSet::Ids(vec!["c".into()]);
    lab.command(Command::SetSensors { viewer: leaves, sensors });
    set(&mut lab, ROOM, &["b"]);
    send(&mut lab, 1);
    assert_eq!(
        (seen(&mut lab, leaves), seen(&mut lab, stays)),
        (vec!["c".into()], vec!["b".into()])
    );
    assert_eq!(lab.engine.report().room_count, 1);
    lab.command(Command::CloseRoom { room: ROOM });
    lab.tick();
    assert_eq!(lab.level("b"), Level::None);
    assert_eq!(lab.engine.report().room_count, 0);
    lab.take(stays);
    // Not even one that comes to be again in its place.
    let next = RoomId(Handle { generation: 1, ..ROOM.0 });
    set(&mut lab, next, &["a", "b", "c"]);
    let late = enter(&mut lab, ROOM);
    send(&mut lab, 2);
    assert_eq!(seen(&mut lab, stays), [""; 0]);
    assert_eq!(seen(&mut lab, late), [""; 0]);
    assert_eq!(seen(&mut lab, leaves), ["c"]);
}

#[test]
fn rooms_are_in_a_snapshot_and_another_process_knows_of_none() {
    let mut lab = lab();
    set(&mut lab, ROOM, &["a"]);
    let viewer = enter(&mut lab, ROOM);
    lab.tick();
    lab.be_reborn();
    set(&mut lab, ROOM, &["b"]);
    send(&mut lab, 1);
    assert_eq!(seen(&mut lab, viewer), ["b"], "it looks into it still");
    lab.move_house(1_000, 10_000);
    lab.tick();
    assert_eq!(lab.engine.report().room_count, 0);
    assert_eq!(lab.level("b"), Level::Medium, "for whoever may return");
    set(&mut lab, ROOM, &["c"]);
    lab.tick();
    assert_eq!(lab.level("c"), Level::None, "the ghost is in no room of the new process");
}

/// What they would go on seeing may not be there any more: it is private until told otherwise.
#[test]
fn whoever_looks_into_a_room_over_which_it_panics_is_let_go() {
    let (mut lab, faults) = Lab::faulty(EngineConfig::default());
    join(&mut lab);
    set(&mut lab, ROOM, &["a"]);
    let (inside, outside) = (enter(&mut lab, ROOM), lab.watch(&["a"], Quality::High));
    lab.tick();
    let first = Point { action: Action::Panic, count: Some(1), key: Some(0), ..Point::default() };
    faults.set("apply_commands.command", first).expect("it is a point");
    set(&mut lab, ROOM, &["b"]);
    lab.tick();
    let closed = lab.notices.iter().filter_map(|notice| match notice {
        Notice::ViewerClosed { viewer, why: ViewerEnd::Fault } => Some(*viewer),
        _ => None,
    });
    assert_eq!(closed.collect::<Vec<_>>(), [inside]);
    send(&mut lab, 1);
    assert_eq!(seen(&mut lab, outside), ["a"]);
    // Whoever comes back meanwhile sees nothing until it is said again what is there.
    let again = enter(&mut lab, ROOM);
    send(&mut lab, 2);
    assert_eq!(seen(&mut lab, again), [""; 0]);
    set(&mut lab, ROOM, &["b"]);
    send(&mut lab, 3);
    assert_eq!(seen(&mut lab, again), ["b"]);
}
