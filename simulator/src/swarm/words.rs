//! A script as one would tell it.

use components::command::{Attention, SensorSet, Target};

use super::script::{Event, World};

/// One line for an event.
pub(super) fn tell(world: &World, event: &Event) -> String {
    let sensor = |device: &usize| &world.sensor_ids[world.devices[*device].sensor];
    let attribute = |device: &usize, attribute: &usize| {
        world.attributes[world.devices[*device].sensor][*attribute].id
    };
    match event {
        Event::Tick { us } => format!("{} ms pass, the engine ticks", *us as f64 / 1000.0),
        Event::Join { device } => {
            format!("device {device} joins {} as {}", sensor(device), world.devices[*device].owner)
        }
        Event::Declare { device, attribute: at } => {
            format!("device {device} declares {} of {}", attribute(device, at), sensor(device))
        }
        Event::Forget { device, attribute: at } => {
            format!("device {device} unregisters {} of {}", attribute(device, at), sensor(device))
        }
        Event::Rename { device, name } => format!("device {device} is renamed to {name}"),
        Event::Close { device } => format!("device {device} leaves {}", sensor(device)),
        Event::Retire { device } => format!("device {device} leaves {} for good", sensor(device)),
        Event::Send { device, attribute: at, count, offset_ms, step_ms, value, odd } => {
            let odd = if *odd { ", of an unusual form" } else { "" };
            format!(
                "device {device} sends {count} of {} {}{odd}, from {offset_ms} ms by {step_ms} ms (value {value:x})",
                sensor(device),
                attribute(device, at)
            )
        }
        Event::SendUndeclared { device } => {
            format!("device {device} sends an attribute it never declared")
        }
        Event::SendLate { device, attribute: at, count } => format!(
            "device {device} sends {count} more of {} {} through its last feed",
            sensor(device),
            attribute(device, at)
        ),
        Event::Refused { reason, count } => {
            format!("a door refuses {count} samples: {}", reason.name())
        }
        Event::Open { viewer, sensors, quality } => {
            format!("viewer {viewer} opens {} at {}", set(sensors), quality.name())
        }
        Event::CloseViewer { viewer } => format!("viewer {viewer} leaves"),
        Event::SetSensors { viewer, sensors } => {
            format!("viewer {viewer} asks for {}", set(sensors))
        }
        Event::SetRoom { room, sensors } => {
            format!("in room {room} is measured [{}]", sensors.join(" "))
        }
        Event::EnterRoom { viewer, room } => format!("viewer {viewer} looks into room {room}"),
        Event::CloseRoom { room } => format!("room {room} is closed"),
        Event::SetQuality { viewer, quality } => {
            format!("viewer {viewer} asks for quality {}", quality.name())
        }
        Event::Attend { viewer, attention } => {
            format!("viewer {viewer} looks: {}", look(attention))
        }
        Event::Alive { viewer, alive: true } => format!("viewer {viewer} shows signs of life"),
        Event::Alive { viewer, alive: false } => format!("viewer {viewer} shows none any more"),
        Event::Stalled { viewer, stalled: true } => format!("viewer {viewer} stops reading"),
        Event::Stalled { viewer, stalled: false } => format!("viewer {viewer} reads again"),
        Event::Tell { viewer, sensor } => {
            format!("viewer {viewer} tells {} to beep", world.sensor_ids[*sensor])
        }
        Event::StaleWord { viewer } => format!("a late word of viewer {viewer}'s last visit"),
        Event::Load(load) => format!(
            "the load is {}{}",
            load.level.name(),
            if load.memory_protection { ", memory protected" } else { "" }
        ),
    }
}

fn set(sensors: &SensorSet) -> String {
    match sensors {
        SensorSet::All => "all sensors".into(),
        SensorSet::Ids(ids) => format!("[{}]", ids.join(" ")),
    }
}

fn look(attention: &Attention) -> String {
    let mut words = match &attention.visible {
        None => "all on screen".to_owned(),
        Some(ids) => format!("on screen [{}]", ids.join(" ")),
    };
    for (what, targets) in [
        ("hovers", &attention.hovered),
        ("chose", &attention.focused),
        ("pinned", &attention.pinned),
    ] {
        if !targets.is_empty() {
            let targets: Vec<String> = targets.iter().map(target).collect();
            words += &format!(", {what} [{}]", targets.join(" "));
        }
    }
    if attention.hidden {
        words += ", page hidden";
    }
    words + &format!(", battery {:?}", attention.battery).to_lowercase()
}

fn target(target: &Target) -> String {
    match &target.attribute_id {
        None => target.sensor_id.to_string(),
        Some(attribute) => format!("{}/{attribute}", target.sensor_id),
    }
}
