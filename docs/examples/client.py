"""A client of FluxionDB in plain Python, written from ../protocol.md: python3 client.py HOST:PORT KEY"""
import base64, itertools, json, os, socket, struct, sys, urllib.parse


class Client:
    def __init__(self, address, key):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.input, self.ids = self.socket.makefile("rb"), itertools.count(1)
        self.socket.sendall("\r\n".join([
            f"GET /?api-key={urllib.parse.quote_plus(key)} HTTP/1.1", f"Host: {address}", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "", ""]).encode())
        status, *_ = iter(lambda: self.input.readline().decode().strip(), "")
        if " 101 " not in status:
            raise ConnectionError(f"{status}: {self.input.read().decode()}")
        self.receive()  # ready

    def send_frame(self, opcode, payload):
        size, mask = len(payload), os.urandom(4)
        length = struct.pack(*((">B", size) if size < 126 else (">BH", 126, size) if size < 1 << 16 else (">BQ", 127, size)))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | length[0]]) + length[1:] + mask + masked)

    def receive(self):
        message, last = b"", False
        while not last:
            first, size = self.input.read(2)
            size = int.from_bytes(self.input.read(2 if size == 126 else 8), "big") if size > 125 else size
            payload, opcode = self.input.read(size), first & 0x0F
            if opcode == 8:  # close
                raise ConnectionError(f"{int.from_bytes(payload[:2], 'big')}: {payload[2:].decode()}")
            if opcode == 9:  # ping
                self.send_frame(10, payload)
            elif opcode != 10:
                message, last = message + payload, first & 0x80
        return json.loads(message)

    def call(self, kind, data):
        request = {"id": str(next(self.ids)), "type": kind, "data": json.dumps(data)}
        self.send_frame(1, json.dumps(request).encode())
        reply = self.receive()  # one request at a time, so it is the reply to this one
        if "error" in reply:
            raise ValueError(reply["error"])
        return reply


if __name__ == "__main__":
    client = Client(*sys.argv[1:])
    client.call("ins", [{"col": "plant", "doc": "pump-7", "ts": ts, "data": f"{ts} bar"} for ts in range(10_000)])
    print(client.call("qry", {"col": "plant", "ts": 99, "doc": "/^pump/"})["records"])
    print(len(client.call("qdoc", {"col": "plant", "doc": "pump-7", "to": 9999})["records"]), "records")
