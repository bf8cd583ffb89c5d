"""Does SciPy, which none of us wrote, read from a session what our report says?

    pip install numpy scipy
    python3 docs/examples/synchrony_report.py DIR [RAW.csv]

DIR has a report: report.json, report.csv and signals.csv, as `sensocto synchrony FILE --report DIR`
writes them and the page of a session offers them. Every figure but the surrogates' is computed anew
from signals.csv and compared to its printed digits. With RAW.csv, the recording itself (`t,s0,s1,...`,
t in seconds), signals.csv is computed from it first and compared, too. Exits with 1 if anything differs.

What is taken from the report as it stands: which steps of whom were measurable (the empty fields of
report.csv), and the middle of each one's band.
"""

import csv
import json
import pathlib
import sys

import numpy as np
from scipy import fft, signal

RATE = 10.0
EDGE = 75
BAND = (0.6, 1.5)
WINDOW = 300
COMMON = 600
failed = 0


def same(what, ours, theirs, digits):
    """Both rounded to as many digits, give or take the last."""
    global failed
    ours, theirs = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
    off = np.abs(ours - theirs)
    good = ours.shape == theirs.shape and bool(
        np.all((np.isnan(ours) & np.isnan(theirs)) | (off <= 1.01 * 10.0**-digits))
    )
    failed += not good
    worst = 0.0 if np.all(np.isnan(off)) else np.nanmax(off)
    print(f"{'agrees ' if good else 'DIFFERS'} {what}: {ours.size} values, worst {worst:.1e}")


def table(path):
    rows = list(csv.reader(path.open(newline="")))
    number = lambda field: float(field) if field else np.nan
    return rows[0], np.array([[number(field) for field in row] for row in rows[1:]])


def grid(t, x, first, steps):
    """Cells of a tenth of a second: means over the straight lines between samples."""
    there = ~np.isnan(x)
    t, x = t[there], x[there]
    edges = (first + np.arange(steps + 1) - 0.5) / RATE
    points = np.union1d(t, edges)
    values = np.interp(points, t, x)
    whole = np.concatenate([[0], np.cumsum(np.diff(points) * (values[1:] + values[:-1]) / 2)])
    cells = np.diff(np.interp(edges, points, whole)) * RATE
    outside = (edges[:-1] < t[0]) | (edges[1:] > t[-1])
    return np.where(outside, np.nan, cells)


def analytic(x, centre):
    """A third-order Butterworth band-pass run both ways, and Hilbert, in one go."""
    n = len(x)
    at = np.flatnonzero(~np.isnan(x))
    x = signal.detrend(np.interp(np.arange(n), at, x[at]))
    sos = signal.butter(3, [BAND[0] * centre, BAND[1] * centre], "bandpass", fs=RATE, output="sos")
    hz = np.arange(n + 1) * RATE / (2 * n)
    _, response = signal.sosfreqz(sos, hz, fs=RATE)
    gain = np.abs(response) ** 2
    gain[0] = gain[-1] = 0
    one_sided = np.zeros(2 * n, complex)
    one_sided[: n + 1] = 2 * fft.rfft(x, 2 * n) * gain
    return fft.ifft(one_sided)[:n]


def wrapped(angle):
    return np.angle(np.exp(1j * angle))


def correlation_lag(a, b, hz):
    """The highest peak of the cross-correlation within half a cycle."""
    reach = int(np.floor(0.5 * RATE / hz + 0.5))
    n = len(a)
    values = []
    for shift in range(-reach - 1, reach + 2):
        x = a[max(0, -shift) : n - max(0, shift)]
        y = b[max(0, -shift) + shift : n - max(0, shift) + shift]
        there = ~np.isnan(x) & ~np.isnan(y)
        x, y = x[there].real, y[there].real
        energy = np.sqrt(np.sum(x**2) * np.sum(y**2))
        if 2 * there.sum() < n - abs(shift) or energy <= 0:
            return np.nan
        values.append(np.sum(x * y) / energy)
    inner = np.array(values[1:-1])
    best = len(inner) - np.argmax(inner[::-1])
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5) if bend < 0 else 0.0
    return (best - 1 - reach + shift) / RATE


def upper_median(values):
    values = np.sort(values)
    return values[len(values) // 2] if len(values) else np.nan


def main(directory, raw=None):
    directory = pathlib.Path(directory)
    report = json.loads((directory / "report.json").read_text())
    names, signals = table(directory / "signals.csv")
    _, series = table(directory / "report.csv")
    signals = signals[:, 1:]
    steps, n = signals.shape
    if raw:
        _, rows = table(pathlib.Path(raw))
        first = report["begin_ms"] * RATE / 1000
        anew = [grid(rows[:, 0], rows[:, 1 + k], first, steps) for k in range(n)]
        anew = np.array(anew, np.float32).T
        both = ~np.isnan(anew) & ~np.isnan(signals)
        scale = np.nanmax(np.abs(signals))
        same("signals.csv, of its scale", anew[both] / scale, signals[both] / scale, 6)
    z = np.full((steps, n), np.nan, complex)
    for k, person in enumerate(report["people"]):
        centre = person["centre_hz"]
        if centre is not None and steps > 2 * EDGE:
            z[:, k] = analytic(signals[:, k], centre)
    z = z / np.abs(z)
    z[np.isnan(series[:, 5:])] = np.nan
    same("phases", wrapped(np.angle(z) - series[:, 5:])[~np.isnan(z)], 0 * series[:, 5:][~np.isnan(z)], 6)

    there = ~np.isnan(z)
    count = there.sum(1)
    same("measurable", count, series[:, 4], 6)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(count >= 2, np.abs(np.nansum(z, 1)) / count, np.nan)
        kappa = (count * r**2 - 1) / (count - 1)
    same("R", r, series[:, 1], 6)
    same("kappa", kappa, series[:, 2], 6)
    group = report["group"]
    measured = count >= 2
    same("measured_s", measured.sum() / RATE, group["measured_s"], 6)
    if measured.any():
        same("mean_r", np.nanmean(r), group["mean_r"], 6)
        same("mean_kappa", np.nanmean(kappa), group["mean_kappa"], 6)
        above = np.mean(r[measured] > series[measured, 3])
        same("above_null95_share", above, group["above_null95_share"], 2)

    complete = there.all(1)
    if complete.any() and group["cluster"] is not None:
        runs = z[complete]
        middle = np.exp(1j * np.angle(runs.mean(1)))
        relative = runs * middle.conj()[:, None]
        places = relative.mean(0)
        same("cluster of each", np.abs(places), [p["cluster"] for p in report["people"]], 6)
        own = np.exp(-1j * np.angle(places))
        same("cluster", np.abs((relative * own).mean(1)).mean(), group["cluster"], 6)

    turns = wrapped(np.angle(z[1:]) - np.angle(z[:-1]))
    hz = upper_median(turns[~np.isnan(turns)]) * RATE / (2 * np.pi)
    for pair in report["pairs"]:
        a, b = z[:, pair["a"]], z[:, pair["b"]]
        both = ~np.isnan(a) & ~np.isnan(b)
        name = f"{pair['a'] + 1} and {pair['b'] + 1}"
        same(f"{name} common_s", both.sum() / RATE, pair["common_s"], 6)
        if both.sum() < COMMON:
            continue
        mean = np.mean(a[both] * b[both].conj())
        same(f"{name} plv", np.abs(mean), pair["plv"], 6)
        same(f"{name} lag_s", np.angle(mean) / (2 * np.pi * hz), pair["lag_s"], 5)
        windows = range(0, steps - WINDOW + 1, WINDOW)
        lags = [correlation_lag(a[w : w + WINDOW], b[w : w + WINDOW], hz) for w in windows]
        lags = [lag for lag in lags if not np.isnan(lag)]
        if pair["correlation_lag_s"] is not None:
            same(f"{name} correlation_lag_s", upper_median(lags), pair["correlation_lag_s"], 5)
    print("everything agrees" if not failed else f"{failed} DIFFER")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
