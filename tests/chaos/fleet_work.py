"""What five workspaces upload to a fleet, how each of it must end, and whether it did.

Every project has one upload on its way at a time.  An upload is accepted when its PUT was answered
with 200; from then on it has to end by itself, right and once, whatever becomes of who does it.
"""
import hashlib
import http.client
import http.server
import io
import json
import random
import tarfile
import threading
import time
import urllib.parse

from kiln_server import http_request, zip_of

WORKSPACES = ("acme", "umbra", "zephyr", "quartz", "borealis")
MIB = 1 << 20
AUTO = {"x-blaxel-auto-generated": "true"}
FINAL = ("DEPLOYED", "FAILED")
AGAIN = (OSError, http.client.HTTPException, json.JSONDecodeError)


class Refused(Exception):
    """An answer that will be the same next time."""


def noise(text, size):
    """Bytes that do not compress, the same for the same text."""
    return hashlib.shake_128(text.encode()).digest(size)


def dockerfile(kind):
    """With COPY token, whose content is another one each time."""
    token = "COPY token /token\n"
    return {
        "plain": f"FROM alpine:3.20\nRUN echo kept >/kept\n{token}RUN cat /token >/copy\n",
        "stages": f"FROM alpine:3.20 AS one\n{token}RUN head -c 200000 /dev/urandom >/noise\n"
                  "FROM alpine:3.20\nRUN echo kept >/kept\nCOPY --from=one /token /noise /\n",
        "caching": f"FROM alpine:3.20\n{token}RUN --mount=type=cache,target=/c "
                   "cat /token >>/c/all && cp /token /copy\n",
        "failing": f"FROM alpine:3.20\n{token}RUN cat /token; exit 42\n",
    }[kind]


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1700000000
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


class Upload:
    """One that was accepted."""

    def __init__(self, project, number, token, build):
        self.project, self.number, self.token, self.build = project, number, token, build
        self.accepted, self.ended, self.status = time.monotonic(), 0, ""

    def __str__(self):
        return f"{self.project} upload {self.number}, build {self.build}"


class Project:
    """One name in one workspace, whose uploads follow one another.  reason: of those that must fail;
    events: what each upload has told in the end, in that order."""
    path, fails, reason, events = "sandboxes", False, "", ()

    def __init__(self, work, workspace, kind):
        self.work, self.workspace, self.kind = work, workspace, kind
        self.name = f"fleet-{kind}"
        self.uploads = []  # all that were accepted
        self.current = None

    def __str__(self):
        return f"{self.workspace}/{self.name}"

    def archive(self, token):
        return zip_of({"Dockerfile": dockerfile(self.kind), "token": token})

    def body(self):
        return {"metadata": {"name": self.name}, "spec": {"runtime": {"memory": 2048}}}

    def upload(self, number, token):
        """Announces and uploads, as often as it takes; the upload is noted once it is accepted."""
        archive = self.archive(token)
        url = self.work.persist(self, "announce", self.announce)
        while not self.work.persist(self, "upload", lambda: self.put(url, archive)):
            url = self.work.persist(self, "announce", self.announce)
        build = urllib.parse.urlsplit(url).path.rpartition("/")[2][:32]
        self.current = Upload(self, number, token, build)
        self.uploads.append(self.current)

    def announce(self):
        kiln = self.work.kiln
        answer = kiln.request("PUT", f"/{self.path}/{self.name}?upload=true", self.body(),
                              self.workspace)
        if answer.status == 404:
            answer = kiln.request("POST", f"/{self.path}?upload=true", self.body(), self.workspace)
        if answer.status in (200, 201):
            return answer.headers["X-Blaxel-Upload-Url"]
        if answer.status >= 500 or answer.status == 409:  # 409: a POST whose answer was lost
            raise OSError(str(answer))
        raise Refused(str(answer))

    def put(self, url, archive):
        answer = http_request("PUT", url, archive, {"Content-Type": "application/zip"})
        if answer.status >= 500:
            raise OSError(str(answer))
        if answer.status not in (200, 403, 409):  # a URL that is out of date
            raise Refused(str(answer))
        return answer.status == 200

    def look(self):
        """The status that the API tells; "" while it is not to be reached."""
        try:
            answer = self.work.kiln.get(f"/{self.path}/{self.name}", workspace=self.workspace)
            return answer.json.get("status", "") if answer.status == 200 else ""
        except AGAIN:
            return ""

    # ---- the end ----

    def faults(self, builds):
        """What is wrong with how its uploads ended; builds: rows of the database by id."""
        for upload in self.uploads:
            row = builds.get(upload.build)
            if not row:
                yield f"{upload}: no such build"
            elif self.fails and (row["phase"] != 4 or self.reason not in row["message"]):
                yield f"{upload}: should have failed with \"{self.reason}\": {row}"
            elif not self.fails and row["phase"] != 3:
                yield f"{upload}: should have succeeded: {row}"
            elif upload.status != ("FAILED" if self.fails else "DEPLOYED"):
                yield f"{upload}: the API said {upload.status}, the database {row}"

    def results(self, builds):
        """What they made, or made once too often."""
        raise NotImplementedError


class ImageProject(Project):
    events = ("buildimage.created", "buildimage.succeeded", "deployment.created", "deployment.ready",
              "deployment.succeeded")

    def results(self, builds):
        kiln, where = self.work.kiln, {"workspace": self.workspace}
        made = [u for u in self.uploads if builds.get(u.build, {}).get("phase") == 3]
        tags = kiln.tags(self.name, **where)
        wanted = sorted([builds[u.build]["tag"] for u in made] + ["latest"] * bool(made))
        if tags != wanted:
            yield f"{self}: the tags are {tags}, and should be {wanted}"
        for upload in made:
            digest = builds[upload.build]["digest"]
            manifest = kiln.manifest(self.name, digest, **where).json
            wanted_of_tag = kiln.manifest(self.name, builds[upload.build]["tag"], **where)
            if "sha256:" + hashlib.sha256(wanted_of_tag.body).hexdigest() != digest:
                yield f"{upload}: its tag is not {digest}"
            kiln.blob(self.name, manifest["config"]["digest"], **where)
            if self.token_in(manifest) != upload.token.encode():
                yield f"{upload}: the image {digest} has another /token"
        if made and self.latest() != builds[made[-1].build]["digest"]:
            yield f"{self}: latest is not the last one that was built"

    def latest(self):
        body = self.work.kiln.manifest(self.name, workspace=self.workspace).body
        return "sha256:" + hashlib.sha256(body).hexdigest()

    def token_in(self, manifest):
        """Of the top layer that has one; the base, below, is the largest and is read for its digest."""
        found = None
        for layer in reversed(manifest["layers"]):
            blob = self.work.kiln.blob(self.name, layer["digest"], workspace=self.workspace)
            with tarfile.open(fileobj=io.BytesIO(blob)) as files:
                if found is None and "token" in files.getnames():
                    found = files.extractfile("token").read()
        return found


class FailingProject(ImageProject):
    fails, reason = True, "exit code: 42"
    events = ("buildimage.created", "buildimage.failed", "deployment.failed")


class BrokenProject(FailingProject):
    reason = "not an archive that can be read"

    def archive(self, token):
        return f"this is no archive: {token}".encode() * 20


class PackProject(Project):
    path, size = "volume_templates", 30000
    events = ("volumetemplate.created", "volumetemplate.ready")

    def archive(self, token):
        return tar_of({"token": token.encode(), "kept": noise(self.kind, self.size),
                       "other": noise(token, 5000)})

    def body(self):
        return {"metadata": {"name": self.name, "labels": AUTO}, "spec": {"defaultSize": 64}}

    def results(self, builds):
        if not self.uploads:
            return
        answer = self.work.kiln.get(f"/volume_templates/{self.name}", workspace=self.workspace)
        made = sum(builds.get(u.build, {}).get("phase") == 3 for u in self.uploads)
        found = (answer.json["state"].get("versionCount"), answer.json["state"].get("latestVersion"))
        if made and found != (made, str(made)):
            yield f"{self}: {made} uploads were packed, and (versions, the latest) are {found}"


class LargePackProject(PackProject):
    """Its packs go to the store in parts."""
    size = 20 * MIB


class BrokenPackProject(PackProject):
    fails, reason = True, "not an archive that can be read"
    events = ("volumetemplate.created", "volumetemplate.failed")

    def archive(self, token):
        return f"this is no archive: {token}".encode() * 200


KINDS = {"plain": ImageProject, "stages": ImageProject, "caching": ImageProject,
         "failing": FailingProject, "broken": BrokenProject, "pack": PackProject,
         "large-pack": LargePackProject, "broken-pack": BrokenPackProject}
# How often each is uploaded.
WEIGHTS = {"plain": 4, "stages": 3, "caching": 2, "failing": 2, "broken": 1, "pack": 4,
           "large-pack": 1, "broken-pack": 1}


class Work:
    """Gives every workspace the same number of uploads, in an order drawn from the seed."""

    def __init__(self, kiln, options, tell):
        self.kiln, self.options, self.tell = kiln, options, tell
        self.random = random.Random(options.seed)
        self.projects = [kind(self, w, name) for w in WORKSPACES for name, kind in KINDS.items()]
        self.given_up = threading.Event()
        self.progress = time.monotonic()
        self.accepted = self.ended = 0
        self.lock = threading.Lock()

    def persist(self, project, what, act):
        """Until it is answered, as a client would that has patience."""
        since, told = time.monotonic(), False
        while True:
            try:
                return act()
            except AGAIN as error:
                if self.given_up.is_set() or time.monotonic() - since > self.options.patience:
                    raise AssertionError(f"{project}: {what}: {error}") from error
                if not told and time.monotonic() - since > 15:
                    told = True
                    self.tell("waits", f"{project} to {what}: {error}")
                time.sleep(0.5)

    def plan(self):
        """(workspace, kind) of each upload."""
        share = [self.options.uploads // len(WORKSPACES)] * len(WORKSPACES)
        for i in range(self.options.uploads % len(WORKSPACES)):
            share[i] += 1
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        planned = []
        for workspace, n in zip(WORKSPACES, share):
            # One of each before any comes again.
            drawn = self.random.sample(kinds, min(n, len(kinds)))
            drawn += self.random.choices(kinds, weights, k=n - len(drawn))
            planned += [(workspace, kind) for kind in drawn]
        self.random.shuffle(planned)
        return planned

    def client(self, project, numbers):
        """A thread: one project's uploads, one after the other."""
        for number in numbers:
            with self.slots:
                if self.given_up.is_set():
                    return
                project.upload(number, f"token-{self.options.seed}-{number}")
                with self.lock:
                    self.accepted += 1
                    self.progress = time.monotonic()
                self.await_end(project)

    def await_end(self, project):
        upload = project.current
        while not self.given_up.wait(0.7):
            status = project.look()
            if status in FINAL:
                upload.status, upload.ended = status, time.monotonic()
                with self.lock:
                    self.ended += 1
                    self.progress = time.monotonic()
                return

    def guarded(self, project, numbers):
        try:
            self.client(project, numbers)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.errors.append(f"{project}: {type(error).__name__}: {error}")
            self.given_up.set()

    def run(self):
        """Returns once every upload was accepted and has ended."""
        numbers = {}
        for number, (workspace, kind) in enumerate(self.plan()):
            numbers.setdefault((workspace, kind), []).append(number)
        self.slots = threading.Semaphore(self.options.at_once)
        self.errors = []
        by_name = {(p.workspace, p.kind): p for p in self.projects}
        threads = [threading.Thread(target=self.guarded, args=(by_name[key], mine), daemon=True)
                   for key, mine in numbers.items()]
        self.random.shuffle(threads)
        for thread in threads:
            thread.start()
        told = 0
        while any(t.is_alive() for t in threads):
            time.sleep(0.2)
            if time.monotonic() - told > self.options.every:
                told = time.monotonic()
                self.tell("progress", f"{self.accepted} uploads accepted, {self.ended} ended, of "
                                      f"{self.options.uploads}")
            if time.monotonic() - self.progress > self.options.patience:
                self.given_up.set()
                self.errors.append(f"nothing was accepted and nothing ended for "
                                   f"{self.options.patience:.0f} s: lost are "
                                   + ", ".join(str(u) for u in self.unended()))
                break
        assert not self.errors, "\n".join(self.errors)

    def unended(self):
        return [u for p in self.projects for u in p.uploads if not u.ended]


class Receiver:
    """The cluster that webhooks tell: refuses one request in ten, and keeps what it was told."""

    def __init__(self, seed, address):
        self.messages, self.refused, self.again = {}, 0, 0  # messages: {id: body}
        self.random, self.lock = random.Random(seed + 2), threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(receiver.note(self.headers["webhook-id"], body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        self.server = http.server.ThreadingHTTPServer(address, Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note(self, number, body):
        with self.lock:
            if self.random.random() < 0.1:
                self.refused += 1
                return 503
            self.again += number in self.messages
            self.messages[number] = body
            return 200
