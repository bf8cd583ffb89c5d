//! Load over real sockets against the whole server: everything arrives and is true, and whoever
//! lies, loses or repeats is found out.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use components::command::Attention;
use components::viewer::Quality;
use server::config::Given;
use server::house::House;
use simulator::Address;
use simulator::crowd::{CrowdSpec, Form, NEVER_S, Network};
use simulator::fault::{FaultKind, FaultPlan, FaultSpec};
use simulator::load::dialect::{Answer, Dialect, Ear, Guest, Heard, How, Said, Sample};
use simulator::load::figures::Count;
use simulator::load::sensocto::Sensocto;
use simulator::load::world::{Scale, World};
use simulator::load::{Observed, Plan, Report, drive};
use simulator::scenario::Scenario;

async fn house(auth: &str) -> House {
    let mut given = Given::default();
    for (key, value) in
        [("listen", "127.0.0.1:0"), ("simulate", "none"), ("load", "normal"), ("auth", auth)]
    {
        given.flag(key, value).unwrap();
    }
    House::open(given.check().unwrap()).await.unwrap()
}

fn sensocto(house: &House) -> Sensocto {
    Sensocto {
        address: Address::parse(&house.address.to_string()).unwrap(),
        token: "missing".into(),
        viewer_token: "missing".into(),
    }
}

fn plan(viewers: usize, form: Form) -> Plan {
    Plan {
        viewers,
        watch: 32,
        point: 0,
        dim_every: 0,
        quality: Quality::High,
        form,
        crowds: Vec::new(),
        seed: 1,
        warmup: Duration::from_secs(1),
        period: Duration::from_secs(2),
        batch: None,
        obey: false,
        surge: None,
    }
}

fn few() -> World {
    World::of_scenario(&Scenario::find("few", None).unwrap(), 1, Scale::ONE)
}

async fn run(
    house: &House,
    dialect: impl Dialect + 'static,
    world: World,
    plan: Plan,
) -> Result<Report, String> {
    let metrics = Some(house.address.to_string());
    tokio::task::spawn_blocking(move || {
        let observed = Observed { metrics, ..Observed::default() };
        drive(&(Arc::new(dialect) as Arc<dyn Dialect>), &Arc::new(world), &plan, &observed)
    })
    .await
    .unwrap()
}

const LOSSES: [Count; 5] =
    [Count::NotTaken, Count::Missed, Count::Gaps, Count::Doubled, Count::Wrong];

fn counts<const N: usize>(report: &Report, counts: [Count; N]) -> [u64; N] {
    counts.map(|count| report.total.of(count))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scenario_arrives_whole_and_true_in_both_forms() {
    let house = house("dev").await;
    for form in [Form::Json, Form::Binary] {
        let report = run(&house, sensocto(&house), few(), plan(2, form)).await.unwrap();
        assert_eq!(counts(&report, LOSSES), [0; 5], "{form:?}: {}", report.text());
        // Eight people, an ECG at 250 Hz and a belt at 25 Hz each, two viewers, two seconds.
        let whole = report.total.of(Count::Delivered);
        assert!((8_000..10_000).contains(&whole), "{form:?}: {whole}");
        assert!(report.total.of(Count::Latest) > 100, "what is not a waveform comes as the latest");
        assert_eq!(report.total.of(Count::Sent), report.total.of(Count::Offered));
        let (accepted, sent) = (report.accepted.unwrap(), report.total.of(Count::Sent) as f64);
        assert!((accepted / sent - 1.0).abs() < 0.5, "{accepted} of {sent}");
        assert!(report.rows.len() >= 3 && report.rows[1].devices == 8);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_arrive_as_whole_as_samples_one_by_one() {
    let house = house("dev").await;
    let batch = Plan { batch: Some(Duration::from_millis(100)), ..plan(1, Form::Binary) };
    let obey = Plan { obey: true, ..plan(1, Form::Json) };
    for plan in [batch, obey] {
        let report = run(&house, sensocto(&house), few(), plan).await.unwrap();
        assert_eq!(counts(&report, LOSSES)[..4], [0; 4], "{}", report.text());
        assert_eq!(report.total.of(Count::Wrong), 0);
        assert!(report.total.of(Count::Delivered) > 3000);
    }
    house.close().await;
}

/// Speaks the truth but for one sample in a hundred.
struct Liar {
    inner: Sensocto,
    lie: Lie,
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    Alters,
    Drops,
    Doubles,
}

struct LyingEar {
    inner: Box<dyn Ear>,
    lie: Lie,
    told: u64,
}

impl Dialect for Liar {
    fn open_device(&self, world: &World, device: usize) -> Result<TcpStream, String> {
        self.inner.open_device(world, device)
    }

    fn write(&self, world: &World, samples: &[Sample<'_>], wire: &mut Vec<u8>) {
        self.inner.write(world, samples, wire);
    }

    fn heartbeat(&self, wire: &mut Vec<u8>) {
        self.inner.heartbeat(wire);
    }

    fn garbage(&self, world: &World, sensor: usize, chance: u64, wire: &mut Vec<u8>) {
        self.inner.garbage(world, sensor, chance, wire);
    }

    fn answers(
        &self,
        world: &World,
        wire: &[u8],
        answered: &mut dyn FnMut(Answer),
    ) -> Result<usize, String> {
        self.inner.answers(world, wire, answered)
    }

    fn open_viewer(
        &self,
        world: &World,
        guest: &Guest,
    ) -> Result<(TcpStream, Box<dyn Ear>), String> {
        let (stream, inner) = self.inner.open_viewer(world, guest)?;
        Ok((stream, Box::new(LyingEar { inner, lie: self.lie, told: 0 })))
    }
}

impl Ear for LyingEar {
    fn hear(
        &mut self,
        world: &World,
        wire: &[u8],
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<usize, String> {
        let (lie, told) = (self.lie, &mut self.told);
        self.inner.hear(world, wire, &mut |word| {
            let Heard::Sample { stream, unix_ms, how: How::Raw, .. } = word else {
                return heard(word);
            };
            *told += 1;
            match lie {
                _ if *told % 100 != 0 => heard(word),
                Lie::Alters => {
                    let said = Said::Json("0.0042");
                    heard(Heard::Sample { stream, unix_ms, said, how: How::Raw });
                }
                Lie::Drops => {}
                Lie::Doubles => {
                    heard(word);
                    heard(word);
                }
            }
        })
    }

    fn attend(&mut self, attention: &Attention, wire: &mut Vec<u8>) {
        self.inner.attend(attention, wire);
    }

    fn heartbeat(&mut self, wire: &mut Vec<u8>) {
        self.inner.heartbeat(wire);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_alters_loses_or_repeats_is_found_out() {
    let house = house("dev").await;
    for (lie, found) in
        [(Lie::Alters, Count::Wrong), (Lie::Drops, Count::Gaps), (Lie::Doubles, Count::Doubled)]
    {
        let liar = Liar { inner: sensocto(&house), lie };
        let short = Plan { period: Duration::from_secs(1), ..plan(1, Form::Json) };
        let report = run(&house, liar, few(), short).await.unwrap();
        for count in LOSSES {
            let lies = report.total.of(count);
            if count == found {
                assert!((10..40).contains(&lies), "{lie:?}: {lies} of {}", report.text());
            } else {
                assert_eq!(lies, 0, "{lie:?}: {count:?}");
            }
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_with_some_devices_the_others_lose_nothing() {
    let house = house("dev").await;
    let fault = |kind, amount| FaultSpec {
        kind,
        share: 0.5,
        every_s: (0.5, 1.0),
        lasts_s: (0.2, 0.5),
        amount,
    };
    let mut world = World::uniform(40, 2, 50.0, "ecg");
    world.faults = FaultPlan::new(
        &[
            fault(FaultKind::Disconnect, 0.0),
            fault(FaultKind::Garbage, 0.3),
            fault(FaultKind::Duplicate, 0.3),
            fault(FaultKind::Reorder, 0.2),
            fault(FaultKind::Delay, 100.0),
            fault(FaultKind::Skew, 60_000.0),
        ]
        .map(|spec| FaultSpec { share: 0.15, ..spec }),
        3,
    );
    let healthy = (0..40).filter(|device| !world.is_afflicted(*device)).count();
    assert!((5..35).contains(&healthy), "{healthy}");
    let watching_all = Plan { watch: 80, ..plan(2, Form::Json) };
    let report = run(&house, sensocto(&house), world, watching_all).await.unwrap();
    assert_eq!(counts(&report, LOSSES), [0; 5], "{}", report.text());
    for planned in
        [Count::Withheld, Count::Garbage, Count::Repeated, Count::Delayed, Count::FaultyDoubled]
    {
        assert!(report.total.of(planned) > 0, "{planned:?}: {}", report.text());
    }
    assert!(report.total.of(Count::FaultyBroken) > 0, "rubbish costs them their connection");
    assert!(report.total.of(Count::DevicesReopened) > 0, "they come back");
    assert!(!report.total.answers.is_empty(), "and what they were told is counted");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_never_reads_does_not_slow_its_neighbours() {
    let house = house("dev").await;
    let still = CrowdSpec {
        name: "dead".into(),
        count: 3,
        arrive_s: (0.0, 0.0),
        stay_s: NEVER_S,
        network: Network::Dead,
        ..CrowdSpec::default()
    };
    let plan = Plan { crowds: vec![still], ..plan(3, Form::Binary) };
    let world = World::uniform(100, 1, 100.0, "ecg");
    let report = run(&house, sensocto(&house), world, plan).await.unwrap();
    assert_eq!(counts(&report, LOSSES), [0; 5], "{}", report.text());
    assert_eq!(report.total.of(Count::SlowDelivered), 0, "the dead hear nothing");
    // Three viewers, 32 sensors at 100 Hz, two seconds.
    assert!(report.total.of(Count::Delivered) > 18_000, "{}", report.text());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_scrolls_hovers_and_hides_is_never_told_a_wrong_value() {
    let house = house("dev").await;
    let restless = CrowdSpec {
        count: 6,
        watch: 8,
        arrive_s: (0.0, 1.0),
        scroll_s: (0.2, 0.6),
        hover_s: (0.2, 0.6),
        focus_s: (0.3, 0.8),
        hide_s: (0.5, 1.0),
        hidden_s: (0.2, 0.4),
        quality_s: (0.5, 1.0),
        ..CrowdSpec::default()
    };
    let crowds = [Form::Json, Form::Binary].map(|form| CrowdSpec { form, ..restless.clone() });
    let plan = Plan { crowds: crowds.to_vec(), ..plan(0, Form::Json) };
    let report = run(&house, sensocto(&house), few(), plan).await.unwrap();
    let all = report.total.of(Count::Delivered) + report.total.of(Count::Seeded);
    assert!(all > 1000, "{}", report.text());
    assert_eq!(
        counts(&report, [Count::Wrong, Count::Doubled, Count::Gaps]),
        [0; 3],
        "{}",
        report.text()
    );
    assert_eq!(report.total.of(Count::ViewersBroken), 0, "{}", report.text());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_spread_over_processes_adds_up_and_writes_its_reports() {
    let house = house("dev").await;
    let page = std::env::temp_dir().join(format!("sensocto-load-{}.html", std::process::id()));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sensocto"));
    command.args(["load", "few", "--processes", "2", "--viewers", "2", "--watch", "32"]);
    command.args(["--for", "2s", "--warmup", "1s", "--json", "-", "--html"]).arg(&page);
    command.args(["--to", &format!("http://{}", house.address)]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| report["total"][name].as_u64().unwrap();
    let losses = ["not_taken", "missed", "gaps", "doubled", "wrong"].map(of);
    assert_eq!(losses, [0; 5], "{report}");
    // Each viewer hears devices of both processes.
    assert!((8_000..10_000).contains(&of("delivered")), "{}", of("delivered"));
    assert_eq!(report["by_second"][1]["devices"], 8);
    let html = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    assert!(html.contains("few: 8 devices, 32 sensors") && html.ends_with("</html>\n"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_cannot_be_says_why() {
    let strict = house("strict").await;
    let why = run(&strict, sensocto(&strict), few(), plan(1, Form::Json)).await.unwrap_err();
    assert!(why.contains("--bearer-token"), "{why}");
    let nobody = World::uniform(0, 1, 1.0, "ecg");
    let why = run(&strict, sensocto(&strict), nobody, plan(1, Form::Json)).await.unwrap_err();
    assert!(why.contains("--viewer-token"), "{why}");
    strict.close().await;

    let closed = Sensocto {
        address: Address::parse("127.0.0.1:1").unwrap(),
        token: String::new(),
        viewer_token: String::new(),
    };
    let house = house("dev").await;
    let why = run(&house, closed, few(), plan(1, Form::Json)).await.unwrap_err();
    assert!(why.contains("nothing can be reached at 127.0.0.1:1"), "{why}");
    house.close().await;
}
