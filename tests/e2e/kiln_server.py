"""A Kiln of a test's own: free ports, a fresh data directory, base images, and nothing left over.

    class Case(KilnCase):
        def test_something(self):
            self.kiln.post("/sandboxes?upload=true", {...})

KilnCase starts one `kiln serve` per class and takes everything away again, also after a failure.
$KILN is the binary, $KILN_SOURCE the source tree; the first argument is a directory that may be
kept between runs (base images, the npm client).
"""
import base64
import contextlib
import fcntl
import hashlib
import http.client
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import urllib.parse
import zipfile

SOURCE = pathlib.Path(os.environ.get("KILN_SOURCE", pathlib.Path(__file__).parents[2]))
KILN = os.environ.get("KILN", str(SOURCE / "build/dev/programs/kiln"))
KEEP = pathlib.Path(os.environ.get("KILN_E2E_KEEP", SOURCE / "build/e2e")).resolve()
# What only a machine that is stuck needs: a busy one is slow.
PATIENCE = 180
WORKSPACE = "acme"
# The file of an authority that https is trusted by, for tests that have one.
authority = None


def main():
    """For the end of a test file: takes the directory to keep things in off the arguments."""
    global KEEP
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.sep in sys.argv[1]:
        KEEP = pathlib.Path(sys.argv.pop(1)).resolve()
    KEEP.mkdir(parents=True, exist_ok=True)
    unittest.main(verbosity=2)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=PATIENCE, every=0.1):
    """Returns the first true answer of condition."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(every)


def from_pypi(requirement):
    """A directory with that package ("name==1.2.3") and what it needs, for PYTHONPATH."""
    directory = KEEP / requirement.replace("==", "-")
    if not (directory / "whole").exists():
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", directory,
                        requirement], check=True, stdin=subprocess.DEVNULL)
        (directory / "whole").write_text("")
    return directory


class Answer:
    """What came back over HTTP."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"HTTP {self.status} {self.body[:400]!r}"


def http_request(method, url, body=None, headers=()):
    parts = urllib.parse.urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=PATIENCE,
                                    context=ssl.create_default_context(cafile=authority))
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE))
    target = parts.path + ("?" + parts.query if parts.query else "")
    with contextlib.closing(connection):
        connection.request(method, target, body=body, headers=dict(headers))
        return Answer(connection.getresponse())


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Process:
    """A child in a session of its own, its output in a file."""

    def __init__(self, argv, log, env=None):
        self.log = pathlib.Path(log)
        self.out = open(log, "ab")
        self.popen = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            env={**os.environ, **(env or {})}, start_new_session=True)

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self, seconds=PATIENCE):
        """SIGTERM, and the exit code it ends with."""
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        stopped = self.popen.poll() is not None
        self.kill()
        if not stopped:
            raise AssertionError(f"still running {seconds} s after SIGTERM:\n{self.text()[-3000:]}")
        return self.popen.returncode

    def kill(self):
        """SIGKILL to it alone: what it started has to notice by itself."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        if not self.out.closed:
            self.out.close()

    def kill_group(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.kill()


class Registry:
    """A docker-registry on loopback, for the files of a directory."""

    http, extra = {}, {}  # more of its configuration

    def __init__(self, directory):
        self.port = free_port()
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / f"registry-{self.port}.yml"
        config.write_text(json.dumps({
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}", **self.http}, **self.extra}))
        self.config = config
        self.process = Process(["docker-registry", "serve", config], f"{config}.log")
        try:
            wait_until("the registry answers", self.answers)
            self.fill()
        except BaseException:
            self.stop()
            raise

    def answers(self):
        with contextlib.suppress(OSError):
            return http_request("GET", f"http://127.0.0.1:{self.port}/v2/").status == 200
        return False

    def fill(self):
        pass

    def stop(self):
        self.process.kill_group()
        for path in (self.config, self.process.log):
            path.unlink(missing_ok=True)


class Bases(Registry):
    """The stand-in base images that a script of tests/bases makes: made once and kept."""

    def __init__(self, directory, script="make-bases"):
        self.script = SOURCE / "tests/bases" / script
        super().__init__(directory)

    def fill(self):
        recipe = hashlib.sha256(b"".join(
            p.read_bytes() for p in sorted(self.script.parent.rglob("*")) if p.is_file())
        ).hexdigest()
        stamp = self.directory / "made-by"
        with open(self.directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if stamp.exists() and stamp.read_text() == recipe:
                return
            subprocess.run([self.script, self.directory / "cache"], check=True,
                           stdin=subprocess.DEVNULL,
                           env={**os.environ, "REGISTRY": f"127.0.0.1:{self.port}"})
            stamp.write_text(recipe)


class Kiln:
    """`kiln serve` with a data directory that outlives restarts."""

    def __init__(self, bases, workers=2, options=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kiln-e2e-"))
        self.data = self.directory / "data"
        self.port, self.registry_port = free_port(), free_port()
        self.mirrors = (f"docker.io=127.0.0.1:{bases.port},insecure "
                        f"ghcr.io=127.0.0.1:{bases.port},insecure")
        self.workers, self.options = workers, list(options)
        self.scheme = "https" if "--tls-key" in self.options else "http"
        self.keys, self.processes = {}, []
        self.serve = None

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/v0"

    @property
    def registry(self):
        return f"127.0.0.1:{self.registry_port}"

    def common(self):
        return ["--data-dir", self.data, "--registry-listen", self.registry,
                "--mirrors", self.mirrors]

    def start(self):
        self.serve = self.spawn("serve", "--listen", f"127.0.0.1:{self.port}", *self.common(),
                                "--workers", self.workers, *self.options)
        wait_until("kiln serve is ready", self.is_ready)
        return self

    def spawn(self, *words):
        process = Process([KILN, *words], self.directory / f"log.{len(self.processes)}")
        self.processes.append(process)
        return process

    def is_ready(self):
        if self.serve.popen.poll() is not None:
            raise AssertionError(f"kiln serve ended with {self.serve.popen.returncode}:\n"
                                 + self.serve.text()[-3000:])
        with contextlib.suppress(OSError):
            return http_request("GET", self.url.removesuffix("v0") + "healthz").status == 200
        return False

    def run(self, *words, check=True, env=None):
        """A subcommand that ends by itself."""
        return subprocess.run([KILN, *(str(w) for w in words)], check=check, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=300,
                              env={**os.environ, **(env or {})})

    def key(self, workspace=WORKSPACE):
        if workspace not in self.keys:
            done = self.run("key", "create", "--workspace", workspace, "--data-dir", self.data)
            self.keys[workspace] = done.stdout.strip()
        return self.keys[workspace]

    # ---- the control API ----

    def request(self, method, path, body=None, workspace=WORKSPACE, headers=()):
        sent = {"Authorization": f"Bearer {self.key(workspace)}",
                "X-Blaxel-Workspace": workspace, "Blaxel-Version": "2026-04-28"}
        if body is not None:
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        return http_request(method, self.url + path, body, {**sent, **dict(headers)})

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def announce(self, name, workspace=WORKSPACE):
        """Asks for a build of a sandbox; returns the upload URL."""
        body = {"metadata": {"name": name}, "spec": {"runtime": {"memory": 2048}}}
        answer = self.request("PUT", f"/sandboxes/{name}?upload=true", body, workspace)
        if answer.status == 404:
            answer = self.request("POST", "/sandboxes?upload=true", body, workspace)
        assert answer.status in (200, 201), answer
        return answer.headers["X-Blaxel-Upload-Url"]

    def upload(self, url, archive):
        return http_request("PUT", url, archive, {"Content-Type": "application/zip"})

    def submit(self, name, archive, workspace=WORKSPACE):
        answer = self.upload(self.announce(name, workspace), archive)
        assert answer.status == 200, answer

    def status(self, name, workspace=WORKSPACE):
        answer = self.get(f"/sandboxes/{name}", workspace=workspace)
        return answer.json.get("status") if answer.status == 200 else f"HTTP {answer.status}"

    def wait_for_end(self, name, seconds=PATIENCE, every=0.5, workspace=WORKSPACE):
        final = ("DEPLOYED", "FAILED")
        return wait_until(f"{name} is DEPLOYED or FAILED", lambda: next(
            (s for s in (self.status(name, workspace),) if s in final), None), seconds, every)

    def log_lines(self, name, kind="sandboxes", workspace=WORKSPACE):
        """The messages of the newest build's log, oldest first."""
        query = urllib.parse.urlencode({
            "start": "2020-01-01T00:00:00", "end": "2099-01-01T00:00:00", "resourceType": kind,
            "workloadIds": name, "workspace": workspace, "type": "all", "limit": 1000})
        answer = self.get(f"/observability/logs?{query}", workspace=workspace)
        assert answer.status == 200, answer
        entries = answer.json[name]["logs"]
        return [e["message"] for e in sorted(entries, key=lambda e: e["timestamp"])]

    def deploy(self, name, archive, seconds=PATIENCE):
        """Builds, and insists on success; returns the sandbox."""
        self.submit(name, archive)
        status = self.wait_for_end(name, seconds)
        assert status == "DEPLOYED", f"{name} is {status}:\n" + "\n".join(self.log_lines(name))
        return self.get(f"/sandboxes/{name}").json

    # ---- the registry ----

    def repository(self, name, kind="sandbox", workspace=WORKSPACE):
        return f"http://{self.registry}/v2/{workspace}/{kind}/{name}"

    def registry_token(self, scope, workspace=WORKSPACE):
        """As docker gets one: the user's name does not matter, the password is an API key."""
        answer = self.request(
            "GET", "/registry/token?" + urllib.parse.urlencode({"scope": scope}),
            workspace=workspace, headers={
                "Authorization": basic(workspace, self.key(workspace))})
        assert answer.status == 200, answer
        return answer.json["token"]

    def pull(self, path, name, kind="sandbox", workspace=WORKSPACE, headers=()):
        """A GET below the image's repository, by a member of the workspace."""
        sent = dict(headers)
        if "none" not in self.options:  # --registry-auth
            token = self.registry_token(f"repository:{workspace}/{kind}/{name}:pull", workspace)
            sent["Authorization"] = f"Bearer {token}"
        return http_request("GET", f"{self.repository(name, kind, workspace)}/{path}", headers=sent)

    def tags(self, name, **where):
        """Those of images: a list of what is attached to one has a tag of its digest."""
        answer = self.pull("tags/list", name, **where)
        tags = (answer.json.get("tags") or []) if answer.status == 200 else []
        return sorted(tag for tag in tags if not tag.startswith("sha256-"))

    def manifest(self, name, reference="latest", **where):
        answer = self.pull(f"manifests/{reference}", name, **where, headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, "
                      "application/vnd.docker.distribution.manifest.v2+json"})
        assert answer.status == 200, answer
        return answer

    def blob(self, name, digest, **where):
        answer = self.pull(f"blobs/{digest}", name, **where)
        assert answer.status == 200, answer
        assert "sha256:" + hashlib.sha256(answer.body).hexdigest() == digest
        return answer.body

    def image(self, name, reference="latest", **where):
        """The config document, and the files of all layers by path (None for what is no file)."""
        manifest = self.manifest(name, reference, **where).json
        config = json.loads(self.blob(name, manifest["config"]["digest"], **where))
        files = {}
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(name, layer["digest"], **where))) as t:
                for member in t:
                    path = "/" + member.name.removeprefix("./").rstrip("/")
                    files[path] = (t.extractfile(member).read() if member.isreg()
                                   else member.linkname if member.issym() else None)
        return config, files

    # ---- the end ----

    def stop(self):
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.stop()

    def remove(self):
        """Takes away everything, whatever state the test left it in."""
        for process in self.processes:
            process.kill_group()
        for pid in self.processes_of():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def processes_of(self):
        """Ids of processes that have our directory in arguments or as their own, or mounted in a root
        of their own: whoever unshares the host's mounts meanwhile only has a copy of them."""
        found, ours, host = [], str(self.directory).encode(), os.stat("/")
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                jailed = not os.path.samestat(os.stat(entry / "root/"), host)
                if any(ours in facts for facts in (
                        (entry / "cmdline").read_bytes(), os.readlink(entry / "cwd").encode(),
                        (entry / "mountinfo").read_bytes() if jailed else b"")):
                    found.append(int(entry.name))
        return found

    def leftovers(self):
        """What a stopped Kiln with no unfinished builds must not have."""
        left = [f"process {pid}: " + pathlib.Path(f"/proc/{pid}/cmdline").read_text()
                .replace("\0", " ") for pid in self.processes_of()]
        left += [f"mount: {line}" for line in pathlib.Path("/proc/self/mountinfo").read_text()
                 .splitlines() if str(self.directory) in line]
        for name in ("jobs", "uploads"):
            for directory in folders_named(self.data, name):
                if "registry" not in directory.parts[len(
                        self.data.parts):] and "bases" not in directory.parts:
                    incoming = directory / ".incoming"
                    left += [str(p) for d in (directory, incoming) if d.is_dir()
                             for p in d.iterdir() if p != incoming]
        return left


def folders_named(root, name):
    """The directories of that name below `root`, of a tree that may change meanwhile, which
    pathlib's rglob cannot walk."""
    return [pathlib.Path(at, name) for at, folders, _ in os.walk(root) if name in folders]


class KilnCase(unittest.TestCase):
    """One Kiln for all tests of the class, ready to use as self.kiln."""

    workers = 2
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases, cls.workers, cls.options)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def setUp(self):
        self.addCleanup(self.show_log_on_failure)

    def show_log_on_failure(self):
        outcome = self._outcome
        result = getattr(outcome, "result", None)
        broken = result and any(t is self for t, _ in result.failures + result.errors)
        if broken or not getattr(outcome, "success", True):
            for process in self.kiln.processes:
                print(f"---- {process.log.name} ----\n{process.text()[-6000:]}", file=sys.stderr)


def zip_of(files):
    """A ZIP of {path: text or bytes}."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out.getvalue()


class Watching:
    """Calls look() in a thread, again and again, for the length of a with block."""

    def __init__(self, look, every=0.02):
        self.look, self.every = look, every
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.ended.is_set():
            self.look()
            self.ended.wait(self.every)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()
