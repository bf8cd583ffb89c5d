//! `cargo run --release -p benches --bin bio`: what the biological layer costs. With `simulated`:
//! how novelty fares on every model of the simulator. With `FILE RATE_HZ`: on a recording, one
//! value a line behind a head.

use std::io::{Error, Write};

use benches::bio;
use simulator::signal::models;
use systems::bio::novelty::{Detector, Settings};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    match &arguments[..] {
        [] => costs(&mut out),
        [word] if word == "simulated" => simulated(&mut out),
        [file, rate_hz] => {
            let rate_hz =
                rate_hz.parse().map_err(|_| Error::other("the rate is a number in Hz"))?;
            recorded(&mut out, file, rate_hz)
        }
        _ => Err(Error::other("usage: bio [simulated | FILE RATE_HZ]")),
    }
}

/// The run in the middle of three.
fn median(run: impl Fn() -> bio::Cost) -> bio::Cost {
    let mut runs = [run(), run(), run()];
    runs.sort_by(|a, b| a.ours.total_cmp(&b.ours));
    runs[1]
}

fn costs(out: &mut impl Write) -> std::io::Result<()> {
    for (streams, batch) in
        [(1, 25), (1_000, 1), (1_000, 5), (1_000, 25), (100_000, 1), (100_000, 5)]
    {
        let cost = median(|| bio::novelty(streams, batch, 4_000_000));
        writeln!(
            out,
            "novelty, {streams:6} streams, {batch:2} samples a batch: {:5.1} ns a sample ({:4.1} \
             for mean and variance alone)",
            cost.ours, cost.plain
        )?;
    }
    for (count, weights) in [(100, 100), (10_000, 10_000), (100_000, 12), (100_000, 100_000)] {
        let cost = median(|| bio::arbitration(count, weights));
        writeln!(
            out,
            "arbitration, {count:6} demands of {weights:6} weights: {:7.3} ms ({:6.3} to sort \
             as many)",
            cost.ours / 1e6,
            cost.plain / 1e6
        )?;
    }
    for sensors in [1_000, 16_000, 100_000] {
        let (look, outlook) = bio::forecast(sensors, 200_000);
        writeln!(
            out,
            "forecast, {sensors:6} sensors: {look:5.0} ns a look, {outlook:5.0} ns an outlook"
        )?;
    }
    Ok(())
}

fn simulated(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "| model | Hz | alarms an hour | half the range | all of it | stuck |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for model in models() {
        let Some(figures) = bio::simulated(model, 8, 2.0) else { continue };
        writeln!(
            out,
            "| {} | {:.4} | {:.2} | {:.0} % | {:.0} % | {:.0} % |",
            model.name,
            model.rate_hz,
            figures.alarms_per_hour,
            100.0 * figures.half,
            100.0 * figures.whole,
            100.0 * figures.stuck,
        )?;
    }
    Ok(())
}

fn recorded(out: &mut impl Write, file: &str, rate_hz: f64) -> std::io::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let samples: Vec<(f64, f64)> = (text.lines().skip(1).enumerate())
        .filter_map(|(n, line)| Some((n as f64 / rate_hz, line.trim().parse().ok()?)))
        .collect();
    let (mut detector, settings) = (Detector::default(), Settings::default());
    for &sample in &samples {
        if let Some(alarm) = detector.observe(&settings, [sample]) {
            writeln!(out, "{:8.2} s: {:?}, z {:.1}", alarm.at_s, alarm.kind, alarm.z())?;
        }
    }
    let seconds = samples.len() as f64 / rate_hz;
    let starts: Vec<f64> =
        (0..).map(|n| 35.0 + 4.7 * f64::from(n)).take_while(|s| *s < seconds - 11.0).collect();
    let mut found = [0.0; 3];
    for &from_s in &starts {
        for (sum, one) in found.iter_mut().zip(bio::injected(&samples, from_s, 10.0)) {
            *sum += 100.0 * one / starts.len() as f64;
        }
    }
    let [half, whole, stuck] = found;
    writeln!(
        out,
        "{seconds:.0} s; of {} events each: half the range {half:.0} %, all of it {whole:.0} %, \
         stuck {stuck:.0} %",
        starts.len()
    )
}
