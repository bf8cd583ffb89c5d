//! What scenarios are, and how mistakes in them are told.

use std::collections::HashSet;

use super::*;
use crate::fault::FaultKind;
use crate::person::{PARAMETERS, seconds};
use crate::signal::{Parameter, Sort, models};
use components::sample::{Payload, Timestamp};

fn read(text: &str) -> Scenario {
    Scenario::parse_toml("test.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn mistake(text: &str) -> String {
    match Scenario::parse_toml("bad.toml", text) {
        Ok(_) => panic!("it was taken:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// The end of a file with one belt wearer.
const SOMEONE: &str = "[[people]]\nid = \"ada\"\ndevices = [\"belt\"]\n";

#[test]
fn a_mistake_is_told_with_file_line_and_key_and_what_was_meant() {
    let cases: &[(&str, &str)] = &[
        // Not TOML at all.
        ("people = [", "bad.toml:1: unclosed array, expected `]`"),
        ("a = 1\na = 2\n", "bad.toml:2: duplicate key"),
        // Keys.
        (
            "descripton = \"x\"\n",
            "bad.toml:1: `descripton`: there is no such key; did you mean `description`?",
        ),
        (
            "\n\nxyzzy = 1\n",
            "bad.toml:3: `xyzzy`: there is no such key; there are description, device, faults, \
             people, places, schedule, seed, viewers",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rat = 60\n",
            "bad.toml:4: `people.heart_rat`: there is no such key; did you mean `heart_rate`?",
        ),
        (
            "[[places]]\nid = \"a\"\ndevices = [\"ecg\"]\nactivity = \"sit\"\n",
            "bad.toml:4: `places.activity`: there is no such key; there are connector_id, \
             connector_name, count, devices, id, name, names, position, room, spread_m",
        ),
        (
            "[device.belt]\n[[device.belt.attribute]]\nmodel = \"respiration\"\nrte = 25\n",
            "bad.toml:4: `device.belt.attribute.rte`: there is no such key; did you mean `rate`?",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\nbreathe_with = { grup = \"x\" }\n",
            "bad.toml:4: `people.breathe_with.grup`: there is no such key; did you mean `group`?",
        ),
        // What is missing.
        ("[[people]]\nid = \"a\"\n", "bad.toml:1: `people`: `devices` is missing"),
        ("[[people]]\ndevices = [\"ecg\"]\n", "bad.toml:1: `people`: `id` is missing"),
        (
            "[[people]]\nid = \"a\"\ndevices = []\n",
            "bad.toml:3: `people.devices`: an empty list: whoever is there has at least one device",
        ),
        (
            "[device.x]\ntype = \"x\"\n",
            "bad.toml:1: `device.x`: a device needs at least one attribute",
        ),
        (
            "[device.x]\nattribute = [{ rate = 1 }]\n",
            "bad.toml:2: `device.x.attribute`: `model` is missing",
        ),
        // Sorts.
        (
            "seed = \"one\"\n",
            "bad.toml:1: `seed`: expected a whole number from 0 to \
                             9223372036854775807, found a text",
        ),
        ("people = 3\n", "bad.toml:1: `people`: expected a list, found a number"),
        (
            "[people]\nid = \"a\"\n",
            "bad.toml:1: `people`: expected a list of tables, each under [[people]]",
        ),
        (
            "[[device]]\nid = \"a\"\n",
            "bad.toml:1: `device`: expected tables, each under its name as [device.belt]",
        ),
        (
            "[[people]]\nid = 7\ndevices = [\"ecg\"]\n",
            "bad.toml:2: `people.id`: expected a text, found a number",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rate = \"fast\"\n",
            "bad.toml:4: `people.heart_rate`: expected a number from 30 to 200 1/min, found a text",
        ),
        // Ranges.
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rate = [86, 54]\n",
            "bad.toml:4: `people.heart_rate`: the range is reversed: 86 is before 54",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rate = [1, 2, 3]\n",
            "bad.toml:4: `people.heart_rate`: expected one value, or two as [low, high]; found 3",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rate = [54,\n 600]\n",
            "bad.toml:5: `people.heart_rate`: expected a number from 30 to 200 1/min, found 600",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\"]\nheart_rate = nan\n",
            "bad.toml:4: `people.heart_rate`: expected a number from 30 to 200 1/min, found NaN",
        ),
        (
            "[[people]]\nid = \"a\"\ncount = 0\ndevices = [\"ecg\"]\n",
            "bad.toml:3: `people.count`: expected a whole number from 1 to 200000, found 0",
        ),
        (
            "[[people]]\nid = \"a\"\ncount = 999999999999999999999\ndevices = [\"ecg\"]\n",
            "bad.toml:3: `people.count`: expected a whole number from 1 to 200000, found \
             1000000000000000000000",
        ),
        (
            "[[people]]\nid = \"a\"\ncount = 200000\ndevices = [\"ecg\", \"belt\"]\n",
            "bad.toml:1: `people`: with these there are 400000 sensors; a scenario has at most \
             200000",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\nposition = [91, 0]\n",
            "bad.toml:4: `people.position`: expected a number from -90 to 90 degrees, found 91",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\nspread_m = 9\n",
            "bad.toml:4: `people.spread_m`: around what? `position` is missing",
        ),
        // Rates.
        (
            "[device.belt]\nattribute = [{ model = \"respiration\", rate = 0 }]\n",
            "bad.toml:2: `device.belt.attribute.rate`: 0 Hz: a rate is more than 0 Hz",
        ),
        (
            "[device.belt]\nattribute = [{ model = \"respiration\", rate = -25.5 }]\n",
            "bad.toml:2: `device.belt.attribute.rate`: -25.5 Hz: a rate is more than 0 Hz",
        ),
        (
            "[device.belt]\nattribute = [{ model = \"ecg\", rate = 1001 }]\n",
            "bad.toml:2: `device.belt.attribute.rate`: 1001 Hz: at most 1000 Hz, since stamps are \
             whole milliseconds",
        ),
        (
            "[device.belt]\nattribute = [{ model = \"respiration\", rate = 250 }]\n",
            "bad.toml:2: `device.belt.attribute.rate`: 250 Hz: `respiration` has at most 100 Hz",
        ),
        (
            "[device.belt]\nattribute = [{ model = \"ecg\", rate = 0.00001 }]\n",
            "bad.toml:2: `device.belt.attribute.rate`: 0.00001 Hz: at least 0.0001 Hz",
        ),
        // Names that nobody has.
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\",\n\"bellt\"]\n",
            "bad.toml:4: `people.devices`: `bellt`: there is no such device; did you mean `belt`?",
        ),
        (
            "[device.x]\nattribute = [\"respirations\"]\n",
            "bad.toml:2: `device.x.attribute`: `respirations`: there is no such model; did you \
             mean `respiration`?",
        ),
        (
            "[device.x]\nattribute = [\"motion\"]\n",
            "bad.toml:2: `device.x.attribute`: `motion`: there is no such model; did you mean `imu`?",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\nactivity = \"sits\"\n",
            "bad.toml:4: `people.activity`: `sits`: there is no such word; did you mean `sit`?",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\nactivity = [\"sit\", \"juggle\"]\n",
            "bad.toml:4: `people.activity`: `juggle`: there is no such word; there are sleep, \
             rest, sit, stand, walk, run, cycle",
        ),
        // Circles.
        (
            "[device.a]\nextends = \"b\"\n[device.b]\nextends = \"c\"\n[device.c]\n\
             extends = \"a\"\n",
            "bad.toml:6: `device.c.extends`: a device cannot extend itself: a -> b -> c -> a",
        ),
        (
            "[device.mine]\nextends = \"mine\"\n",
            "bad.toml:2: `device.mine.extends`: a device cannot extend itself: mine -> mine",
        ),
        (
            "[device.a]\nextends = \"ecgg\"\n",
            "bad.toml:2: `device.a.extends`: `ecgg`: there is no such device; did you mean `ecg`?",
        ),
        // Doubles.
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\n[[places]]\nid = \"a\"\n\
             devices = \"belt\"\n",
            "bad.toml:4: `places`: the id `a` is there twice: in line 1 and here",
        ),
        (
            "[[people]]\nnames = [\"Ada\", \"ada\"]\ndevices = \"ecg\"\n",
            "bad.toml:1: `people`: the sensor `ada:ecg` is there twice: here",
        ),
        (
            "[[people]]\nid = \"a\"\ncount = 2\ndevices = \"ecg\"\n[[people]]\nid = \"a-01\"\n\
             devices = \"ecg\"\n",
            "bad.toml:5: `people`: the sensor `a-01:ecg` is there twice: in line 1 and here",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = [\"ecg\", \"ecg\"]\n",
            "bad.toml:3: `people.devices`: `ecg` is there twice",
        ),
        (
            "[device.x]\nattribute = [\"ecg\", { id = \"ecg\", model = \"respiration\" }]\n",
            "bad.toml:2: `device.x.attribute`: there are two attributes `ecg`",
        ),
        (
            "[[people]]\nnames = [\"A\", \"B\"]\ncount = 3\ndevices = \"ecg\"\n",
            "bad.toml:3: `people.count`: 3, and 2 names",
        ),
        (
            "[[people]]\nid = \"__x\"\ndevices = \"ecg\"\n",
            "bad.toml:2: `people.id`: `__x`: ids that begin with __ are reserved",
        ),
        (
            "[device.x]\nattribute = [{ id = \"-\", model = \"ecg\" }]\n",
            "bad.toml:2: `device.x.attribute.id`: `-`: an attribute's id is 1 to 64 letters, \
             digits, _ and -, the first a letter or digit",
        ),
        (
            "[device.x]\nsensor_id = \"x\"\nattribute = [\"ecg\"]\n",
            "bad.toml:2: `device.x.sensor_id`: expected a text with {body}, for the id of whoever \
             wears it",
        ),
        (
            "[[people]]\nid = \"a\"\ndevices = \"ecg\"\n\
             breathe_with = { group = \"g\", breathing_rate = 6 }\n\
             [[people]]\nid = \"b\"\ndevices = \"ecg\"\nbreathe_with = { group = \"g\" }\n",
            "bad.toml:5: `people`: the group `g` breathes at 6 per minute in line 1, and at a \
             drawn rate here",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(&mistake(text), expected, "of:\n{text}");
    }
}

#[test]
fn a_mistake_about_viewers_faults_and_the_schedule_is_told_likewise() {
    let cases: &[(&str, &str)] = &[
        (
            "[[viewers]]\ncont = 3\n",
            "bad.toml:5: `viewers.cont`: there is no such key; did you mean `count`?",
        ),
        (
            "[[viewers]]\nroom = \"hall\"\n",
            "bad.toml:5: `viewers.room`: `hall`: there is no such room; there are none",
        ),
        (
            "[[viewers]]\nquality = \"hihg\"\n",
            "bad.toml:5: `viewers.quality`: `hihg`: there is no such quality; did you mean `high`?",
        ),
        (
            "[[viewers]]\narrive = \"soon\"\n",
            "bad.toml:5: `viewers.arrive`: expected seconds, or a time as \"500ms\", \"30s\", \
             \"2m\", \"1h\", found \"soon\"",
        ),
        (
            "[[viewers]]\nstay = [\"2m\", \"30s\"]\n",
            "bad.toml:5: `viewers.stay`: the range is reversed: 120 is before 30",
        ),
        (
            "[[viewers]]\nstay = -1\n",
            "bad.toml:5: `viewers.stay`: expected a time from 0 s to ten years, found -1 s",
        ),
        (
            "[[viewers]]\nnetwork = \"slow\"\n",
            "bad.toml:5: `viewers.network`: `slow`: there is no such network; there are fast, dead",
        ),
        (
            "[[viewers]]\nnetwork = { stall = 1 }\n",
            "bad.toml:5: `viewers.network`: `every` is missing",
        ),
        ("[[viewers]]\n[[viewers]]\n", "bad.toml:5: `viewers`: there are two crowds `visitors`"),
        (
            "[[viewers]]\nname = \"a\"\ncount = 60000\n[[viewers]]\nname = \"b\"\ncount = 60000\n",
            "bad.toml:7: `viewers`: with these there are 120000 viewers; a scenario has at most \
             100000",
        ),
        (
            "[[faults]]\nkind = \"silense\"\n",
            "bad.toml:5: `faults.kind`: `silense`: there is no such fault; did you mean \
             `silence`?",
        ),
        ("[[faults]]\nshare = 0.5\n", "bad.toml:4: `faults`: `kind` is missing"),
        (
            "[[faults]]\nkind = \"skew\"\n",
            "bad.toml:4: `faults`: `amount` is missing: `skew` in ms",
        ),
        (
            "[[faults]]\nkind = \"silence\"\namount = 1\n",
            "bad.toml:6: `faults.amount`: `silence` has no amount: it is there or not",
        ),
        (
            "[[faults]]\nkind = \"duplicate\"\namount = 2\n",
            "bad.toml:6: `faults.amount`: expected a number from 0 to 1, found 2",
        ),
        (
            "[[schedule]]\nat = 3\ncomes = \"eve\"\n",
            "bad.toml:6: `schedule.comes`: `eve`: there is no such group; there are ada",
        ),
        (
            "[[schedule]]\nat = \"never\"\ncomes = \"ada\"\n",
            "bad.toml:5: `schedule.at`: never is no time",
        ),
        ("[[schedule]]\nat = 1\n", "bad.toml:4: `schedule`: nobody comes and nobody leaves"),
        (
            "[[schedule]]\nat = 1\ncomes = \"ada\"\n[[schedule]]\nat = 2\ncomes = [\"ada\"]\n",
            "bad.toml:9: `schedule.comes`: `ada` is there already",
        ),
        (
            "[[schedule]]\nat = 1\nleaves = \"ada\"\n[[schedule]]\nat = 1\ncomes = [\"ada\"]\n",
            "bad.toml:9: `schedule.comes`: `ada` leaves and comes at the same time",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(&mistake(&format!("{SOMEONE}{text}")), expected, "of:\n{text}");
    }
}

#[test]
fn a_file_that_is_too_large_or_none_is_refused() {
    let large = "#".repeat(FILE_BYTES_MAX + 1);
    let error = Scenario::parse_toml("large.toml", &large).unwrap_err().to_string();
    assert_eq!(error, "large.toml: has 4194305 bytes; a scenario has at most 4194304");
    let deep = format!("x = {}", "[".repeat(100_000));
    assert!(mistake(&deep).starts_with("bad.toml:1: "), "no stack is long enough for it");

    let folder = std::env::temp_dir().join(format!("sensocto-scenarios-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(folder.join("large.toml"), &large).unwrap();
    std::fs::write(folder.join("letters.toml"), b"description = \"\xff\"").unwrap();
    std::fs::write(folder.join("mine.toml"), SOMEONE).unwrap();
    std::fs::write(folder.join("wrong.toml"), "sed = 1").unwrap();
    std::fs::write(folder.join("Few.toml"), SOMEONE).unwrap();
    let error = |name: &str| Scenario::find(name, Some(&folder)).unwrap_err().to_string();
    assert!(error(&path("large.toml")).ends_with("has more than 4194304 bytes"));
    assert!(error(&path("letters.toml")).contains("is not UTF-8 text: byte 15"));
    assert!(error(&path("absent.toml")).contains("cannot be read"));
    assert!(error("/dev/zero").ends_with("is not a file"));
    assert!(error(&format!("{}/", folder.display())).ends_with("is not a file"));

    // By name: from the folder, and never by a path.
    assert_eq!(Scenario::named("mine", Some(&folder)).unwrap().summary().sensors, 1);
    for name in ["../mine", "mine.toml", &path("mine.toml"), "", "Few", ".", ".."] {
        let error = Scenario::named(name, Some(&folder)).unwrap_err();
        assert!(matches!(error, ScenarioError::NotFound { .. }), "{name}: {error}");
    }
    assert_eq!(
        Scenario::named("hundrd", None).unwrap_err().to_string(),
        "scenario `hundrd`: there is no such scenario; did you mean `hundred`?"
    );
    let all = library(Some(&folder));
    assert!(all.is_sorted_by(|a, b| a.name < b.name));
    let of = |name: &str| all.iter().find(|listed| listed.name == name).unwrap();
    assert_eq!((of("mine").origin, of("few").origin), (Origin::Yours, Origin::Shipped));
    assert!(of("wrong").outcome.as_ref().unwrap_err().to_string().contains("did you mean `seed`?"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn devices_extend_one_another_and_those_that_are_built_in() {
    let scenario = read(
        r#"
        [[people]]
        id = "p"
        devices = ["belt", "fast", "faster"]
        [device.faster]
        extends = "fast"
        attribute = [{ id = "ecg", model = "ecg", rate = 1000 }, "spo2"]
        [device.fast]
        type = "chest"
        extends = "ecg"
        attribute = [{ id = "pulse", model = "heartrate", rate = 2 }]
        [device.belt]
        extends = "belt"
        sensor_id = "belt of {body}"
        attribute = [{ model = "respiration", rate = 50 }]
        "#,
    );
    let cast = scenario.cast(1);
    let sensors: Vec<_> = cast
        .sensors
        .iter()
        .map(|sensor| {
            let streams = cast.streams[sensor.streams.clone()].iter();
            let streams: Vec<String> =
                streams.map(|it| format!("{} {}", it.attribute_id, it.cadence.rate_hz())).collect();
            (&*sensor.card.sensor_id, &*sensor.card.sensor_type, streams.join(", "))
        })
        .collect();
    assert_eq!(
        sensors,
        [
            ("belt of p", "respiration", "respiration 50".to_owned()),
            ("p:fast", "chest", "ecg 250, pulse 2".to_owned()),
            ("p:faster", "chest", "ecg 1000, pulse 2, spo2 1".to_owned()),
        ]
    );
}

/// Everything a cast is, but for what signals keep to themselves.
fn described(cast: &Cast) -> Vec<String> {
    let mut memory = crate::signal::Memory::default();
    cast.streams
        .iter()
        .map(|stream| {
            let sensor = &cast.sensors[stream.sensor];
            let at = stream.cadence.stamp(stream.cadence.first_after(Timestamp(NOW)));
            let mut value = String::new();
            memory = crate::signal::Memory::default();
            stream.signal.measure(at, &mut memory, &mut |payload| value = shown(payload));
            format!("{:?} {} {at:?} {value}", sensor.card, stream.attribute_id)
        })
        .collect()
}

fn shown(payload: Payload<'_>) -> String {
    match payload {
        Payload::Scalar(cell) => format!("{:x}", cell.0),
        Payload::Shaped { cells, .. } => format!("{cells:x?}"),
        Payload::Text { payload, .. } => payload.to_owned(),
    }
}

const NOW: i64 = crate::person::ORIGIN_MS + 27_000_000_000;

#[test]
fn the_same_seed_is_the_same_people_and_one_group_more_changes_nobody() {
    let text = "[[people]]\nid = \"a\"\ncount = 5\ndevices = [\"ecg\", \"wearable\"]\n\
                heart_rate = [50, 90]\n[[places]]\nid = \"b\"\ncount = 3\ndevices = [\"imu\"]\n\
                position = [47, 8.5]\nspread_m = 500\n";
    let of = |text: &str, seed| described(&read(text).cast(seed));
    let alone = of(text, 5);
    assert_eq!(alone, of(text, 5));
    assert_ne!(alone, of(text, 6));
    let with_more = format!("[[people]]\nid = \"z\"\ncount = 9\ndevices = [\"ecg\"]\n{text}");
    assert_eq!(of(&with_more, 5)[9..], alone);
    let more_of_them = text.replace("count = 5", "count = 50");
    let those: HashSet<String> = of(&more_of_them, 5).into_iter().collect();
    assert!(alone.iter().all(|line| those.contains(line)), "the first five are who they were");
}

#[test]
fn people_are_drawn_within_what_the_file_says() {
    let scenario = read(
        "[[people]]\nid = \"p\"\nname = \"Person\"\ncount = 200\ndevices = \"ecg\"\n\
         heart_rate = [54, 86]\nactivity = [\"sit\", \"stand\"]\nposition = [60, 10]\n\
         spread_m = 1000\nroom = \"hall\"\n\
         breathe_with = { group = \"g\", strength = [0.2, 0.9], lag = 0.4, breathing_rate = 7 }\n",
    );
    let cast = scenario.cast(3);
    let (mut low, mut high, mut standing) = (f64::MAX, f64::MIN, 0);
    for body in &cast.bodies {
        let spec = body.person.as_ref().unwrap().spec();
        assert!((54.0..=86.0).contains(&spec.heart_rate_bpm));
        (low, high) = (low.min(spec.heart_rate_bpm), high.max(spec.heart_rate_bpm));
        standing += usize::from(spec.activity().name() == "stand");
        let coupling = spec.coupling.as_ref().unwrap();
        assert!((0.2..=0.9).contains(&coupling.strength));
        assert_eq!((coupling.lag_s, coupling.breaths_per_min), (0.4, 7.0));
        let (latitude, longitude) = body.position.unwrap();
        let north = (latitude - 60.0) * 111_195.0;
        let east = (longitude - 10.0) * 111_195.0 * 0.5;
        assert!((north * north + east * east).sqrt() <= 1001.0, "{north} {east}");
    }
    assert!(low < 56.0 && high > 84.0, "{low} {high}");
    assert!((70..130).contains(&standing), "{standing}");
    let groups: HashSet<u64> = cast
        .bodies
        .iter()
        .map(|body| body.person.as_ref().unwrap().spec().coupling.as_ref().unwrap().group_seed)
        .collect();
    assert_eq!(groups.len(), 1);
    assert_eq!(cast.sensors[6].card.sensor_name.as_ref(), "Person 7");
    assert_eq!(cast.sensors[6].card.sensor_id.as_ref(), "p-007:ecg");
    assert_eq!(cast.sensors[6].card.connector_id.as_ref(), "sim:p-007");
    assert!(cast.sensors.iter().all(|sensor| sensor.room.as_deref() == Some("hall")));
    let phases: HashSet<i64> =
        cast.streams.iter().map(|stream| stream.cadence.first_after(Timestamp(NOW))).collect();
    assert!(!phases.is_empty() && seconds(Timestamp(NOW)) > 0.0);
}

#[test]
fn viewers_faults_and_the_schedule_are_what_the_file_says() {
    let scenario = read(&format!(
        "{SOMEONE}room = \"hall\"\n{}",
        r#"
        [[viewers]]
        name = "slow ones"
        count = 12
        room = "hall"
        watch = 5
        quality = "low"
        form = "json"
        arrive = [0, "2m"]
        stay = "1h"
        hide = "never"
        battery = { share = 0.5, hours = 2 }
        network = { stall = ["500ms", 3], every = [10, 20] }
        [[faults]]
        kind = "delay"
        share = 0.25
        every = ["30s", "1m"]
        lasts = "never"
        amount = 800
        [[schedule]]
        at = "1500ms"
        comes = "ada"
        "#
    ));
    let crowd = &scenario.crowds[0];
    assert_eq!((crowd.count, crowd.watch, crowd.room.as_deref()), (12, 5, Some("hall")));
    assert_eq!((crowd.arrive_s, crowd.stay_s), ((0.0, 120.0), (3600.0, 3600.0)));
    assert!(crowd.hide_s.0.is_infinite());
    let crate::crowd::Network::Slow { stall_s, every_s } = crowd.network else { panic!() };
    assert_eq!((stall_s, every_s), ((0.5, 3.0), (10.0, 20.0)));
    assert_eq!((crowd.battery.share, crowd.battery.hours), (0.5, (2.0, 2.0)));
    let fault = &scenario.faults[0];
    assert_eq!((fault.kind, fault.share, fault.amount), (FaultKind::Delay, 0.25, 800.0));
    assert_eq!(fault.every_s, (30.0, 60.0));
    assert!(fault.lasts_s.1.is_infinite());
    assert_eq!(scenario.cast(1).presence(0), Some(&[(1500, i64::MAX)][..]));
    assert_eq!(scenario.summary().viewers, 12);
}

#[test]
fn the_shipped_ones_are_as_large_as_the_original_s_and_larger() {
    // People, sensors, attributes, samples a second, viewers.
    let expected = [
        ("breathing-circle", 10, 10, 40, 505.0, 3),
        ("coral-reef", 0, 9, 66, 6.8, 0),
        ("crowd", 300, 900, 2100, 83_235.0, 0),
        ("cyclists", 7, 14, 35, 196.7, 0),
        ("few", 8, 32, 64, 2419.6, 0),
        ("gaze-small", 2, 2, 12, 742.2, 0),
        ("gaze-study", 50, 50, 250, 13_055.0, 0),
        ("hundred", 100, 300, 700, 27_745.0, 0),
        ("hundred-thousand", 100_000, 100_000, 200_000, 40_000.0, 0),
        ("large-group", 20, 20, 60, 407.2, 0),
        ("larger-group", 50, 50, 150, 1018.0, 0),
        ("massive-study", 300, 300, 900, 4586.0, 0),
        ("none", 0, 0, 0, 0.0, 0),
        ("pose-demo", 4, 8, 8, 62.0, 0),
        ("river", 0, 4, 15, 0.05, 0),
        ("single-person", 1, 1, 6, 100.5333, 0),
        ("small-group", 5, 5, 15, 251.4, 0),
        ("storm", 50, 180, 380, 14_622.5, 52),
        ("ten-thousand", 10_000, 10_000, 40_000, 13_500.0, 30),
    ];
    let listed = library(None);
    let names: Vec<&str> = listed.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, expected.map(|it| it.0));
    for (listed, (name, people, sensors, attributes, rate, viewers)) in listed.iter().zip(expected)
    {
        let it = listed.outcome.as_ref().unwrap();
        assert_eq!((it.people, it.sensors, it.attributes), (people, sensors, attributes), "{name}");
        assert!((it.samples_per_second - rate).abs() < 1e-4 * rate.max(1.0), "{name}: {it:?}");
        assert_eq!(it.viewers, viewers, "{name}");
        assert!(it.description.ends_with('.') && it.description.len() < 120, "{name}");
        let text = shipped().iter().find(|shipped| shipped.name == name).unwrap().text;
        assert!(text.starts_with("description = "), "{name}: the first line says what it is for");
    }
}

#[test]
fn all_shipped_ones_can_run_at_once() {
    let mut ids = HashSet::new();
    for shipped in shipped().iter().filter(|shipped| shipped.name != "hundred-thousand") {
        let scenario = Scenario::named(shipped.name, None).unwrap();
        for sensor in scenario.cast(1).sensors {
            assert!(ids.insert(sensor.card.sensor_id.clone()), "{}", sensor.card.sensor_id);
        }
    }
    assert!(ids.contains("ada:ecg") && ids.contains("hugo:imu"));
    assert!(ids.iter().all(|id| !id.starts_with("town")));
}

/// `docs/scenarios.md`.
const DOCS: &str = include_str!("../../../docs/scenarios.md");

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let blocks = DOCS.split(&opening).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_the_page_are_scenarios() {
    let toml = blocks("toml");
    assert_eq!(toml.len(), 1);
    let scenario = read(&toml[0]);
    let summary = scenario.summary();
    assert_eq!((summary.people, summary.sensors, summary.attributes), (10, 20, 30));
    assert_eq!((summary.samples_per_second, summary.viewers), (3000.5, 3));
    assert_eq!(scenario.cast(1).sensors[19].card.sensor_id.as_ref(), "late-05:chest");

    let yaml = blocks("yaml");
    assert_eq!(yaml.len(), 1);
    let scenario = Scenario::parse_yaml("page.yaml", &yaml[0]).unwrap();
    assert_eq!(scenario.description, "One rider, and a buoy.");
    assert_eq!(scenario.summary().people, 1);
}

/// What a parameter takes, as the page says it.
fn taken(parameter: &Parameter) -> String {
    match parameter.sort {
        Sort::Number { min, max, default } => {
            let space = if parameter.unit.is_empty() { "" } else { " " };
            format!("{min} to {max}{space}{}, else {default}", parameter.unit)
        }
        Sort::Word { choices, default } => {
            format!("{}; else {default}", choices.join(", "))
        }
        Sort::Flag { default } => format!("true or false, else {default}"),
    }
}

#[test]
fn the_page_knows_every_key_model_and_device() {
    let mut lines = Vec::new();
    for it in PARAMETERS {
        let range = match it.sort {
            Sort::Number { min, max, .. } => format!("{min} to {max}"),
            Sort::Word { choices, .. } => choices.join(", "),
            Sort::Flag { .. } => "true or false".to_owned(),
        };
        let sentence = it.sentence.trim_end_matches('.');
        lines.push(format!("| `{}` | {sentence} | {} | {range} |", it.name, it.unit));
    }
    for (n, it) in models().iter().enumerate() {
        let parameters: Vec<String> =
            it.parameters.iter().map(|it| format!("`{}` {}", it.name, taken(it))).collect();
        let alike = models()[..n].iter().find(|other| other.parameters == it.parameters);
        let parameters = match alike.filter(|_| !parameters.is_empty()) {
            Some(other) => format!("as `{}`", other.name),
            None => parameters.join("; "),
        };
        let rate = |hz: f64| if hz < 0.1 { format!("1/{:.0}", 1.0 / hz) } else { hz.to_string() };
        lines.push(format!(
            "| `{}` | {} | {} | {}, {} | {} |",
            it.name,
            it.sentence.trim_end_matches('.'),
            it.unit,
            rate(it.rate_hz),
            rate(it.rate_hz_max),
            parameters
        ));
    }
    lines.push(
        read::built_in_devices()
            .iter()
            .map(|device| {
                let ids: Vec<&str> = device.attributes.iter().map(|it| &*it.id).collect();
                format!("`{}` ({})", device.name, ids.join(", "))
            })
            .collect::<Vec<_>>()
            .join(", "),
    );
    let missing: Vec<&String> = lines.iter().filter(|line| !DOCS.contains(line.as_str())).collect();
    let keys = read::keys().into_iter().chain(yaml::keys());
    let unsaid: Vec<&str> = keys.filter(|key| !DOCS.contains(&format!("`{key}`"))).collect();
    assert!(
        missing.is_empty() && unsaid.is_empty(),
        "docs/scenarios.md does not have the keys {unsaid:?}, and these lines:\n{}",
        missing.iter().map(|line| format!("{line}\n")).collect::<String>()
    );
}

#[test]
fn no_model_has_a_parameter_that_an_attribute_means_otherwise() {
    for model in models() {
        for parameter in model.parameters {
            assert!(!["id", "model", "rate"].contains(&parameter.name), "{}", model.name);
        }
        let text = format!("{SOMEONE}[device.belt]\nattribute = [\"{}\"]", model.name);
        assert_eq!(read(&text).cast(1).streams[0].kind, model.kind);
    }
    for parameter in PARAMETERS {
        assert!(!read::BODY_KEYS.contains(&parameter.name));
    }
}

/// Every key of the original's form.
const EVERY_KEY: &str = r#"
# A walk by the sea.
# A second comment is none of it.
connectors:
  walk:
    connector_id: walk-1
    connector_name: "Walkers"
    sensors:
      walker_1:
        sensor_id: ignored
        sensor_name: Walker one
        sensor_type: wearable
        attributes:
          heart:
            attribute_id: pulse
            sensor_type: heart_rate
            sampling_rate: 1.0
            batch_size: 10
            batch_window: 500
            duration: 0
            dummy_data: true
            heart_rate: 92
            unit: bpm
          breath: { attribute_id: respiration, sensor_type: respiration, sampling_rate: 50,
                    breaths_per_minute: 17 }
          saturation: { attribute_id: spo2, sensor_type: spo2, min_value: 95, max_value: 98 }
          moves: { attribute_id: imu, sensor_type: imu, sampling_rate: 110, activity_level: 0.7 }
          eyes: { attribute_id: eye_gaze, sensor_type: eye_gaze, sampling_rate: 200,
                  fixation_duration: 300, saccade_duration: 40 }
          pose: { attribute_id: skeleton, sensor_type: skeleton, sampling_rate: 15,
                  motion_type: walking }
          place: { attribute_id: geolocation, sensor_type: geolocation, sampling_rate: 2,
                   track_mode: walk, generate_track: true, track_duration: 600,
                   playback_speed: 1.5, random_start: false, no_loop: true,
                   start_lat: 54.18, start_lng: 12.09 }
          way: { attribute_id: way, sensor_type: geolocation, track_name: berlin_walk }
          mood: { attribute_id: mood, sensor_type: mood, sampling_rate: 0.5, min_value: 1,
                  max_value: 9 }
  shore:
    sensors:
      buoy:
        attributes:
          water_temperature: { sampling_rate: 0.1, min_value: 15, max_value: 19,
                               base_lat: 54.2, base_lng: 12.1 }
          level: { attribute_id: level, sensor_type: hydro_api, sampling_rate: 0.01,
                   hydro_station_id: "2018", hydro_parameter: discharge }
      empty_value:
        sensor_name:
        attributes:
          battery: { sampling_rate: 0.1, heart_rate: }
"#;

#[test]
fn the_original_s_form_is_read_with_every_key() {
    for key in yaml::keys() {
        assert!(EVERY_KEY.contains(&format!("{key}:")), "the file does not have {key}");
    }
    let scenario =
        Scenario::parse_yaml("walk.yaml", EVERY_KEY).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (scenario.name.as_str(), scenario.description.as_str()),
        ("walk", "A walk by the sea.")
    );
    let summary = scenario.summary();
    assert_eq!((summary.people, summary.sensors, summary.attributes), (1, 3, 12));
    let cast = scenario.cast(1);
    let ids: Vec<&str> = cast.sensors.iter().map(|it| &*it.card.sensor_id).collect();
    assert_eq!(ids, ["walker_1", "buoy", "empty_value"]);
    let card = &cast.sensors[0].card;
    assert_eq!((&*card.sensor_name, &*card.sensor_type), ("Walker one", "wearable"));
    assert_eq!((&*card.connector_id, &*card.connector_name), ("walk-1", "Walkers"));
    assert_eq!(&*cast.sensors[1].card.connector_id, "shore");
    let streams: Vec<String> = cast.streams[cast.sensors[0].streams.clone()]
        .iter()
        .map(|it| format!("{} {} {}", it.attribute_id, it.kind.name(), it.cadence.rate_hz()))
        .collect();
    assert_eq!(
        streams,
        [
            "pulse heartrate 1",
            "respiration respiration 50",
            "spo2 spo2 1",
            "imu imu 110",
            "eye_gaze eye_gaze 200",
            "skeleton skeleton 15",
            "geolocation geolocation 2",
            "way geolocation 1",
            "mood numeric 0.5"
        ]
    );
    let spec = cast.bodies[0].person.as_ref().unwrap().spec();
    assert_eq!((spec.heart_rate_bpm, spec.breaths_per_min, spec.spo2_percent), (92.0, 17.0, 96.5));
    assert_eq!(cast.bodies[0].position, Some((54.18, 12.09)));
    assert!(cast.bodies[1].person.is_none());

    // The water is as warm as it was told to be.
    let water = &cast.streams[cast.sensors[1].streams.start];
    let mut memory = crate::signal::Memory::default();
    for hour in 0..48 {
        water.signal.measure(Timestamp(NOW + hour * 3_600_000), &mut memory, &mut |payload| {
            let Payload::Scalar(cell) = payload else { panic!() };
            let celsius = cell.number().unwrap();
            assert!((15.0..=19.0).contains(&celsius), "{celsius}");
        });
    }

    let warnings = scenario.warnings.join("\n");
    for key in
        ["sensor_id", "batch_size", "batch_window", "duration", "dummy_data", "unit", "no_loop"]
    {
        assert!(warnings.contains(&format!("`{key}` (once) says nothing here: ")), "{warnings}");
    }
    assert!(warnings.contains("walk.yaml:18: `batch_size`"), "{warnings}");
    assert!(warnings.contains("no web service is asked"), "{warnings}");
    assert_eq!(scenario.warnings.len(), 8, "{warnings}");
}

/// What the original's Python helper made, and what it let all its motion sensors be.
#[test]
fn the_original_s_words_for_a_type_mean_ours() {
    for (word, meant) in [
        ("rsp", "respiration"),
        ("respiratory", "respiration"),
        ("motion", "imu"),
        ("emg", "emg"),
        ("latitude", "latitude"),
        ("mood", "numeric"),
    ] {
        let text = format!(
            "connectors:\n  c:\n    sensors:\n      s:\n        attributes:\n          \
             a: {{ sensor_type: {word} }}\n"
        );
        let printed = Scenario::parse_yaml("one.yaml", &text).unwrap().text().to_owned();
        assert!(printed.contains(&format!("model = \"{meant}\"")), "{word}: {printed}");
    }
}

#[test]
fn an_imported_scenario_is_the_same_as_toml() {
    let imported = Scenario::parse_yaml("walk.yaml", EVERY_KEY).unwrap();
    let printed = imported.text();
    let again = Scenario::parse_toml("walk.toml", printed)
        .unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(described(&again.cast(4)), described(&imported.cast(4)), "{printed}");
    assert_eq!(again.summary(), imported.summary());
    assert_eq!(again.text(), printed);
}

#[test]
fn sensors_that_are_alike_have_one_device() {
    let mut text = "connectors:\n  a:\n    sensors:\n".to_owned();
    for n in 0..300 {
        text += &format!(
            "      s{n}: {{ sensor_name: S{n}, attributes: {{ battery: {{ sampling_rate: 0.1 }} }} }}\n"
        );
    }
    let scenario = Scenario::parse_yaml("many.yaml", &text).unwrap();
    assert_eq!(scenario.summary().sensors, 300);
    assert_eq!(scenario.text().matches("\n[device.").count(), 1);
}

#[test]
fn a_mistake_in_the_original_s_form_is_told_with_its_line() {
    let sensor = |attribute: &str| {
        format!(
            "connectors:\n  c:\n    sensors:\n      s:\n        attributes:\n          a: {attribute}\n"
        )
    };
    let bomb = {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (one, other) in "abcdefgh".chars().zip("bcdefghi".chars()) {
            let refs = vec![format!("*{one}"); 10].join(", ");
            text += &format!("{other}: &{other} [{refs}]\n");
        }
        text
    };
    let cases: Vec<(String, &str)> = vec![
        (
            "conectors:\n".into(),
            "bad.yaml:1: `conectors`: there is no such key; did you mean `connectors`?",
        ),
        (
            sensor("{ attribute_id: ecg, sampling_rat: 3 }"),
            "bad.yaml:6: `connectors.c.sensors.s.attributes.a.sampling_rat`: there is no such \
             key; did you mean `sampling_rate`?",
        ),
        (
            sensor("\n            attribute_id: ecg\n            sampling_rate: -3"),
            "bad.yaml:8: `device.simulator-1.attribute.sampling_rate`: -3 Hz: a rate is more than 0 Hz",
        ),
        (
            sensor("\n            attribute_id: respiration\n            sampling_rate: 400"),
            "bad.yaml:8: `device.simulator-1.attribute.sampling_rate`: 400 Hz: `respiration` has \
             at most 100 Hz",
        ),
        (
            sensor("{ attribute_id: ecg, heart_rate: fast }"),
            "bad.yaml:6: `people.heart_rate`: expected a number from 30 to 200 1/min, found a text",
        ),
        (
            sensor("{ attribute_id: skeleton, motion_type: wavign }"),
            "bad.yaml:6: `device.simulator-1.attribute.motion_type`: `wavign`: there is no such \
             word; did you mean `waving`?",
        ),
        (
            sensor("{ attribute_id: geolocation, start_lat: 47 }"),
            "bad.yaml:6: `connectors.c.sensors.s`: a place needs both its latitude and its longitude",
        ),
        (
            sensor("{ attribute_id: \"not one\", sensor_type: ecg }"),
            "bad.yaml:6: `device.simulator-1.attribute.id`: `not one`: an attribute's id is 1 to \
             64 letters, digits, _ and -, the first a letter or digit",
        ),
        (
            "connectors:\n  c:\n    sensors:\n      s: { sensor_name: x }\n".into(),
            "bad.yaml:4: `device.simulator-1`: a device needs at least one attribute",
        ),
        ("connectors: [1, 2]\n".into(), "bad.yaml:1: `connectors`: expected a table, found a list"),
        ("- 1\n".into(), "bad.yaml:1: expected a table, found a list"),
        ("connectors:\n  a: {}\n  a: {}\n".into(), "bad.yaml:3: "),
        ("a: b: c\n".into(), "bad.yaml:1: "),
        ("a: [1, 2\n".into(), "bad.yaml:"),
        (bomb, "bad.yaml:"),
        (
            "connectors: &all\n  c: *all\n".into(),
            "bad.yaml:2: an alias within what it stands for: a circular reference",
        ),
        (format!("a: {}", "[".repeat(5000)), "bad.yaml:1: "),
    ];
    for (text, expected) in cases {
        let Err(error) = Scenario::parse_yaml("bad.yaml", &text) else {
            panic!("it was taken:\n{text}")
        };
        let error = error.to_string();
        if expected.ends_with([' ', ':']) {
            assert!(error.starts_with(expected), "{error}");
        } else {
            assert_eq!(error, expected);
        }
    }
}

/// The types of `reference/core.md` 4.4, and the rows of `reference/collab.md` 21.4.
const WANTED: &str = "ecg hrv hr heartrate spo2 respiration imu accelerometer gyroscope magnetometer \
    quaternion euler heading gravity tap orientation skeleton geolocation altitude speed \
    temperature humidity pressure light proximity gas air_quality color battery button led speaker \
    microphone body_location rich_presence steps calories distance vibrate rotate linear status \
    eye_gaze eye_blink eye_worn eye_aperture \
    ppg eda emg blood_pressure accelerometer_x accelerometer_y accelerometer_z gyroscope_x gyroscope_y \
    gyroscope_z sound latitude longitude water_temperature sea_surface_temperature salinity ph \
    light_par dissolved_oxygen turbidity depth nitrate phosphate ammonia alkalinity current_speed \
    current_direction wave_height wind_speed solar_irradiance fish_count species_diversity \
    coral_coverage bleaching_index algae_coverage inference_confidence";

#[test]
fn every_type_that_is_known_can_be_had_from_a_file_and_has_samples() {
    for model in WANTED.split_ascii_whitespace() {
        let text = format!(
            "[[places]]\nid = \"p\"\ndevices = [\"d\"]\n[device.d]\nattribute = [\"{model}\"]\n"
        );
        let cast = read(&text).cast(1);
        assert_eq!(cast.streams.len(), 1, "{model}");
        let mut count = 0;
        let at = Timestamp(1_795_500_000_000);
        cast.streams[0].signal.measure(at, &mut Default::default(), &mut |_| count += 1);
        assert_eq!(count, 1, "{model}");
    }
}
