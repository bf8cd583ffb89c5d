#!/usr/bin/env python3
"""Positions as fast as a server reads them, from many sensors at once, in plain Python.

    python3 docs/examples/flood.py --port 4000 --sensors 100 --rate 10000 --for 20

sends 10,000 positions a second of 100 sensors over four sockets (a phone sends one a second), and says
what the server answered. Frames are made once and sent again, so that the flood costs its own machine
little. Nothing is needed but Python.
"""
import argparse, base64, json, os, socket, struct, time


def frame(text):
    """A WebSocket text frame of a client; the mask is zeros, which a server must take."""
    data = text.encode()
    if len(data) < 126:
        head = struct.pack("!BB", 0x81, 0x80 | len(data))
    else:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
    return head + bytes(4) + data


def connect(port):
    line = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(
        f"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    while b"\r\n\r\n" not in line.recv(4096):
        pass
    return line


def answers(line, told):
    """Counts the reasons of the errors that have come, without waiting for more."""
    try:
        said = line.recv(1 << 16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    for part in said.split(b'"response":')[1:]:
        if part.startswith(b'{"reason"'):
            reason = part[: part.index(b"}") + 1].decode()
            told[reason] = told.get(reason, 0) + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--sensors", type=int, default=100)
    parser.add_argument("--sockets", type=int, default=4)
    parser.add_argument("--rate", type=float, default=10_000, help="positions a second, of all sensors")
    parser.add_argument("--for", dest="seconds", type=float, default=20)
    args = parser.parse_args()
    lines = [connect(args.port) for _ in range(args.sockets)]
    rounds = [[] for _ in lines]
    for n in range(args.sensors):
        topic, which = f"sensocto:sensor:flood-{n}", n % args.sockets
        params = {"connector_id": f"flood-{which}", "connector_name": "flood", "sensor_id": f"flood-{n}",
                  "sensor_name": f"flood {n}", "sensor_type": "phone", "attributes": ["geolocation"],
                  "sampling_rate": 1, "batch_size": 1, "bearer_token": "missing"}
        lines[which].sendall(frame(json.dumps(["1", "1", topic, "phx_join", params])))
        position = {"attribute_id": "geolocation", "timestamp": int(time.time() * 1000),
                    "payload": {"latitude": 52.5 + n / 1e4, "longitude": 13.4, "accuracy": 5}}
        rounds[which].append(frame(json.dumps(["1", "2", topic, "measurement", position])))
    # A hundredth of a second's worth at once.
    each = max(1, round(args.rate / 100 / args.sockets))
    pieces = [b"".join(frames[i % len(frames)] for i in range(each)) for frames in rounds]
    sent, told, began = 0, {}, time.monotonic()
    while (passed := time.monotonic() - began) < args.seconds:
        if sent > passed * args.rate:
            time.sleep(0.005)
            continue
        for line, piece in zip(lines, pieces):
            line.sendall(piece)
            answers(line, told)
        sent += each * args.sockets
    print(json.dumps({"sent": sent, "per_second": round(sent / args.seconds), "told": told}))


if __name__ == "__main__":
    main()
