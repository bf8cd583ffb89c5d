#!/usr/bin/env python3
"""A device for Sensocto in plain Python: a sine wave at 50 samples a second.

    pip install websockets          # tried with 13.1 and 17.4, Python 3.10 and newer
    python docs/examples/device.py [http://127.0.0.1:4000] [sensor-id]

It speaks Phoenix channels v1 (docs/wire.md, section 1): a message is a JSON object of topic, event,
payload and ref. It joins as a connector, then with one sensor, sends what it measures in batches as
large as the server asks for (`backpressure_config`), and when the line breaks it comes back by
itself with what it has measured meanwhile; what was on its way as the line broke is lost. Replace
`measure` by your own sensor.
"""

import asyncio
import collections
import itertools
import json
import math
import random
import sys
import time

import websockets

RATE_HZ = 50
HEARTBEAT_S = 30
ANSWER_S = 10
KEPT_COUNT_MAX = 60 * RATE_HZ  # a minute: what a device keeps while the server is away
BATCH_COUNT_MAX = 500


def measure(t):
    """The value at unix time t."""
    return round(math.sin(2 * math.pi * 0.5 * t), 4)


class Device:
    def __init__(self, url, sensor_id):
        self.url = url.replace("http", "ws", 1).rstrip("/") + "/socket/websocket"
        self.connector_id = f"{sensor_id}-host"
        self.sensor_id = sensor_id
        self.topic = f"sensocto:sensor:{sensor_id}"
        self.refs = itertools.count(1)
        # Measured and not yet sent. Behind KEPT_COUNT_MAX the oldest goes first.
        self.waiting = collections.deque(maxlen=KEPT_COUNT_MAX)
        self.measured = asyncio.Event()
        # What the server asks for; until it has spoken, what it would ask of a sensor on a screen.
        self.window_s, self.size, self.paused = 0.5, 5, False
        self.sent = 0

    async def run(self):
        measuring = asyncio.create_task(self.measure_for_ever())
        attempt = 0
        try:
            while True:
                self.joined = False
                try:
                    async with websockets.connect(self.url) as line:
                        await self.stream(line)
                except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as why:
                    attempt = 0 if self.joined else attempt + 1
                    wait_s = min(0.1 * 2**attempt, 5) * random.uniform(0.8, 1.2)
                    print(f"{type(why).__name__}: {why}; again in {wait_s:.1f} s", flush=True)
                    await asyncio.sleep(wait_s)
        finally:
            measuring.cancel()

    async def measure_for_ever(self):
        start = time.time()
        for n in itertools.count():
            due = start + n / RATE_HZ
            await asyncio.sleep(max(0, due - time.time()))
            if not self.paused:
                self.waiting.append(
                    {"attribute_id": "sine", "payload": measure(due), "timestamp": round(due * 1000)}
                )
                self.measured.set()

    async def stream(self, line):
        """One connection: joins, then sends and listens until it breaks."""
        await self.join(line, f"sensocto:connector:{self.connector_id}", {
            "connector_id": self.connector_id,
            "connector_name": "Python example",
            "connector_type": "example",  # `python` is the SDK, which cannot read `system_load`
            "features": [],
            "bearer_token": "missing",  # good on a server with --auth dev
        })
        await self.join(line, self.topic, {
            "connector_id": self.connector_id,
            "connector_name": "Python example",
            "sensor_id": self.sensor_id,
            "sensor_name": "Sine",
            "sensor_type": "numeric",
            "attributes": [
                {"attribute_id": "sine", "attribute_type": "numeric", "sampling_rate": RATE_HZ}
            ],
            "sampling_rate": RATE_HZ,
            "batch_size": 1,
            "bearer_token": "missing",
        })
        self.joined = True
        print(f"joined {self.topic}", flush=True)
        jobs = [asyncio.create_task(job(line)) for job in (self.send, self.listen, self.beat)]
        try:
            # None of them ends but with an error, which is ours.
            await asyncio.gather(*jobs)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def push(self, line, topic, event, payload):
        ref = str(next(self.refs))
        await line.send(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref}))
        return ref

    async def join(self, line, topic, params):
        ref = await self.push(line, topic, "phx_join", params)
        while True:
            message = json.loads(await asyncio.wait_for(line.recv(), ANSWER_S))
            if message["event"] == "phx_reply" and message["ref"] == ref:
                break
        if message["payload"]["status"] != "ok":
            reason = message["payload"]["response"].get("reason")
            # These ask for patience; of any other refusal a person must hear.
            if reason in ("busy", "not_owner"):
                raise OSError(f"{topic}: {reason}")
            raise SystemExit(f"{topic} was refused: {reason}")

    async def send(self, line):
        while True:
            # A batch is due when it is full, or when its first sample has waited for a window.
            while self.paused or not self.waiting:
                self.measured.clear()
                await self.measured.wait()
            since = time.monotonic()
            while len(self.waiting) < self.size and time.monotonic() < since + self.window_s:
                self.measured.clear()
                try:
                    left = since + self.window_s - time.monotonic()
                    await asyncio.wait_for(self.measured.wait(), max(0, left))
                except asyncio.TimeoutError:
                    pass
            batch = list(itertools.islice(self.waiting, BATCH_COUNT_MAX))
            if len(batch) == 1:
                await self.push(line, self.topic, "measurement", batch[0])
            else:
                await self.push(line, self.topic, "measurements_batch", batch)
            for _ in batch:
                self.waiting.popleft()
            self.sent += len(batch)

    async def listen(self, line):
        async for text in line:
            message = json.loads(text)
            event, payload = message["event"], message["payload"]
            if event == "backpressure_config":
                self.window_s = payload["recommended_batch_window"] / 1000
                self.size = payload["recommended_batch_size"]
                self.paused = payload["paused"]
                self.measured.set()
                print(f"attention {payload['attention_level']}: batches of {self.size}, "
                      f"at most {self.window_s} s; {self.sent} sent so far", flush=True)
            elif event == "phx_reply" and payload["status"] == "error":
                print("the server says", payload["response"], flush=True)
            elif event in ("phx_error", "phx_close"):
                raise OSError(f"the channel ended: {event}")
        raise OSError("the server closed the connection")

    async def beat(self, line):
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self.push(line, "phoenix", "heartbeat", {})


if __name__ == "__main__":
    url, sensor_id = (sys.argv[1:] + ["http://127.0.0.1:4000", "sine-1"][len(sys.argv) - 1:])[:2]
    try:
        asyncio.run(Device(url, sensor_id).run())
    except KeyboardInterrupt:
        pass
