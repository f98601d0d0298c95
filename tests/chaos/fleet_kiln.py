"""A Kiln on eight hosts, set up as docs/operations.md says under "Several hosts"; the file of its example
is the one that is used."""
import contextlib
import os
import re
import secrets
import signal
import sys

import kiln_server
from fleet import Clients, Host, Postgres, Service, Wire, run
from kiln_server import KILN, SOURCE, Kiln, http_request, wait_until

sys.path.insert(0, str(SOURCE / "tests/objects"))
import s3_server  # noqa: E402  pylint: disable=wrong-import-position

WORKERS = ("worker-1", "worker-2", "worker-3")
BUCKET = "kiln"
HOOK_PORT = 8000
DRAIN_SECONDS = 30  # TimeoutStopSec of the units
# What the documentation leaves at its defaults, and a test wants quick or small.
LEASE_SECONDS = 8
ENVIRON = {"KILN_LEASE": f"{LEASE_SECONDS}s", "KILN_WEBHOOK_TIMEOUT": "5s",
           "KILN_MIRRORS": "docker.io=bases.example:5000,insecure "
                           "ghcr.io=bases.example:5000,insecure",
           "KILN_CACHE_MAX": "40MiB", "KILN_BASES_MAX": "40MiB", "KILN_CACHES_MAX": "160MiB",
           "KILN_S3_CACHE_MAX": "64MiB", "KILN_BUILD_MEMORY": "1GiB", "KILN_TEMPLATE_REVISIONS": "1000"}


def documented_configuration():
    text = (SOURCE / "docs/operations.md").read_text()
    part = text[text.index("## Several hosts"):]
    return re.search(r"```toml\n(.*?)```", part, re.S)[1]


class FleetKiln(Kiln):
    """What tests ask of a Kiln, of this one's front."""

    def __init__(self, fleet):  # pylint: disable=super-init-not-called
        self.fleet, self.keys, self.processes, self.options = fleet, {}, [], []
        self.directory = fleet.directory
        self.registry_port = 5000

    @property
    def url(self):
        return "http://front.example:8080/v0"

    @property
    def registry(self):
        return "registry.example:5000"

    def key(self, workspace=kiln_server.WORKSPACE):
        if workspace not in self.keys:
            self.keys[workspace] = self.fleet.kiln_on(
                "front", "key", "create", "--workspace", workspace).stdout.strip()
        return self.keys[workspace]


class Fleet:
    def __init__(self, directory, keep, worker_disk_mib):
        self.directory, self.keep = directory, keep
        self.services, self.hosts = {}, {}
        self.logs = directory / "logs"
        self.etc = directory / "etc"
        for made in (self.logs, self.etc, directory / "disks"):
            made.mkdir()
        directory.chmod(0o755)
        self.wire = Wire(directory / "hosts")
        self.clients = self.wire.add(Clients())
        for name, number, mib in (("front", 11, 300), ("postgres", 31, 300), ("s3", 41, 64),
                                  ("registry", 51, 1500), ("bases", 61, 64),
                                  *((w, 21 + i, worker_disk_mib) for i, w in enumerate(WORKERS))):
            self.hosts[name] = self.wire.add(Host(name, number, directory / "disks", mib))
        self.kiln = FleetKiln(self)

    # ---- what is not Kiln's ----

    def service(self, host, name, words, answers, environ=None):
        made = Service(self.hosts[host], name, words, environ or {}, self.logs / f"{name}.log",
                       answers)
        self.services[name] = made
        return made

    def start_postgres(self):
        password = secrets.token_hex(8)
        self.services["postgres"] = self.postgres = Postgres(
            self.hosts["postgres"], self.logs / "postgres.log", password)
        self.postgres.started()
        self.postgres.create("kiln")
        (self.etc / "pgpass").write_text(f"postgres.example:5432:kiln:kiln:{password}\n")

    def start_s3(self):
        address = self.hosts["s3"].address
        self.s3 = s3_server.S3Server(self.keep, 9000, address)  # for its client
        self.service("s3", "s3", [
            sys.executable, "-B", SOURCE / "tests/objects/s3_server.py", self.keep, "--listen",
            f"{address}:9000", BUCKET], lambda: answers(f"http://{address}:9000/", 403),
            # moto would take the first part of the name for a bucket.
            {"MOTO_S3_CUSTOM_ENDPOINTS": f"http://s3.example:9000,http://{address}:9000"}).started()
        (self.etc / "s3-credentials").write_text(
            f"[default]\naws_access_key_id = {s3_server.ACCESS}\n"
            f"aws_secret_access_key = {s3_server.SECRET}\n")

    def s3_faults(self, *faults):
        import json
        http_request("POST", f"{self.s3.url}/-/faults", json.dumps(list(faults)).encode())

    def start_registry(self, name, root, more=""):
        config = self.etc / f"{name}.yml"
        config.write_text("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}\n"
                          f"http: {{addr: '{self.hosts[name].address}:5000'}}\n{more}")
        self.service(name, name, ["docker-registry", "serve", config], lambda: answers(
            f"http://{self.hosts[name].address}:5000/v2/", 200, 401)).started()

    # ---- Kiln ----

    def configure(self):
        (self.etc / "kiln.toml").write_text(
            documented_configuration().replace("/etc/kiln", str(self.etc)))
        for private in self.etc.iterdir():
            private.chmod(0o600)

    def environ(self, name):
        own = {"KILN_LISTEN": "0.0.0.0:8080", "KILN_OPERATOR_LISTEN": "127.0.0.1:9090",
               "KILN_WORKERS": "0"} if name == "front" else {"KILN_WORKERS": "1"}
        return {**ENVIRON, **own, "KILN_CONFIG": str(self.etc / "kiln.toml"),
                "KILN_DATA_DIR": str(self.hosts[name].disk / "kiln"),
                "PGPASSFILE": str(self.etc / "pgpass")}

    def kiln_on(self, name, *words, check=True):
        """A subcommand that ends by itself, on that host."""
        settings = [f"{k}={v}" for k, v in self.environ(name).items()]
        return run(*self.hosts[name].words("env", *settings, KILN, *words), check=check)

    def start_kiln(self, name):
        word = "serve" if name == "front" else "worker"
        ready = (lambda: answers(f"http://{self.hosts[name].address}:8080/healthz", 200)) \
            if name == "front" else None
        self.service(name, name, [KILN, word], ready, self.environ(name)).started()

    def start(self, bases):
        self.start_postgres()
        self.start_s3()
        self.start_registry("bases", bases)
        self.configure()
        # The registry key is made by the first that needs it.
        auth = self.kiln_on("front", "registry").stdout
        certificate = self.etc / "kiln.pem"
        certificate.write_text(self.kiln_on("front", "registry", "certificate").stdout)
        self.start_registry("registry", self.hosts["registry"].disk / "data", auth.replace(
            "/etc/docker-registry/kiln.pem", str(certificate)))
        self.start_kiln("front")
        for name in WORKERS:
            self.start_kiln(name)

    @property
    def kilns(self):
        return [self.services[name] for name in ("front", *WORKERS)]

    def heal(self):
        """As it was before anything was done to it, whatever that was; all services run."""
        for service in self.services.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(service.pid, signal.SIGCONT)
        for host in self.hosts.values():
            self.wire.plug(host)
            host.empty()
            run(*host.words("iptables", "--wait", "-F", "INPUT"))
        run("iptables", "--wait", "-F", "INPUT")
        for service in self.services.values():
            with service.lock:
                if not service.wanted:
                    service.start()
        self.s3_back()
        for service in self.services.values():
            if service.answers:
                wait_until(f"{service.name} answers", lambda s=service: (s.look(), s.answers())[1])

    # moto keeps objects in memory: it does not end, but answers nobody.
    def s3_away(self):
        self.s3_is_away = True
        os.kill(self.services["s3"].pid, signal.SIGUSR1)

    def s3_back(self):
        if self.s3_is_away:
            os.kill(self.services["s3"].pid, signal.SIGUSR2)
        self.s3_is_away = False

    s3_is_away = False

    def end(self):
        """Whatever state it is in."""
        for service in self.services.values():
            with contextlib.suppress(AttributeError):
                service.kill()
        for host in self.hosts.values():
            host.holder.kill()


def answers(url, *statuses):
    with contextlib.suppress(OSError):
        return http_request("GET", url).status in statuses
    return False
