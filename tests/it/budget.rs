//! One conductor: who gives way when the machine is pressed, in which order, and how it comes back.

use components::attention::{Battery, Level};
use components::budget::{Layer, Pacing};
use components::class::Class;
use components::command::Attention;
use components::delivery::{Form, Notice};
use components::id::ViewerId;
use components::ledger::Reason;
use components::load::LoadLevel;
use components::pressure::{Pressures, Resource};
use components::viewer::{Quality, QualityChoice};
use engine::Figures;
use tests::{Lab, Received, TICK_MS, target, visible};

/// Between two measurements.
const MEASURED_MS: u64 = 63 * TICK_MS;

fn pressed(resource: Resource, used: f32) -> Pressures {
    Pressures::default().with(resource, used)
}

/// `count` sensors send an ECG sample with every tick, for `ms`; four times a second the machine
/// is measured as `pressures` says.
fn live(lab: &mut Lab, count: usize, ms: u64, pressures: impl Fn(&Lab) -> Option<Pressures>) {
    for _ in 0..ms / TICK_MS {
        if lab.now_ms().is_multiple_of(MEASURED_MS)
            && let Some(pressures) = pressures(lab)
        {
            lab.press(pressures);
        }
        for n in 0..count {
            let now = lab.now_ms() as i64;
            lab.send(&format!("s{n}"), "ecg", now, &now.to_string());
        }
        lab.tick();
    }
}

fn fleet(count: usize) -> Lab {
    let mut lab = Lab::new();
    for n in 0..count {
        lab.join(&format!("s{n}"));
    }
    lab
}

/// Every sample of `sensor` that came whole, in order, and what was missed in between.
fn whole(received: &[Received], sensor: &str) -> (Vec<i64>, u64) {
    let slices = received
        .iter()
        .filter(|slice| slice.sensor == sensor && matches!(slice.form, Form::Raw | Form::Seed));
    let mut missed = 0;
    let samples = slices
        .inspect(|slice| missed += slice.missed)
        .flat_map(|slice| slice.samples.iter().map(|(timestamp, _)| *timestamp))
        .collect();
    (samples, missed)
}

/// The longest time between two flushes that brought anything of `sensor`.
fn longest_gap_ms(received: &[Received], sensor: &str) -> u64 {
    let at: Vec<u64> =
        received.iter().filter(|slice| slice.sensor == sensor).map(|slice| slice.at_ms).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX)
}

fn pointing(sensor: &str, others: &[&str]) -> Attention {
    Attention { hovered: vec![target(sensor)], ..visible(others) }
}

#[test]
fn under_any_pressure_what_is_pointed_at_loses_nothing_and_the_rest_gives_way() {
    let mut lab = fleet(10);
    let viewer = lab.watch_all(QualityChoice::Auto);
    lab.attend(viewer, pointing("s0", &["s0", "s1", "s2"]));
    live(&mut lab, 10, 1_000, |_| None);
    lab.take(viewer);
    let began = lab.now_ms() as i64;
    live(&mut lab, 10, 20_000, |_| Some(pressed(Resource::Tick, 3.0)));
    lab.settle();
    let received = lab.take(viewer);
    let (samples, missed) = whole(&received, "s0");
    let samples: Vec<i64> = samples.into_iter().filter(|at| *at >= began).collect();
    let sent: Vec<i64> = (began..began + 20_000).step_by(TICK_MS as usize).collect();
    assert_eq!((samples, missed), (sent, 0), "each of its samples, once, in order");
    assert!(longest_gap_ms(&received, "s0") <= 36, "and as soon as ever");
    let grant = lab.granted(viewer).unwrap();
    assert_eq!(
        (grant.strong, grant.rest, grant.limited_by),
        (Quality::High, Quality::Trickle, Some(Layer::Budget))
    );
    let gap = longest_gap_ms(&received, "s1");
    assert!(gap <= 1_004, "what is merely watched is never dark for more than a second: {gap}");
}

/// At critical load a ring of numbers holds fifteen.
#[test]
fn a_device_that_sends_a_hundred_at_once_loses_none_of_them_where_somebody_points() {
    for (attribute, pointed_at) in [("temperature", true), ("ecg", true), ("temperature", false)] {
        let mut lab = fleet(1);
        let viewer = lab.watch_all(QualityChoice::Auto);
        let attention = if pointed_at { pointing("s0", &[]) } else { visible(&["s0"]) };
        lab.attend(viewer, attention);
        lab.press(pressed(Resource::Tick, 3.0));
        lab.pass(100);
        let mut sent = Vec::new();
        for at in 0..1_000 {
            lab.send("s0", attribute, at, &at.to_string());
            sent.push(at);
            if sent.len() % 100 == 0 {
                lab.press(pressed(Resource::Tick, 3.0));
                lab.pass(240);
            }
        }
        lab.settle();
        let (samples, missed) = whole(&lab.take(viewer), "s0");
        let is_whole = (samples, missed) == (sent, 0);
        assert_eq!(is_whole, pointed_at, "{attribute}");
    }
}

#[test]
fn for_any_stream_it_can_be_told_what_was_asked_and_who_made_it_less() {
    let mut lab = fleet(3);
    let viewer = lab.watch_all(QualityChoice::Auto);
    lab.attend(viewer, pointing("s0", &["s0", "s1"]));
    live(&mut lab, 3, 3_000, |_| Some(pressed(Resource::Tick, 2.0)));
    let mut ask = |sensor| lab.engine.decision(viewer, sensor, None).unwrap();
    let (pointed_at, visible, elsewhere) = (ask("s0"), ask("s1"), ask("s2"));
    assert_eq!((pointed_at.asked_hz, pointed_at.allowed_hz), (250.0, 250.0));
    assert_eq!((pointed_at.limited_by, pointed_at.form), (None, Some(Form::Raw)));
    assert_eq!((visible.asked_hz, visible.allowed_hz), (250.0, 1.0));
    assert_eq!((visible.limited_by, visible.form), (Some(Layer::Budget), Some(Form::Digest)));
    assert_eq!((elsewhere.allowed_hz, elsewhere.limited_by), (0.0, Some(Layer::Asked)));
    assert_eq!(lab.engine.decision(viewer, "nobody", None), None);
    assert_eq!(pointed_at.delivered_hz, None, "nobody had asked before");
    live(&mut lab, 3, 2_016, |_| Some(pressed(Resource::Tick, 2.0)));
    let mut delivered = |sensor| lab.engine.decision(viewer, sensor, None).unwrap().delivered_hz;
    assert_eq!(delivered("s0").map(f64::round), Some(250.0));
    assert!(delivered("s1").unwrap() <= 1.0);
    let figures = lab.engine.figures();
    let [(_, high), (_, medium), _] = figures.levels;
    assert_eq!((high.asked_sps.round(), high.delivered_sps.round()), (250.0, 250.0));
    assert_eq!((medium.asked_sps.round(), medium.delivered_sps.round()), (250.0, 1.0));
    assert_eq!(figures.took[Layer::Budget as usize].round(), 249.0, "and who took it");
    assert_eq!(figures.limited_by[Layer::Budget as usize], 1);
}

#[test]
fn what_the_door_and_the_devices_lose_is_told_by_the_layer_that_lost_it() {
    let mut lab = fleet(1);
    lab.refuse(Class::Bio, Reason::IntakeFull, 7_000);
    lab.tick();
    lab.engine.figures();
    for reason in [Reason::IntakeFull, Reason::Shed, Reason::RateLimited, Reason::Paced] {
        lab.refuse(Class::Motion, reason, 100 * (1 + reason as u64));
    }
    lab.pass(2_000);
    let took = |figures: &Figures, layer| figures.took[layer as usize];
    let figures = lab.engine.figures();
    let expected = |reasons: [Reason; 2]| {
        reasons.map(|reason| 100.0 * (1.0 + f64::from(reason as u32))).iter().sum::<f64>() / 2.0
    };
    let intake = expected([Reason::IntakeFull, Reason::Shed]);
    let device = expected([Reason::RateLimited, Reason::Paced]);
    assert_eq!(took(&figures, Layer::Intake).round(), intake, "of the last two seconds");
    assert_eq!(took(&figures, Layer::Device).round(), device);
    lab.pass(1_000);
    let figures = lab.engine.figures();
    assert_eq!((took(&figures, Layer::Intake), took(&figures, Layer::Device)), (0.0, 0.0));
}

#[test]
fn when_the_pressure_ends_everything_is_back_within_fifteen_seconds_and_stays() {
    let mut lab = fleet(4);
    let viewers: Vec<ViewerId> = (0..40).map(|_| lab.watch_all(QualityChoice::Auto)).collect();
    live(&mut lab, 4, 6_000, |_| Some(pressed(Resource::Broadcast, 2.0)));
    assert!(viewers.iter().all(|v| lab.granted(*v).unwrap().rest == Quality::Trickle));
    let ended = lab.now_ms();
    lab.notices.clear();
    live(&mut lab, 4, 15_000, |_| Some(pressed(Resource::Broadcast, 0.2)));
    assert!(viewers.iter().all(|v| lab.granted(*v).unwrap().rest == Quality::High));
    // Four steps each, and none of them back.
    assert_eq!(changes(&lab), 4 * viewers.len());
    live(&mut lab, 4, 30_000, |_| Some(pressed(Resource::Broadcast, 0.2)));
    assert_eq!(changes(&lab), 4 * viewers.len(), "nothing changes any more since {ended}");
}

/// A machine whose pressure follows from what it delivers, as real ones' does.
fn plant(lab: &Lab, viewers: &[ViewerId], capacity: f64) -> Pressures {
    let cost = |quality: Quality| match quality {
        Quality::High => 1.0,
        Quality::Medium => 0.8,
        Quality::Low => 0.5,
        Quality::Minimal => 0.3,
        Quality::Trickle => 0.1,
        Quality::Paused => 0.0,
    };
    let spent: f64 = viewers
        .iter()
        .map(|viewer| cost(lab.granted(*viewer).map_or(Quality::High, |grant| grant.rest)))
        .sum();
    pressed(Resource::Tick, (spent / capacity) as f32)
}

/// How often anybody was granted anything else.
fn changes(lab: &Lab) -> usize {
    lab.notices.iter().filter(|n| matches!(n, Notice::QualityGranted { .. })).count()
}

#[test]
fn a_step_in_load_settles_within_a_few_changes() {
    for capacity in [12.0, 20.0, 28.0] {
        let mut lab = fleet(2);
        let viewers: Vec<ViewerId> = (0..40).map(|_| lab.watch_all(QualityChoice::Auto)).collect();
        live(&mut lab, 2, 30_000, |lab| Some(plant(lab, &viewers, capacity)));
        let settled = changes(&lab);
        live(&mut lab, 2, 30_000, |lab| Some(plant(lab, &viewers, capacity)));
        let changes = changes(&lab) - settled;
        assert!(
            changes <= viewers.len(),
            "capacity {capacity}: {changes} changes of {} viewers in the second half minute",
            viewers.len()
        );
        let pressure = f64::from(plant(&lab, &viewers, capacity).used[Resource::Tick as usize]);
        assert!(pressure < 1.0, "capacity {capacity}: it still overruns, {pressure}");
        assert!(pressure > 0.3, "capacity {capacity}: it cut far more than was needed, {pressure}");
    }
}

/// Samples a second that the door lets in, of all classes; `None`: whatever comes.
fn quota(lab: &Lab) -> Option<f64> {
    let classes = lab.engine.budget().class_sps;
    classes.iter().any(Option::is_some).then(|| classes.iter().flatten().sum())
}

#[test]
fn samples_are_kept_out_for_the_processor_only_when_delivering_has_nothing_more_to_give() {
    let mut lab = fleet(4);
    let viewers: Vec<ViewerId> = (0..10).map(|_| lab.watch_all(QualityChoice::Auto)).collect();
    let pressed = |used| move |_: &Lab| Some(pressed(Resource::Cpu, used));
    live(&mut lab, 4, 2_000, pressed(0.5));
    let mut kept_out_at_once = false;
    for _ in 0..40 {
        live(&mut lab, 4, 500, pressed(0.98));
        let gave_all = viewers.iter().all(|v| lab.granted(*v).unwrap().rest == Quality::Trickle);
        kept_out_at_once |= quota(&lab).is_some() && !gave_all;
    }
    assert!(!kept_out_at_once, "viewers' digests first");
    let kept = quota(&lab).expect("the processor is still behind");
    assert!(kept < 500.0, "of a thousand a second: {kept}");
    live(&mut lab, 4, 15_000, pressed(0.3));
    assert_eq!(quota(&lab), None, "and back");
    assert!(viewers.iter().all(|v| lab.granted(*v).unwrap().rest == Quality::High));
}

/// In a surge, viewers were given everything as soon as the door kept everything out, and it all
/// came at once when the door opened.
#[test]
fn the_door_opens_before_viewers_are_given_more() {
    let mut lab = fleet(4);
    let watched = ["s1", "s2", "s3"];
    let viewers: Vec<ViewerId> =
        (0..10).map(|_| lab.watch(&watched, QualityChoice::Auto)).collect();
    let best = |lab: &Lab| viewers.iter().map(|v| lab.granted(*v).unwrap().rest).max();
    live(&mut lab, 4, 2_000, |_| None);
    live(&mut lab, 4, 4_000, |_| Some(pressed(Resource::Queue, 3.0)));
    // What they watch is kept out.
    live(&mut lab, 1, 4_032, |_| Some(pressed(Resource::Queue, 0.7)));
    assert!(quota(&lab).is_some());
    let given = best(&lab);
    assert!(given < Some(Quality::High));
    live(&mut lab, 1, 252, |_| Some(pressed(Resource::Queue, 0.3)));
    assert_eq!((quota(&lab), best(&lab)), (None, given), "first the door");
    live(&mut lab, 4, 15_000, |_| Some(pressed(Resource::Queue, 0.1)));
    assert_eq!(best(&lab), Some(Quality::High), "then they");
}

/// It was once thrown open in one step: what had been kept out was not thought to be asked for.
#[test]
fn a_door_opens_step_by_step_as_far_as_what_is_offered_to_it() {
    const OFFERED_SPS: f64 = 4.0 * 1000.0 / TICK_MS as f64;
    let mut lab = fleet(4);
    live(&mut lab, 4, 2_000, |_| None);
    let mut quotas = Vec::new();
    let mut share = 0.0;
    for tick in 0..16 * MEASURED_MS / TICK_MS {
        if lab.now_ms().is_multiple_of(MEASURED_MS) {
            quotas.push(quota(&lab));
            lab.press(pressed(Resource::Queue, if tick < 4 * 63 { 2.0 } else { 0.3 }));
        }
        share += quota(&lab).map_or(4.0, |sps| sps * TICK_MS as f64 / 1000.0);
        let passes = share.clamp(0.0, 4.0).floor();
        share = (share - passes).min(4.0);
        for n in 0..passes as usize {
            let now = lab.now_ms() as i64;
            lab.send(&format!("s{n}"), "ecg", now, &now.to_string());
        }
        lab.refuse(Class::Bio, Reason::Shed, 4 - passes as u64);
        lab.tick();
    }
    let held: Vec<f64> = quotas.iter().flatten().copied().collect();
    let least = held.iter().copied().fold(f64::INFINITY, f64::min);
    let opening: Vec<f64> = held.iter().copied().skip_while(|sps| *sps > least).collect();
    assert!(least < 0.3 * OFFERED_SPS, "{quotas:?}");
    assert!(opening.windows(2).all(|two| two[1] >= two[0] && two[1] < 1.7 * two[0]), "{quotas:?}");
    assert!(*opening.last().unwrap() > 0.75 * OFFERED_SPS, "nearly open, then open: {quotas:?}");
    assert_eq!(quotas.last(), Some(&None));
}

#[test]
fn whoever_asks_for_little_is_served_whole_while_whoever_asks_for_much_gives_way() {
    let mut lab = fleet(20);
    let modest = lab.watch(&["s0"], QualityChoice::Auto);
    let greedy = lab.watch_all(QualityChoice::Auto);
    // Half of what is asked for can be carried.
    live(&mut lab, 20, 4_000, |lab| {
        let cut = lab.granted(greedy).is_some_and(|grant| grant.rest < Quality::Medium);
        Some(pressed(Resource::Tick, if cut { 0.7 } else { 1.4 }))
    });
    assert!(lab.granted(greedy).unwrap().rest < Quality::Medium);
    assert_eq!(lab.granted(modest), None, "its one sensor was never the trouble");
}

#[test]
fn a_slow_line_costs_its_own_viewer_and_nobody_else() {
    let mut lab = fleet(2);
    let slow = lab.watch_all(QualityChoice::Auto);
    let quick = lab.watch_all(QualityChoice::Auto);
    for _ in 0..8 {
        lab.waits(slow, 600);
        live(&mut lab, 2, 252, |_| Some(pressed(Resource::Broadcast, 0.1)));
    }
    let grant = lab.granted(slow).unwrap();
    assert_eq!((grant.strong, grant.limited_by), (Quality::Minimal, Some(Layer::Socket)));
    assert_eq!(lab.granted(quick), None);
    lab.waits(slow, 0);
    live(&mut lab, 2, 10_000, |_| Some(pressed(Resource::Broadcast, 0.1)));
    assert_eq!(lab.granted(slow).unwrap().rest, Quality::High, "it climbs back");
}

#[test]
fn a_viewer_that_has_stopped_reading_claims_nothing_until_it_reads() {
    let mut lab = fleet(1);
    let viewer = lab.watch_all(QualityChoice::Auto);
    live(&mut lab, 1, 100, |_| None);
    assert_eq!(lab.level("s0"), Level::Medium);
    lab.waits(viewer, 4_000);
    live(&mut lab, 1, 100, |_| None);
    assert_eq!(lab.granted(viewer).unwrap().strong, Quality::Paused);
    assert_eq!(lab.level("s0"), Level::None, "nothing is spent on it, at the device either");
    lab.take(viewer);
    lab.waits(viewer, 0);
    live(&mut lab, 1, 1_000, |_| None);
    assert_eq!(lab.level("s0"), Level::Medium);
    assert!(!lab.take(viewer).is_empty());
}

#[test]
fn memory_pressure_shortens_rings_and_paces_devices_but_not_what_is_watched() {
    let mut lab = fleet(10);
    let viewer = lab.watch(&["s0"], QualityChoice::Auto);
    lab.attend(viewer, pointing("s0", &["s0"]));
    live(&mut lab, 10, 8_000, |_| None);
    let full = lab.engine.report().ring_bytes;
    lab.take(viewer);
    let began = lab.now_ms() as i64;
    live(&mut lab, 10, 1_000, |_| Some(pressed(Resource::Memory, 0.97)));
    let (watched, idle) = (lab.feed("s0"), lab.feed("s1"));
    let pacing = lab.pacing(watched).unwrap();
    assert_eq!(pacing.load.level, LoadLevel::Critical);
    assert!(pacing.load.memory_protection && !pacing.paused);
    assert!(pacing.window_ms <= 200, "{pacing:?}");
    let idle = lab.pacing(idle).unwrap();
    assert!(idle.paused, "{idle:?}");
    assert!(lab.engine.report().ring_bytes < full / 4, "rings are cut without another write");
    live(&mut lab, 10, 20_000, |_| Some(pressed(Resource::Memory, 0.2)));
    lab.settle();
    let (samples, missed) = whole(&lab.take(viewer), "s0");
    let samples: Vec<i64> = samples.into_iter().filter(|at| *at >= began).collect();
    let sent: Vec<i64> = (began..began + 21_000).step_by(TICK_MS as usize).collect();
    assert_eq!((samples, missed), (sent, 0), "whoever looks loses nothing");
    let pacing = lab.pacing(watched).unwrap();
    assert_eq!(pacing, Pacing::of(Level::High, Default::default()), "and it ends by itself");
}

#[test]
fn a_dying_phone_is_the_first_to_give_way_and_harms_nobody() {
    let mut lab = fleet(10);
    let dying = lab.watch_all(QualityChoice::Auto);
    lab.attend(dying, Attention { battery: Battery::Critical, ..Attention::default() });
    let well = lab.watch_all(QualityChoice::Auto);
    live(&mut lab, 10, 3_000, |lab| {
        let cut = lab.granted(dying).is_some_and(|grant| grant.rest < Quality::Medium);
        Some(pressed(Resource::Tick, if cut { 0.7 } else { 1.1 }))
    });
    let rest = |viewer| lab.granted(viewer).map_or(Quality::High, |grant| grant.rest);
    assert!(rest(dying) < rest(well), "{:?} {:?}", rest(dying), rest(well));
}

#[test]
fn measurements_that_stop_coming_hold_nobody_down() {
    let mut lab = fleet(2);
    let viewer = lab.watch_all(QualityChoice::Auto);
    live(&mut lab, 2, 2_000, |_| Some(pressed(Resource::Tick, 2.0)));
    assert!(lab.granted(viewer).unwrap().rest < Quality::High);
    live(&mut lab, 2, 6_000, |_| None);
    assert_eq!(lab.granted(viewer).unwrap().rest, Quality::High);
}
