#!/usr/bin/env python3
"""Has the metrics of a running server read by those who will read them: promtool looks at their form, a real Prometheus
scrapes them, and every query of the dashboard in deploy/grafana is put to it and must have an answer.

    scripts/metrics_test.py --binary target/release/fluxiondb

promtool and prometheus are taken from the path (Debian: apt-get install prometheus). Where they are not, that is said, and
the dashboard is only looked through for names of metrics that the server does not have."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "fluxiondb.json"
KEY = "metrics test key"
JOB = "fluxiondb"
PATIENCE_SECONDS = 60


def environment():
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLUXIONDB_")}
    return clean | {"FLUXIONDB_SECRET_KEY": KEY, "FLUXIONDB_APIKEY": KEY}


class Server:
    def __init__(self, binary, directory):
        arguments = [binary, "--bind", "127.0.0.1", "--port", "0", "--data", str(directory / "data"), "--flush-interval", "0.2"]
        self.binary = binary
        self.process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.address = re.search(r"listening on (\S+),", line).group(1)

    def command(self, *arguments):
        command = [self.binary, *arguments, "--url", f"ws://{self.address}"]
        subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)

    def page(self):
        request = urllib.request.Request(f"http://{self.address}/metrics", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return response.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, program, directory, target):
        key = directory / "key"
        key.write_text(KEY)
        config = directory / "prometheus.yml"
        config.write_text(json.dumps({"scrape_configs": [{
            "job_name": JOB, "scrape_interval": "1s", "authorization": {"credentials_file": str(key)},
            "static_configs": [{"targets": [target]}],
        }]}))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen([
            program, f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=error",
        ])

    def query(self, text):
        """The series that a query gives; none while Prometheus does not answer yet. A query that is wrong is an error."""
        url = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
                return json.load(response)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code in (400, 422):
                raise SystemExit(f"Prometheus does not take {text}: {error.read().decode()}") from None
            return []
        except OSError:
            return []

    def wait_for(self, text):
        until = time.monotonic() + PATIENCE_SECONDS
        while not (series := self.query(text)):
            if time.monotonic() > until:
                raise SystemExit(f"no answer to {text}")
            time.sleep(0.2)
        return series

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)


def queries():
    """The queries of the dashboard, each with the title of its panel, with what Grafana would put into them."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "30s").replace("$job", JOB).replace("$instance", ".*")
            assert "$" not in text, text
            yield panel["title"], text


def check_names(page):
    """Every metric is on the dashboard, and it asks for no other."""
    known = set(re.findall(r"^# TYPE (\S+) ", page, re.M))
    asked = set()
    for title, text in queries():
        names = set(re.findall(r"\b((?:fluxiondb|process)_\w+)", text))
        names = {re.sub(r"_bucket$", "", name) for name in names}
        assert names and names <= known, f"{title}: there is no {names - known}"
        asked |= names
    missing = known - asked - {"fluxiondb_build_info", "fluxiondb_cores", "process_start_time_seconds"}
    assert not missing, f"not on the dashboard: {missing}"
    print(f"the dashboard asks for all {len(known)} metrics")


def check_form(page):
    promtool = shutil.which("promtool")
    if promtool is None:
        print("the form was not checked: promtool is not there (Debian: apt-get install prometheus)")
        return
    outcome = subprocess.run([promtool, "check", "metrics"], input=page, text=True, capture_output=True)
    assert outcome.returncode == 0 and not outcome.stderr, outcome.stdout + outcome.stderr
    print("promtool has nothing to say")


def check_scrape(server, directory):
    program = shutil.which("prometheus")
    if program is None:
        print("no Prometheus has scraped it: it is not there (Debian: apt-get install prometheus)")
        return
    prometheus = Prometheus(program, directory, server.address)
    try:
        prometheus.wait_for(f'up{{job="{JOB}"}} == 1')
        # Two scrapes make a rate.
        prometheus.wait_for("rate(fluxiondb_requests_total[30s])")
        server.command("insert-record", "--col", "c", "--doc", "d", "--ts", "9", "--data", "x")
        prometheus.wait_for('fluxiondb_requests_total{type="ins"} == 4')
        asked = list(queries())
        for title, text in asked:
            assert prometheus.wait_for(text), title
        print(f"a Prometheus has scraped it, and answers all {len(asked)} queries of the dashboard")
    finally:
        prometheus.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        server = Server(os.path.abspath(options.binary), directory)
        try:
            for ts in range(3):
                server.command("insert-record", "--col", "c", "--doc", "d", "--ts", str(ts), "--data", "x")
            page = server.page()
            check_names(page)
            check_form(page)
            check_scrape(server, directory)
            server.stop()
        finally:
            server.process.kill()


main()
