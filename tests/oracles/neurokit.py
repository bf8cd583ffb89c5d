"""Does NeuroKit2, which none of us wrote, find in our ECG and breath what we put there?

    pip install neurokit2 numpy
    SENSOCTO_ORACLE=$PWD/target/oracle cargo test -p simulator --lib oracle -- --ignored
    python3 tests/oracles/neurokit.py target/oracle

(Make the folder first.) For five people: heart rate within 1 bpm, RMSSD within 10 %, breathing
within 0.5 a minute of the truth in truth.csv. Exits with 1 if any is not.
"""

import csv
import sys
import warnings

import neurokit2 as nk
import numpy as np

RATE = 250


def main(folder):
    warnings.filterwarnings("ignore")
    failed = False
    with open(f"{folder}/truth.csv") as file:
        for truth in csv.DictReader(file):
            data = np.genfromtxt(f"{folder}/{truth['seed']}.csv", delimiter=",", names=True)
            cleaned = nk.ecg_clean(data["ecg"], sampling_rate=RATE)
            _, found = nk.ecg_peaks(cleaned, sampling_rate=RATE)
            peaks = refined(data["ecg"], np.asarray(found["ECG_R_Peaks"]))
            rr = np.diff(peaks) / RATE * 1000
            heart_rate = 60_000 / np.mean(rr)
            rmssd = float(nk.hrv_time({"RRI": rr, "RRI_Time": np.cumsum(rr) / 1000})["HRV_RMSSD"].iloc[0])
            breath, info = nk.rsp_process(data["respiration"], sampling_rate=RATE)
            troughs = np.asarray(info["RSP_Troughs"], dtype=float)
            breathing = 60 * RATE * (len(troughs) - 1) / (troughs[-1] - troughs[0])
            figures = [
                ("heart rate", heart_rate, float(truth["heart_rate"]), 1.0),
                ("RMSSD", rmssd, float(truth["rmssd"]), 0.1 * float(truth["rmssd"])),
                ("breathing", breathing, float(truth["breathing_rate"]), 0.5),
            ]
            for name, theirs, ours, tolerance in figures:
                agrees = abs(theirs - ours) <= tolerance
                failed |= not agrees
                verdict = "agrees" if agrees else "DIFFERS"
                print(f"seed {truth['seed']} {name:10} NeuroKit2 {theirs:7.2f} ours {ours:7.2f} {verdict}")
    sys.exit(1 if failed else 0)


def refined(ecg, peaks):
    """NeuroKit2's peaks, to a part of a sample: at 250 Hz half a sample is 2 ms of RMSSD."""
    peaks = peaks[(peaks > 0) & (peaks < len(ecg) - 1)]
    a, b, c = ecg[peaks - 1], ecg[peaks], ecg[peaks + 1]
    bend = a - 2 * b + c
    step = np.divide(0.5 * (a - c), bend, out=np.zeros_like(bend), where=bend != 0)
    return peaks + np.clip(step, -0.5, 0.5)


if __name__ == "__main__":
    main(sys.argv[1])
