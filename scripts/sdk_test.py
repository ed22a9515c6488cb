#!/usr/bin/env python3
"""Runs every public method of the published Python SDKs against the server.

    python3 scripts/sdk_test.py --binary target/release/fluxiondb [--venv target/sdk-venv]

Installs each version of `fluxiondb-client` from PyPI into a virtual environment, starts the server on a free
port for it, and checks what each method returns; then runs `docs/examples/subscribe.py` on the library beneath it.
Prints `N passed, N failed`; exits with 1 if any failed.
"""
import argparse
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import venv

VERSIONS = ["0.2.0", "0.1.0"]
# Versions from which on a method or a parameter is there.
PREDICATES_SINCE = "0.2.0"
KEY = "sdk test&key+1"
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "examples", "subscribe.py")
# Longer than anything takes that works.
PATIENCE = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--venv", default="target/sdk-venv")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(run_inside(arguments.binary, arguments.inside))
    failed = sum(run_version(arguments, version) for version in VERSIONS)
    sys.exit(1 if failed else 0)


def run_version(arguments, version):
    """Runs this script again with the Python that has this version of the SDK."""
    directory = f"{arguments.venv}-{version}"
    python = os.path.join(directory, "bin", "python")
    if not os.path.exists(python):
        venv.create(directory, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                    f"fluxiondb-client=={version}"], check=True)
    command = [python, os.path.abspath(__file__), "--binary", arguments.binary, "--inside", version]
    return subprocess.run(command).returncode


class Server:
    """A server on a free port, for as long as the `with` block; ended as a service manager ends it."""

    def __init__(self, binary, *flags, port="0", scheme="ws"):
        self.command = [binary, "--port", port, "--log", "warn", *flags]
        self.scheme = scheme

    def __enter__(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLUXIONDB_")}
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                        env={**environment, "FLUXIONDB_SECRET_KEY": KEY})
        line = self.process.stdout.readline()
        return f"{self.scheme}://127.0.0.1:{line.split(',')[0].rsplit(':', 1)[1]}"

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.status = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()


def run_inside(binary, version):
    checks = Checks()
    with Server(binary) as url:
        go_through(checks, url, version >= PREDICATES_SINCE)
    check_tls(checks, binary, version >= PREDICATES_SINCE)
    check_restarts(checks, binary)
    check_example(checks, binary)
    print(f"fluxiondb-client {version}: {checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0



class Checks:
    """Counts what holds and says what does not."""

    def __init__(self):
        self.passed = self.failed = 0
        self.methods = set()

    def equal(self, what, got, want):
        if got == want:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}: got {got!r}, not {want!r}")

    def holds(self, what, fact):
        self.equal(what, bool(fact), True)

    def refused(self, what, call, text):
        """The call must fail with an error that contains the text."""
        try:
            self.equal(what, call(), f"an error with {text!r}")
        except Exception as error:
            self.holds(f"{what}: {error!r} contains {text!r}", text in str(error))


class Recording:
    """A client that notes which of its methods were used."""

    def __init__(self, client, methods):
        self._client, self._methods = client, methods

    def __getattr__(self, name):
        self._methods.add(name)
        return getattr(self._client, name)


def go_through(checks, url, predicates):
    import fluxiondb_client

    def connect(key=KEY, name=None):
        client = fluxiondb_client.FluxionDBClient(url=url, api_key=key, connection_name=name,
                                                  max_reconnect_attempts=0, request_timeout=10)
        recording = Recording(client, checks.methods)
        recording.connect()
        return recording

    client = connect(name="sdk test")
    check_records(checks, client, predicates)
    check_deletes(checks, client)
    check_values(checks, client)
    check_connections(checks, client, fluxiondb_client.FluxionDBClient(url=url, api_key=KEY))
    check_keys(checks, client, connect)
    check_subprotocols(checks, url)
    check_pushes(checks, connect())
    client.close()
    public = {name for name in dir(fluxiondb_client.FluxionDBClient) if not name.startswith("_")}
    checks.equal("methods not gone through", public - checks.methods, set())


def check_tls(checks, binary, predicates):
    """The same over TLS, with a certificate from an authority that only this process trusts."""
    with tempfile.TemporaryDirectory() as directory:
        certify(directory)
        files = {name: os.path.join(directory, f"{name}.pem") for name in ("ca", "cert", "key")}
        with Server(binary, "--tls-cert", files["cert"], "--tls-key", files["key"], scheme="wss") as url:
            import fluxiondb_client
            stranger = fluxiondb_client.FluxionDBClient(url=url, api_key=KEY, max_reconnect_attempts=0)
            checks.refused("an authority that is not trusted", stranger.connect, "")
            os.environ["SSL_CERT_FILE"] = files["ca"]
            try:
                go_through(checks, url, predicates)
            finally:
                del os.environ["SSL_CERT_FILE"]


def certify(directory):
    """Makes an authority (`ca.pem`), and a certificate for this machine (`cert.pem`) with its key (`key.pem`)."""
    def openssl(*arguments, text=""):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory, input=text, text=True)

    fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *fresh, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=sdk test")
    openssl("req", *fresh, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2",
            "-extfile", "/dev/stdin", "-out", "cert.pem", text="subjectAltName=DNS:localhost,IP:127.0.0.1")


def check_records(checks, client, predicates):
    checks.equal("no collections", client.fetch_collections(), [])
    checks.holds("insert one", client.insert_single_record(
        {"ts": 10, "doc": "d1", "data": '{"temperature":22.5}', "col": "sensors"})["id"])
    checks.holds("insert many", client.insert_multiple_records([
        {"ts": ts, "doc": doc, "data": f"{doc}@{ts} ünï 🚀 \"quoted\"", "col": "sensors"}
        for doc in ("d2", "d3") for ts in (30, 20, 10)])["id"])
    client.insert_single_record({"ts": 1, "doc": "d1", "data": "", "col": "other"})
    checks.equal("collections", sorted(client.fetch_collections()), ["other", "sensors"])

    def text(doc, ts):
        return {"ts": ts, "data": f"{doc}@{ts} ünï 🚀 \"quoted\""}

    latest = client.fetch_latest_records
    newest = {"d1": {"ts": 10, "data": '{"temperature":22.5}'}, "d2": text("d2", 20), "d3": text("d3", 20)}
    checks.equal("latest", latest({"col": "sensors", "ts": 25}), newest)
    checks.equal("latest of one", latest({"col": "sensors", "ts": 99, "doc": "d2"}), {"d2": text("d2", 30)})
    checks.equal("latest by pattern", latest({"col": "sensors", "ts": 99, "doc": "/D[23]/i"}),
                 {"d2": text("d2", 30), "d3": text("d3", 30)})
    checks.equal("latest from", set(latest({"col": "sensors", "ts": 99, "from": 11})), {"d2", "d3"})
    checks.equal("latest of nothing", latest({"col": "none", "ts": 99}), {})
    fetch = client.fetch_document
    span = {"col": "sensors", "doc": "d2", "from": 0, "to": 99}
    checks.equal("document", fetch(span), [text("d2", 10), text("d2", 20), text("d2", 30)])
    checks.equal("document, reverse", fetch({**span, "limit": 2, "reverse": True}), [text("d2", 30), text("d2", 20)])
    checks.equal("document, span", fetch({**span, "from": 15, "to": 25}), [text("d2", 20)])
    checks.equal("an empty text", fetch({"col": "other", "doc": "d1", "from": 0, "to": 9}), [{"ts": 1, "data": ""}])
    client.insert_single_record({"ts": time.time(), "doc": "d1", "data": "now", "col": "clock"})
    checks.holds("a time with a fraction", client.fetch_latest_records({"col": "clock", "ts": time.time() + 1})["d1"]["ts"]
                 == client.fetch_document({"col": "clock", "doc": "d1", "from": 0, "to": time.time() + 1})[0]["ts"])
    client.delete_collection({"col": "clock"})
    checks.refused("from after to", lambda: fetch({**span, "from": 9, "to": 1}), "from")
    if predicates:
        checks.equal("where", set(latest({"col": "sensors", "ts": 99, "where": "🚀"})), {"d2", "d3"})
        checks.equal("filter", set(latest({"col": "sensors", "ts": 99, "filter": "/rocket|🚀/"})), {"d1"})
        checks.equal("document, where", fetch({**span, "where": "@20"}), [text("d2", 20)])
        checks.equal("document, filter", fetch({**span, "filter": "/@[12]0/"}), [text("d2", 30)])


def check_deletes(checks, client):
    def left(doc):
        return [record["ts"] for record in client.fetch_document({"col": "del", "doc": doc, "from": 0, "to": 99})]

    client.insert_multiple_records([{"ts": ts, "doc": doc, "data": "x", "col": "del"}
                                    for doc in ("a", "b") for ts in range(1, 8)])
    client.delete_record({"col": "del", "doc": "a", "ts": 1})
    checks.equal("delete a record", left("a"), [2, 3, 4, 5, 6, 7])
    client.delete_multiple_records([{"col": "del", "doc": "a", "ts": 2}, {"col": "del", "doc": "b", "ts": 7}])
    checks.equal("delete records", (left("a"), left("b")), ([3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6]))
    client.delete_records_range({"col": "del", "doc": "a", "fromTs": 4, "toTs": 6})
    checks.equal("delete a range", left("a"), [3, 7])
    client.delete_document({"col": "del", "doc": "a"})
    checks.equal("delete a document", (left("a"), left("b")), ([], [1, 2, 3, 4, 5, 6]))
    for number, everywhere in enumerate(({"doc": "c"}, {"doc": "c", "col": ""})):
        client.insert_multiple_records([{"ts": 1, "doc": "c", "data": "x", "col": col} for col in ("del", f"del{number}")])
        client.delete_document(everywhere)
        checks.equal(f"delete a document by {everywhere}", (left("c"), f"del{number}" in client.fetch_collections()), ([], False))
    client.delete_collection({"col": "del"})
    checks.holds("delete a collection", "del" not in client.fetch_collections())


def check_values(checks, client):
    for key, value in (("k1", "v1"), ("k2", '{"a":"ü"}'), ("k1", "new")):
        client.set_value({"col": "kv", "key": key, "value": value})
    checks.equal("value", client.get_value({"col": "kv", "key": "k1"}), "new")
    checks.equal("no value", client.get_value({"col": "kv", "key": "none"}), "")
    checks.equal("keys", sorted(client.get_keys({"col": "kv"})), ["k1", "k2"])
    checks.equal("values", client.get_values({"col": "kv"}), {"k1": "new", "k2": '{"a":"ü"}'})
    checks.equal("values by pattern", client.get_values({"col": "kv", "key": "/2$/"}), {"k2": '{"a":"ü"}'})
    checks.equal("values by key", client.get_values({"col": "kv", "key": "k1"}), {"k1": "new"})
    client.delete_value({"col": "kv", "key": "k1"})
    checks.equal("deleted value", client.get_keys({"col": "kv"}), ["k2"])


def check_connections(checks, client, unnamed):
    other = Recording(unnamed, checks.methods)
    other.set_connection_name("second")
    other.connect()
    connections = client.get_connections()
    checks.equal("names", sorted(c["name"] for c in connections), ["sdk test", "second"])
    checks.equal("self", [c["name"] for c in connections if c["self"]], ["sdk test"])
    checks.holds("since", all(c["ip"] == "127.0.0.1" and 0 <= c["since"] < 60_000 for c in connections))
    other.close()


def check_keys(checks, client, connect):
    checks.equal("add a key", client.add_api_key("reader", "readonly")["status"], "ok")
    reader = connect("reader")
    value = {"col": "kv", "key": "k3", "value": "v"}
    checks.refused("a reader writes", lambda: reader.set_value(value), "permission denied")
    checks.equal("change a key", client.add_api_key("reader", "read_write")["scope"], "read_write")
    reader.set_value(value)
    checks.equal("a writer writes", reader.get_value({"col": "kv", "key": "k3"}), "v")
    checks.refused("a writer deletes", lambda: reader.delete_value({"col": "kv", "key": "k3"}), "permission denied")
    client.add_api_key("reader", "read_write_delete")
    reader.delete_value({"col": "kv", "key": "k3"})
    checks.refused("a reader manages keys", lambda: reader.add_api_key("x", "readonly"), "master key")
    checks.refused("a bad scope", lambda: client.add_api_key("x", "admin"), "invalid scope")
    checks.equal("remove a key", client.remove_api_key("reader")["status"], "ok")
    checks.refused("remove it again", lambda: client.remove_api_key("reader"), "not found")
    reader.close()


def check_subprotocols(checks, url):
    """The library beneath the SDK, and browsers likewise, end a connection whose offer is not answered."""
    import websocket

    target = f"{url}?api-key={urllib.parse.quote_plus(KEY)}"
    for offer, answer in ((["one"], "one"), (["chat.v2", "chat.v1"], "chat.v2"), (None, None)):
        connection = websocket.create_connection(target, subprotocols=offer, timeout=10)
        checks.equal(f"the offer {offer}", connection.getsubprotocol(), answer)
        checks.holds("ready", "ready" in connection.recv())
        connection.close()


def check_restarts(checks, binary):
    """What one session has stored, others find after stops and starts with other numbers of cores."""
    from fluxiondb_client import FluxionDBClient

    def answers(client):
        columns = sorted(client.fetch_collections())
        return (columns,
                [client.fetch_latest_records({"col": name, "ts": 99}) for name in columns],
                [client.fetch_document({"col": name, "doc": "d1", "from": 0, "to": 99}) for name in columns],
                [client.get_values({"col": name}) for name in columns],
                sorted((key["key"], key["scope"]) for key in client.list_api_keys()["keys"])
                if hasattr(client, "list_api_keys") else None)

    with tempfile.TemporaryDirectory() as directory:
        expected = None
        for cores in ("1", "3", "2", "4"):
            server = Server(binary, "--data", directory, "--cores", cores)
            with server as url:
                client = FluxionDBClient(url=url, api_key=KEY, connection_name="restarts")
                client.connect()
                if expected is None:
                    client.insert_multiple_records([
                        {"ts": ts, "doc": f"d{ts % 3}", "data": f"ü {ts}", "col": f"col {number}"}
                        for number in range(12) for ts in range(30)])
                    client.delete_records_range({"col": "col 3", "doc": "d1", "fromTs": 5, "toTs": 20})
                    client.delete_collection({"col": "col 4"})
                    client.set_value({"col": "col 5", "key": "k", "value": "v"})
                    client.add_api_key("kept", "readonly")
                    expected = answers(client)
                    checks.equal("collections to keep", len(expected[0]), 11)
                else:
                    checks.holds(f"the same answers with {cores} cores", answers(client) == expected)
                client.close()
            checks.equal("a clean stop", server.status, 0)
        with Server(binary, "--data", directory) as url:
            reader = FluxionDBClient(url=url, api_key="kept", connection_name="kept")
            reader.connect()
            checks.equal("a kept key reads", reader.get_value({"col": "col 5", "key": "k"}), "v")
            reader.close()


def check_pushes(checks, client):
    """The SDKs know no subscriptions. Who makes one all the same gets a warning in the log for each push, and no harm."""
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    reply = client._send_request("sub", {"col": "pushed"})
    checks.holds("a subscription is accepted", reply["cursor"])
    for ts in range(20):
        client.insert_single_record({"ts": ts, "doc": "d", "data": "x", "col": "pushed"})
    checks.equal("replies between pushes", client.fetch_latest_records({"col": "pushed", "ts": 99}), {"d": {"ts": 19, "data": "x"}})
    client._send_request("unsub", {"sub": reply["id"]})
    client.delete_collection({"col": "pushed"})
    pushes = [line for line in logged if "without ID" in line and "'type': 'push'" in line]
    checks.holds(f"pushes are logged and dropped: {logged}", pushes and len(pushes) == len(logged))
    logging.getLogger().removeHandler(handler)
    client.close()


class Lines:
    """What a process prints, line by line, without waiting for ever."""

    def __init__(self, stream):
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=(stream,), daemon=True).start()

    def read(self, stream):
        for line in stream:
            self.lines.put(line)
        self.lines.put("")

    def until(self, wanted):
        """The lines before the one that is wanted; with all of them if it does not come."""
        before = []
        while before[-1:] != [wanted]:
            try:
                before.append(json.loads(self.lines.get(timeout=PATIENCE) or "null"))
            except queue.Empty:
                return [*before, "nothing more"]
            if before[-1] is None:
                return before
        return before


def check_example(checks, binary):
    """The example follows what is newest, through a restart of the server too, until its key is removed."""
    from fluxiondb_client import FluxionDBClient

    def connect(url):
        client = FluxionDBClient(url=url, api_key=KEY, connection_name="example")
        client.connect()
        return client

    def insert(client, doc, ts):
        client.insert_single_record({"ts": ts, "doc": doc, "data": "ünï", "col": "fleet"})

    with tempfile.TemporaryDirectory() as directory:
        with Server(binary, "--data", directory) as url:
            client = connect(url)
            insert(client, "a", 1)
            client.add_api_key("example & key", "readonly")
            example = subprocess.Popen([sys.executable, EXAMPLE, url, "example & key", "fleet"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            lines = Lines(example.stdout)
            checks.equal("what is there", lines.until({"a": 1}), [{"a": 1}])
            insert(client, "b", 2)
            checks.equal("what changes", lines.until({"a": 1, "b": 2}), [{"a": 1, "b": 2}])
            client.delete_document({"doc": "a", "col": "fleet"})
            checks.equal("what goes", lines.until({"b": 2}), [{"b": 2}])
            client.close()
        with Server(binary, "--data", directory, port=url.rsplit(":", 1)[1]) as url:
            client = connect(url)
            insert(client, "c", 3)
            checks.equal("after a restart", lines.until({"b": 2, "c": 3})[-1], {"b": 2, "c": 3})
            client.remove_api_key("example & key")
            try:
                _, told = example.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                example.kill()
                _, told = example.communicate()
            checks.holds(f"a removed key ends it: {told}", example.returncode == 1 and "401" in told)
            client.close()


if __name__ == "__main__":
    main()
