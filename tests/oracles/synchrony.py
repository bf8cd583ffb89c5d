"""Do SciPy, NeuroKit2, multiSyncPy and HyPyP, which none of us wrote, read what we read?

    pip install numpy scipy neurokit2 multiSyncPy hypyp
    cargo build --release
    python3 tests/oracles/synchrony.py target/release/sensocto [RECORDINGS] [CASES]

Every case in the folder of cases (tests/vectors/synchrony unless said otherwise) goes through `sensocto synchrony` in all three tiers and is held
against SciPy's acausal reference, computed anew here, and against the tolerances of its meta.json;
Phase-locking values are held against HyPyP's on SciPy's phases. R-peaks of real ECG are held against
NeuroKit2's within 50 ms, and RMSSD and SDNN against its own on the same peaks. Exits with 1 if
anything is not as it should be.
"""

import csv
import io
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from scipy import signal

FS = 10
EDGE = 150
TIERS = {
    "confirmed": "confirmed_latency_le_8s",
    "prompt": "prompt_latency_le_3s",
    "live": "live_latency_le_1s",
}
failed = False


def check(holds, what):
    global failed
    failed |= not holds
    print(f"{what} {'agrees' if holds else 'DIFFERS'}")


def run(*arguments):
    """The comments and the rows of a command of ours."""
    text = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    lines = text.splitlines()
    comments = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    rows = csv.DictReader(io.StringIO("\n".join(line for line in lines if not line.startswith("#"))))
    return comments, list(rows)


def peak_hz(x):
    hz, power = signal.welch(x - x.mean(), FS, nperseg=min(600, len(x)))
    band = (hz >= 0.08) & (hz <= 0.5)
    return hz[band][np.argmax(power[band])]


def analytic(x):
    """The reference: a zero-phase Butterworth band-pass around the group's rhythm, and Hilbert."""
    group = np.median([peak_hz(x[:, k]) for k in range(x.shape[1])])
    out = []
    for k in range(x.shape[1]):
        own = peak_hz(x[:, k])
        centre = group if 0.75 <= own / group <= 1.33 else own
        sos = signal.butter(3, [0.6 * centre, 1.5 * centre], "bandpass", fs=FS, output="sos")
        out.append(signal.hilbert(signal.sosfiltfilt(sos, signal.detrend(x[:, k]))))
    z = np.stack(out, 1)
    return z / np.abs(z)


def errors(binary, path, reference, tier):
    """|R - reference| after shifting by the declared latency, and how many of those that are due."""
    comments, rows = run(binary, "synchrony", str(path), "--rate", str(FS), "--tier", tier)
    latency = float(comments["latency_s"])
    off, due = [], 0
    for row in rows:
        k = round((float(row["t"]) - latency) * FS)
        if EDGE <= k < len(reference) - EDGE and not np.isnan(reference[k]):
            due += 1
            if row["R"]:
                off.append(abs(float(row["R"]) - reference[k]))
    return np.array(off), due


def made_up(binary, folder):
    from hypyp.analyses import compute_sync

    for case in sorted(path.parent for path in folder.glob("*/input.csv")):
        x = np.genfromtxt(case / "input.csv", delimiter=",", skip_header=1)[:, 1:]
        meta = json.loads((case / "meta.json").read_text())
        z = analytic(x)
        reference = np.abs(z.mean(1))
        table = np.genfromtxt(case / "expected.csv", delimiter=",", skip_header=1)
        at = np.round(table[:, 0] * FS).astype(int)
        stored = np.full(len(x), np.nan)
        stored[at] = table[:, 2]
        off = np.abs(reference - stored)[EDGE:-EDGE]
        check(np.nanmedian(off) < 0.003, f"{case.name:22} our SciPy and theirs")
        for tier, key in TIERS.items():
            off, due = errors(binary, case / "input.csv", stored, tier)
            limit = meta["tolerances"][key]
            median, p95 = np.median(off), np.quantile(off, 0.95)
            holds = len(off) == due and median <= limit["median_abs"] and p95 <= limit["p95_abs"]
            check(holds, f"{case.name:22} {tier:9} median {median:.4f} p95 {p95:.4f} of {len(off)}/{due}")
        if x.shape[1] == 2:
            _, pairs = run(binary, "synchrony", str(case / "input.csv"), "--rate", str(FS), "--pairs")
            both = np.stack([z[EDGE:-EDGE, k][None, None, None, :] for k in range(2)])
            theirs = float(np.squeeze(compute_sync(both, "plv"))[0, 1])
            ours = float(pairs[0]["plv"])
            lag, correlated = float(pairs[0]["lag_s"]), float(pairs[0]["correlation_lag_s"])
            check(abs(ours - theirs) < 0.02, f"{case.name:22} PLV ours {ours:.4f} HyPyP {theirs:.4f}, lag {lag:.2f} {correlated:.2f} s")


def hearts(binary, recordings):
    import neurokit2 as nk

    for name, rate in [("ecg_360hz_mv.csv", 360), ("ecg_1000hz_adc.csv", 1000)]:
        path = recordings / name
        if not path.exists():
            continue
        ecg = np.genfromtxt(path, skip_header=1)
        comments, rows = run(binary, "heart", str(path), "--rate", str(rate))
        ours = np.array([float(row["t"]) for row in rows])
        _, found = nk.ecg_peaks(nk.ecg_clean(ecg, sampling_rate=rate), sampling_rate=rate)
        theirs = np.asarray(found["ECG_R_Peaks"]) / rate
        hits = sum(np.abs(ours - t).min() <= 0.05 for t in theirs)
        f1 = 2 * hits / (len(ours) + len(theirs))
        check(f1 >= 0.99, f"{name:22} R-peaks ours {len(ours)} NeuroKit2 {len(theirs)} F1 {f1:.4f}")
        # As found, and corrected: on the same peaks, to the microsecond.
        peaks = np.round(ours * 1e6).astype(int)
        _, fixed = nk.signal_fixpeaks(peaks, sampling_rate=1_000_000, iterative=True, method="Kubios")
        for prefix, beats in [("uncorrected_", peaks), ("", np.asarray(fixed))]:
            hrv = nk.hrv_time({"RRI": np.diff(beats) / 1e3, "RRI_Time": beats[1:] / 1e6})
            for key, their in [("rmssd_ms", "HRV_RMSSD"), ("sdnn_ms", "HRV_SDNN")]:
                a, b = float(comments[prefix + key]), float(hrv[their].iloc[0])
                check(abs(a / b - 1) < 1e-3, f"{name:22} {prefix + key} ours {a:.3f} NeuroKit2 {b:.3f}")
        print(f"{name:22} {float(comments['corrected_share']):.1%} of beats corrected")


def main():
    warnings.filterwarnings("ignore")
    binary = sys.argv[1]
    own = pathlib.Path(__file__).parent.parent / "vectors" / "synchrony"
    made_up(binary, pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else own)
    if len(sys.argv) > 2:
        recordings = pathlib.Path(sys.argv[2])
        hearts(binary, recordings)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
