#!/usr/bin/env python3
"""Writes the seed corpora of the fuzz targets to fuzz/seeds/, from the conformance cases and by hand."""
import glob
import json
import os
import random

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def client_frame(first, payload):
    length = len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 1 << 16:
        head = bytes([first, 0xFE]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, 0xFF]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


def requests():
    seen = set()
    for path in sorted(glob.glob(f"{ROOT}/conformance/cases*/*.jsonl")):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if not line.startswith("{"):
                    continue
                step = json.loads(line)
                if "send" not in step:
                    continue
                data = step["data"] if isinstance(step["data"], str) else json.dumps(step["data"])
                shape = (step["send"], len(data) // 64)
                if shape not in seen:
                    seen.add(shape)
                    yield json.dumps({"id": "m1", "type": step["send"], "data": data}).encode()


def readers():
    """As fuzz/fuzz_targets/reader.rs takes them: messages, data of messages, and choices."""
    kinds = ["ins", "qry", "qdoc", "cols", "ddoc", "dcol", "drec", "dmrec", "drrng", "sval", "gval", "gvalues", "gvals",
             "gkeys", "rval"]
    for message in requests():
        yield b"\0" + message
        message = json.loads(message)
        if message["type"] in kinds:
            yield bytes([1, kinds.index(message["type"]), 0]) + message["data"].encode()
    choices = random.Random(1)
    for length in range(20, 420, 20):
        yield b"\2" + choices.randbytes(length)


def handshakes():
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    yield f"GET /?api-key=a+b%20c&name=n HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode()
    yield f"GET /x HTTP/1.1\r\nAuthorization: Bearer key\r\n{upgrade}\r\nrest".encode()
    yield b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    yield b"GET / HTTP/1.1\r\n\r\n"


def frames():
    yield b"\x01" + client_frame(0x81, b'{"id":"1"}')
    yield b"\x03" + client_frame(0x01, b"gr\xc3") + client_frame(0x89, b"p") + client_frame(0x80, b"\xbcn")
    yield b"\x07" + client_frame(0x82, bytes(300)) + client_frame(0x88, b"\x03\xe8bye")
    yield b"\x40" + client_frame(0x81, b"x" * 70000)
    yield b"\x02" + client_frame(0x8A, b"") + client_frame(0x88, b"")


def main():
    for target, seeds in (("frame", frames()), ("handshake", handshakes()), ("reader", readers()), ("request", requests())):
        folder = f"{ROOT}/fuzz/seeds/{target}"
        os.makedirs(folder, exist_ok=True)
        for number, seed in enumerate(seeds):
            with open(f"{folder}/{number:02}", "wb") as file:
                file.write(seed)


if __name__ == "__main__":
    main()
