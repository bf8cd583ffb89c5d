#!/usr/bin/env python3
"""Every sample of a Sensocto recording as CSV: sensor_id, attribute_id, timestamp, payload.

Needs only the PyPI package `mcap`, which unpacks with `zstandard`. The format is in
docs/recording.md.

    python3 read_recording.py few.mcap > few.csv
"""

import csv
import json
import struct
import sys

from mcap.reader import make_reader


class Bytes:
    """Reads from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("the block ends before its time")
        self.at += n
        return self.data[self.at - n : self.at]

    def v(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def s(self):
        value = self.v()
        return (value >> 1) ^ -(value & 1)


def wrapped(number):
    """As a 64-bit number in two's complement."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def cell(bits):
    """What a cell of eight bytes says."""
    if bits >> 50 == 0x3FFF:
        low = bits & ((1 << 50) - 1)
        return low - (1 << 50) if low >> 49 else low
    if bits >> 48 == 0xFFF9:
        return (None, False, True)[bits & 3]
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def planes(b, count, width):
    """`count` numbers of `width` bytes, the lowest bytes first."""
    data = b.take(count * width)
    return [
        sum(data[byte * count + n] << (8 * byte) for byte in range(width))
        for n in range(count)
    ]


def lane(b, count):
    kind = b.take(1)[0]
    number, cells = 0, []
    if kind <= 15 or kind == 32:
        for _ in range(count):
            number = wrapped(number + b.s())
            cells.append(number / 10.0**kind if kind <= 15 else number)
        return cells
    if kind == 33:
        return [cell(bits) for bits in planes(b, count, 8)]
    if kind == 34:
        return [
            struct.unpack("<f", struct.pack("<I", bits))[0]
            for bits in planes(b, count, 4)
        ]
    if kind != 35:
        raise ValueError(f"a lane of kind {kind}")
    decimals = b.v()
    kinds = b.take(count)
    numbers = []
    for _ in range(sum(k <= 1 for k in kinds)):
        number = wrapped(number + b.s())
        numbers.append(number)
    raw = iter(planes(b, sum(k == 2 for k in kinds), 8))
    numbers = iter(numbers)
    for k in kinds:
        if k == 0:
            cells.append(next(numbers) / 10.0**decimals)
        elif k == 1:
            cells.append(next(numbers) // 10**decimals)
        elif k == 2:
            cells.append(cell(next(raw)))
        else:
            cells.append({3: None, 4: False, 5: True}[k])
    return cells


def samples(data):
    """Ticks of a block, each with its samples: (tick, [(feed, index, timestamp, payload)])."""
    b = Bytes(data)
    first_tick, _now, tick_count, _spoken = b.v(), b.v(), b.v(), b.v()
    counts = []
    while len(counts) < tick_count:
        ticks, _step, each = b.v(), b.v(), b.v()
        counts += [each] * ticks
    for _ in range(b.v()):  # busy viewers
        b.v()
        for _ in range(b.v()):
            b.s(), b.v()
    hashes = b.v()
    for _ in range(hashes):
        b.v()
    b.take(4 * hashes)
    shapes = [b.take(b.v()).decode().split("\x01") for _ in range(b.v())]

    streams = range(b.v())
    slot, slots = 0, []
    for _ in streams:
        slot += b.s()
        slots.append(slot)
    generations = [b.v() for _ in streams]
    indices = [b.v() for _ in streams]
    sizes = [b.v() for _ in streams]
    forms = []
    for n in streams:
        runs, left = [], sizes[n]
        while left:
            runs.append((b.v(), b.v()))
            left -= runs[-1][1]
        forms.append(runs)
    first = step = 0
    stamps = []
    for n in streams:
        first = wrapped(first + b.s())
        mine = [first]
        for _ in range(sizes[n] - 1):
            step = wrapped(step + b.s())
            mine.append(wrapped(mine[-1] + step))
        stamps.append(mine)
    payloads, texts = [], []
    for n in streams:
        mine = []
        for form, count in forms[n]:
            if form == 1:
                texts += [(n, len(mine) + k) for k in range(count)]
                mine += [None] * count
            elif form == 0:
                mine += [json.dumps(value) for value in lane(b, count)]
            else:
                pieces = shapes[form - 2]
                lanes = [lane(b, count) for _ in pieces[1:]]
                for k in range(count):
                    text = pieces[0]
                    for leaf, piece in zip(lanes, pieces[1:]):
                        text += json.dumps(leaf[k]) + piece
                    mine.append(text)
        payloads.append(mine)
    order, behind, expected = [], {}, 0
    for _ in range(sum(sizes)):
        stream = expected + b.s()
        if order:
            behind[order[-1]] = stream
        order.append(stream)
        expected = behind.get(stream, stream + 1)
    lengths = [(b.v(), b.v()) for _ in texts]
    for (n, k), (payload, extra) in zip(texts, lengths):
        payloads[n][k] = b.take(payload).decode()
        b.take(extra)  # members of the measurement besides its payload
    if b.at != len(data):
        raise ValueError("the block goes on behind its end")

    at, came = [0] * len(sizes), 0
    for tick, count in enumerate(counts, first_tick):
        those = []
        for n in order[came : came + count]:
            feed = (slots[n], generations[n])
            those.append((feed, indices[n], stamps[n][at[n]], payloads[n][at[n]]))
            at[n] += 1
        came += count
        yield tick, those


def main(path):
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["sensor_id", "attribute_id", "timestamp", "payload"])
    sensor_of, attribute_of = {}, {}

    def hear(words):
        for command in words["commands"]:
            if command["do"] == "open_feed":
                sensor_of[tuple(command["feed"])] = command["card"]["sensor_id"]
            elif command["do"] == "declare_attribute":
                key = (tuple(command["feed"]), command["index"])
                attribute_of[key] = command["attribute_id"]

    with open(path, "rb") as file:
        reader = make_reader(file)
        for attachment in reader.iter_attachments():
            if attachment.name == "devices.json":
                hear(json.loads(attachment.data))
        said = {}
        # In the order of the file: the words of a block, then the block.
        for _, channel, message in reader.iter_messages(log_time_order=False):
            if channel.topic == "/commands":
                words = json.loads(message.data)
                said[words["tick"]] = words
            elif channel.topic == "/samples":
                for tick, those in samples(message.data):
                    if tick in said:
                        hear(said.pop(tick))
                    for feed, index, timestamp, payload in those:
                        key = (feed, index)
                        sensor, attribute = sensor_of.get(feed), attribute_of.get(key)
                        out.writerow([sensor, attribute, timestamp, payload])


if __name__ == "__main__":
    main(sys.argv[1])
