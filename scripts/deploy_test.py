#!/usr/bin/env python3
"""Checks what the server is deployed with: image, compose file, seccomp profile, Helm chart, systemd unit, Debian package
and the forge's workflow.

    python3 scripts/deploy_test.py --binary target/release/fluxiondb [--venv target/deploy-venv]

Installs the schemas of Compose, Kubernetes and the workflow from PyPI into a virtual environment. Helm, if it is there,
must render the chart as chart.py does.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
import venv

PACKAGES = ["pyyaml==6.0.3", "check-jsonschema==0.39.0", "kubernetes-validate==1.37.0"]
KUBERNETES = "1.30"
ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "fluxiondb"
PROFILE = ROOT / "deploy" / "seccomp.json"
UNIT = ROOT / "deploy" / "systemd" / "fluxiondb.service"
KEY = "deploy test"
BINARY = None


def main():
    global BINARY
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--venv", default="target/deploy-venv")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    BINARY = os.path.abspath(arguments.binary)
    if not arguments.inside:
        sys.exit(run_inside(arguments))
    unittest.main(argv=[sys.argv[0]])


def run_inside(arguments):
    """Runs this script again with the Python that has the packages."""
    python = os.path.join(arguments.venv, "bin", "python")
    if not os.path.exists(python):
        venv.create(arguments.venv, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
    return subprocess.run([python, __file__, "--binary", BINARY, "--inside"]).returncode


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    return done.returncode, done.stdout + done.stderr


def clean_environment(**more):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLUXIONDB_")}
    return {**plain, **more}


class Server:
    """A server on a free port for as long as the `with` block, started by this command; it must end well."""

    def __init__(self, *command, **environment):
        self.command, self.environment = command, clean_environment(**environment)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.environment)
        line = self.process.stdout.readline()
        if "listening" not in line:
            raise AssertionError(f"it did not start: {line!r}, exit code {self.process.wait()}")
        return f"ws://127.0.0.1:{line.split(',')[0].rsplit(':', 1)[1]}"

    def __exit__(self, *error):
        self.process.terminate()
        code = self.process.wait()
        self.process.stdout.close()
        if error == (None, None, None) and code != 0:
            raise AssertionError(f"it ended with {code}")


class Image(unittest.TestCase):
    text = (ROOT / "Dockerfile").read_text()

    def test_every_crate_of_the_workspace_is_known_to_the_layer_of_dependencies(self):
        members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
        for member in members:
            self.assertIn(f"COPY {member}/Cargo.toml {member}/\n", self.text)
        built = re.search(r"RUN touch (.*) \\\n", self.text)[1]
        for member in set(members) - {"testkit"}:
            self.assertIn(f"{member}/src/", built, "a stub would be taken for the crate")

    def test_what_the_build_copies_is_not_ignored(self):
        ignored = [line.strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()]
        copied = re.findall(r"^COPY ([a-z]+)/Cargo.toml", self.text, re.M)
        self.assertEqual(set(copied) & set(ignored), set())

    def test_flags_as_the_image_of_the_cpp_server_took_them(self):
        with tempfile.TemporaryDirectory() as directory:
            default, data = f"{directory}/data", f"{directory}/app/data"
            flags = [f"--secret-key={KEY}", f"--data={data}", "--port=0", "--log=warn"]
            with Server(BINARY, *flags, FLUXIONDB_DATA=default):
                self.assertTrue(os.path.exists(f"{data}/fluxiondb.lock"))
            self.assertFalse(os.path.exists(default))
            self.assertIn("FLUXIONDB_DATA=/data", self.text)
            self.assertIn("/writable/app/data", self.text)

    def test_its_health_check_is_a_command(self):
        line = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", self.text, re.M)[1]
        program, *arguments = json.loads(line)
        self.assertEqual(program, "fluxiondb")
        with Server(BINARY, "--port=0", "--log=warn", FLUXIONDB_SECRET_KEY=KEY) as url:
            self.assertEqual(run(BINARY, *arguments, env=clean_environment(FLUXIONDB_URL=url))[0], 0)
        self.assertEqual(run(BINARY, *arguments, env=clean_environment(FLUXIONDB_URL=url))[0], 1)


class Seccomp(unittest.TestCase):
    def run_under(self, profile, *command):
        return [sys.executable, str(ROOT / "scripts" / "seccomp_filter.py"), str(profile), *command]

    def test_the_server_and_its_commands_work_under_the_profile(self):
        with tempfile.TemporaryDirectory() as directory:
            server = self.run_under(PROFILE, BINARY, "--port", "0", "--log", "warn", "--data", f"{directory}/data",
                                    "--flush-interval", "0.05")
            with Server(*server, FLUXIONDB_SECRET_KEY=KEY) as url:
                for command in (["health"], ["insert-record", "--col", "c", "--doc", "d", "--data", "x"], ["ping"],
                                ["add-key", "--key", "reader"], ["export", "--all", "--out-dir", f"{directory}/out"],
                                ["delete-collection", "--col", "c"], ["import", "--all", "--in-dir", f"{directory}/out"]):
                    line = self.run_under(PROFILE, BINARY, *command)
                    code, out = run(*line, env=clean_environment(FLUXIONDB_URL=url, FLUXIONDB_APIKEY=KEY))
                    self.assertEqual(code, 0, f"{command}: {out}")

    def test_without_its_first_rule_the_server_says_what_is_missing(self):
        profile = json.loads(PROFILE.read_text())
        self.assertIn("io_uring_setup", profile["syscalls"].pop(0)["names"])
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(profile, file)
            file.flush()
            command = self.run_under(file.name, BINARY, "--port", "0")
            code, out = run(*command, env=clean_environment(FLUXIONDB_SECRET_KEY=KEY))
        self.assertEqual(code, 1, out)
        self.assertIn("io_uring", out)

    def test_new_namespaces_are_refused(self):
        for call in ("unshare(0x10000000)", "syscall(SYS_clone, 0x10000000, 0, 0, 0, 0)"):
            code = run(*self.run_under(PROFILE, sys.executable, "-c", NAMESPACE.format(call=call)))[0]
            self.assertEqual(code, 1, call)

    def test_no_call_is_named_twice(self):
        names = [name for rule in json.loads(PROFILE.read_text())["syscalls"] for name in rule["names"]]
        self.assertEqual(len(names), len(set(names)))


# Exits with errno.
NAMESPACE = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
unshare, syscall, SYS_clone = libc.unshare, libc.syscall, {{"x86_64": 56, "aarch64": 220}}[platform.machine()]
done = {call}
os._exit(ctypes.get_errno() if done == -1 else 0)
"""


class Compose(unittest.TestCase):
    def test_it_is_a_compose_file_and_names_files_that_are_there(self):
        import yaml
        path = ROOT / "compose.yaml"
        self.assertEqual(check_schema("vendor.compose-spec", path), (0, "ok -- validation done\n"))
        service = yaml.safe_load(path.read_text())["services"]["fluxiondb"]
        named = [option.removeprefix("seccomp=") for option in service["security_opt"] if option.startswith("seccomp=")]
        self.assertEqual([ROOT / name for name in named], [PROFILE])
        self.assertTrue(service["ports"][0].startswith("${FLUXIONDB_PUBLISH:-127.0.0.1:"), "open to all by default")


class Workflow(unittest.TestCase):
    def test_it_is_one_and_runs_files_that_are_there(self):
        path = ROOT / ".github" / "workflows" / "checks.yml"
        self.assertEqual(check_schema("vendor.github-workflows", path), (0, "ok -- validation done\n"))
        for script in re.findall(r"(?:\.ci|scripts)/[a-z_-]+", path.read_text()):
            self.assertTrue(os.access(ROOT / script, os.X_OK), script)


def check_schema(name, path):
    tool = pathlib.Path(sys.executable).with_name("check-jsonschema")
    return run(tool, "--builtin-schema", name, path)


class Chart(unittest.TestCase):
    def objects(self, **values):
        """The objects that these values make, each of which Kubernetes would take."""
        import chart
        import kubernetes_validate
        found = chart.objects(CHART, values)
        for one in found.values():
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
        self.same_as_helm(values, found)
        return found

    def same_as_helm(self, values, found):
        import yaml
        if not shutil.which("helm"):
            return
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            code, out = run("helm", "lint", "--strict", "-f", file.name, CHART)
            self.assertEqual(code, 0, out)
            code, out = run("helm", "template", "release", CHART, "-f", file.name)
        self.assertEqual(code, 0, out)
        rendered = {one["kind"]: one for one in yaml.safe_load_all(out) if one}
        for kind in (rendered | found).keys():
            self.assertEqual(without_sum(rendered.get(kind)), without_sum(found.get(kind)), kind)

    def pod(self, **values):
        return self.objects(**values)["StatefulSet"]["spec"]["template"]["spec"]

    def test_the_pod_is_the_images_user_and_gets_whole_cpus_of_its_own(self):
        pod = self.pod(secret={"secretKey": "k"})
        user = re.search(r"^USER (\d+):(\d+)$", Image.text, re.M)
        self.assertEqual((str(pod["securityContext"]["runAsUser"]), str(pod["securityContext"]["fsGroup"])), user.groups())
        resources = pod["containers"][0]["resources"]
        self.assertEqual(resources["limits"], resources["requests"])
        self.assertIs(type(resources["limits"]["cpu"]), int)
        self.assertFalse(pod["enableServiceLinks"], "FLUXIONDB_PORT would be the service's address")
        self.assertNotIn("seccompProfile", pod["securityContext"])
        probes = {name: pod["containers"][0][name] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        self.assertEqual(probes["readinessProbe"]["httpGet"], {"path": "/health", "port": "ws"})
        self.assertNotIn("httpGet", probes["livenessProbe"], "a full disk would restart the server")

    def test_the_key_is_in_a_secret(self):
        found = self.objects(secret={"secretKey": 'a"b: {c}\\'})
        self.assertEqual(found["Secret"]["stringData"], {"secret-key": 'a"b: {c}\\'})
        reference = {"secretKeyRef": {"name": "release-fluxiondb", "key": "secret-key"}}
        env = found["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertIn({"name": "FLUXIONDB_SECRET_KEY", "valueFrom": reference}, env)
        found = self.objects(secret={"existingSecret": "mine", "existingSecretKey": "k"})
        self.assertNotIn("Secret", found)
        env = found["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertEqual(env[0]["valueFrom"]["secretKeyRef"], {"name": "mine", "key": "k"})

    def test_data_is_kept_as_the_values_say(self):
        secret = {"secretKey": "k"}
        spec = self.objects(secret=secret, persistence={"size": "1Ti", "storageClass": "fast"})["StatefulSet"]["spec"]
        claim = spec["volumeClaimTemplates"][0]["spec"]
        self.assertEqual((claim["resources"]["requests"]["storage"], claim["storageClassName"]), ("1Ti", "fast"))
        self.assertNotIn("volumes", spec["template"]["spec"])
        pod = self.pod(secret=secret, persistence={"existingClaim": "mine"})
        self.assertEqual(pod["volumes"], [{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}])
        pod = self.pod(secret=secret, persistence={"enabled": False})
        self.assertEqual(pod["volumes"], [{"name": "data", "emptyDir": {}}])

    def test_everything_that_can_be_set_lands_somewhere(self):
        found = self.objects(
            secret={"secretKey": "k"}, image={"repository": "r/f", "tag": "9", "pullSecrets": [{"name": "reg"}]},
            seccomp={"localhostProfile": "fluxiondb.json"}, args=["--sync=always"], env=[{"name": "A", "value": "b"}],
            ingress={"enabled": True, "className": "nginx", "annotations": {"a/b": "3600"},
                     "hosts": [{"host": "x.example", "paths": [{"path": "/db", "pathType": "Exact"}]}],
                     "tls": [{"secretName": "t", "hosts": ["x.example"]}]},
            service={"type": "LoadBalancer", "port": 80, "annotations": {"c": "d"}}, podLabels={"e": "f"},
            podAnnotations={"g": "h"}, nodeSelector={"i": "j"}, tolerations=[{"key": "k", "operator": "Exists"}],
            affinity={"podAffinity": {}}, priorityClassName="high", persistence={"annotations": {"l": "m"}},
            probes={"liveness": None}, terminationGracePeriodSeconds=7)
        text = json.dumps(found)
        for value in ("r/f:9", "reg", "fluxiondb.json", "--sync=always", "x.example", "/db", "nginx", "3600", "LoadBalancer",
                      "Exists", "podAffinity", "high"):
            self.assertIn(f'"{value}"', text)
        template = found["StatefulSet"]["spec"]["template"]
        self.assertEqual((template["metadata"]["labels"]["e"], template["metadata"]["annotations"]["g"]), ("f", "h"))
        self.assertNotIn("livenessProbe", template["spec"]["containers"][0])
        self.assertEqual(template["spec"]["terminationGracePeriodSeconds"], 7)
        self.assertEqual(found["Ingress"]["spec"]["tls"], [{"secretName": "t", "hosts": ["x.example"]}])
        self.assertEqual(found["Service"]["spec"]["ports"][0]["port"], 80)

    def test_what_makes_no_sense_is_refused(self):
        import chart
        for values, word in [({"secret": {}}, "secret.secretKey"), ({"resources": {"limits": {"cpu": "500m"}}}, "cpu"),
                             ({"resources": {"limits": {"cpu": 1.5}}}, "cpu"), ({"presistence": {}}, "presistence"),
                             ({"service": {"port": 0}}, "port")]:
            with self.assertRaisesRegex(chart.ChartError, word):
                chart.render(CHART, {"secret": {"secretKey": "k"}, **values})

    def test_a_selector_stays_what_it_is_whatever_the_version(self):
        labels = self.objects(secret={"secretKey": "k"})["StatefulSet"]["spec"]["selector"]["matchLabels"]
        self.assertEqual(labels, {"app.kubernetes.io/name": "fluxiondb", "app.kubernetes.io/instance": "release"})


def without_sum(one):
    """An object without the sum of its secret, whose YAML may be laid out otherwise."""
    if one and one["kind"] == "StatefulSet":
        one = json.loads(json.dumps(one))
        one["spec"]["template"]["metadata"]["annotations"].pop("checksum/secret")
    return one


def systemd_version():
    if not shutil.which("systemd-analyze"):
        return 0
    return int(re.match(r"systemd (\d+)", run("systemd-analyze", "--version")[1])[1])


class Unit(unittest.TestCase):
    text = UNIT.read_text()

    @unittest.skipUnless(systemd_version() >= 250, "systemd-analyze is not there, or is too old to look at files")
    def test_systemd_takes_it_and_finds_it_closed(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "fluxiondb.service")
            path.write_text(self.text.replace("/usr/bin/fluxiondb", BINARY))
            self.assertEqual(run("systemd-analyze", "verify", "--man=no", path), (0, ""))
            code, out = run("systemd-analyze", "security", "--offline=true", "--threshold=20", path)
        self.assertEqual(code, 0, out)

    def test_flags_are_the_servers_and_settings_too(self):
        flags = re.search(r"^ExecStart=\S+ (.*)$", self.text, re.M)[1]
        settings = (UNIT.parent / "fluxiondb.env").read_text()
        variables = re.findall(r"^#?(FLUXIONDB_[A-Z_]+)=", settings, re.M)
        known = run(BINARY, "--help")[1]
        self.assertGreater(len(variables), 4)
        for name in re.findall(r"--[a-z-]+", flags) + variables:
            self.assertRegex(known, rf"{name}\b")


class DebianPackage(unittest.TestCase):
    about = tomllib.loads((ROOT / "cli" / "Cargo.toml").read_text())["package"]["metadata"]["deb"]

    def test_what_it_holds_is_there(self):
        packed = set()
        for source, target, _ in self.about["assets"]:
            path = source if source.startswith("target/") else f"cli/{source}"
            files = list(ROOT.glob(os.path.normpath(path)))
            self.assertTrue(files or source.startswith("target/"), source)
            packed.update(f"/{target}{file.name}" if target.endswith("/") else f"/{target}" for file in files)
        self.assertLessEqual(set(self.about["conf-files"]), packed)
        unit = ROOT / "cli" / self.about["systemd-units"]["unit-scripts"] / "fluxiondb.service"
        self.assertTrue(unit.resolve() == UNIT)

    def test_its_scripts_are_shell_and_call_what_helpers_add(self):
        directory = (ROOT / "cli" / self.about["maintainer-scripts"]).resolve()
        scripts = sorted(directory.iterdir())
        self.assertEqual([script.name for script in scripts], ["postinst", "postrm"])
        for script in scripts:
            self.assertEqual(run("sh", "-n", script), (0, ""))
            self.assertIn("\n#DEBHELPER#\n", script.read_text())

    def test_names_are_the_same_everywhere(self):
        postinst = (ROOT / "deploy" / "debian" / "postinst").read_text()
        self.assertIn("EnvironmentFile=/etc/fluxiondb/secret.env\n", Unit.text)
        self.assertIn("key=/etc/fluxiondb/secret.env\n", postinst)
        self.assertIn("EnvironmentFile=-" + self.about["conf-files"][0], Unit.text)
        self.assertIn("User=fluxiondb\n", Unit.text)
        self.assertIn("--group --home /var/lib/fluxiondb", postinst)


if __name__ == "__main__":
    main()
