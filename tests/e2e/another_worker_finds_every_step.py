"""Two Kilns with data directories of their own and one registry: what the one built, the other finds
step by step, fetches only what a step that has changed must see, and gets the cache mounts.  A cache
in the registry that is broken, hostile or not to be reached costs a warning and no build."""
import fcntl
import hashlib
import http.client
import http.server
import json
import pathlib
import shutil
import socketserver
import tempfile
import threading
import unittest

import kiln_server
from kiln_server import Bases, Kiln, WORKSPACE, http_request, wait_until, zip_of

DOCKERFILE = """FROM alpine:3.20 AS build
WORKDIR /src
COPY lib.txt ./
RUN cat lib.txt lib.txt >made.txt
COPY main.txt ./
RUN cat main.txt made.txt >/out.txt
FROM alpine:3.20
RUN echo tool >/tool
COPY --from=build /out.txt /out.txt
RUN cat /tool /out.txt >/all.txt
"""
# What slims an image, or lists what is in it, has to see all of it.
FILES = {"Dockerfile": DOCKERFILE, "lib.txt": "lib\n", "main.txt": "main\n",
         ".env.build": "SOURCE_DATE_EPOCH=1700000000\n", "blaxel.toml": "[build]\nslim = false\n"}
# These tests put into the registry themselves what an attacker or an accident would.
OPTIONS = ["--registry-auth", "none", "--attest", "off"]
STEPS = ("WORKDIR /src", "COPY lib.txt ./", "RUN cat lib.txt lib.txt >made.txt",
         "COPY main.txt ./", "RUN cat main.txt made.txt >/out.txt", "RUN echo tool >/tool",
         "COPY --from=build /out.txt /out.txt", "RUN cat /tool /out.txt >/all.txt")
INDEX = "application/vnd.kiln.cache.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
KEPT = "its cache is in the registry"


class Proxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The registry behind a proxy that notes what it is asked for and how many bytes that is, and may
    refuse the cache of a workspace."""
    daemon_threads = True

    def __init__(self, registry, refuses=None):
        self.registry, self.refuses, self.refused, self.asked = registry, refuses, 0, []
        super().__init__(("127.0.0.1", 0), Forward)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Forward(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refuses and f"/v2/{self.server.refuses}/cache/" in self.path:
            self.server.refused += 1
            self.close_connection = True
            return
        there = http.client.HTTPConnection(self.server.registry)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        data = answer.read()
        there.close()
        self.server.asked.append((f"{self.command} {self.path}", len(data)))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass


class AnotherWorker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.first = Kiln(cls.bases, options=[*OPTIONS, "--cache-export", "max"])
        cls.addClassCleanup(cls.first.remove)
        cls.first.start()
        cls.second = Kiln(cls.bases, options=[*OPTIONS, "--registry-url",
                                             f"http://{cls.first.registry}"])
        cls.addClassCleanup(cls.second.remove)
        cls.second.start()

    def another(self):
        """The second one, with nothing on its disk that it could know a step by."""
        cache = self.second.data / "builder/cache" / WORKSPACE
        if cache.exists():
            with open(f"{cache}.lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                shutil.rmtree(cache)
        return self.second

    def build(self, kiln, name, files):
        """Builds, and waits until its cache is in the registry; the log and the digest."""
        before = kiln.serve.text().count(KEPT)
        kiln.deploy(name, zip_of(files))
        log = kiln.log_lines(name)
        wait_until("the cache is in the registry",
                   lambda: kiln.serve.text().count(KEPT) > before)
        return log

    def deploy(self, kiln, name, files):
        kiln.deploy(name, zip_of(files))
        return kiln.log_lines(name)

    def digest(self, name):
        return self.first.manifest(name).headers["Docker-Content-Digest"]

    def cached(self, log):
        """The titles of steps, and whether each was cached."""
        titles, found = {}, {}
        for line in log:
            number, _, text = line.partition(" ")
            if text.startswith("[") and "] " in text and not any(
                    w in text for w in ("[internal]", "sandbox-api")):
                titles[number] = text.partition("] ")[2]
            elif number in titles and (text == "CACHED" or text.startswith("DONE")):
                found[titles[number]] = text == "CACHED"
        return found

    def put_index(self, name, index):
        """Makes it the cache of an image."""
        base = f"http://{self.first.registry}/v2/{WORKSPACE}/cache"
        place = http_request("POST", f"{base}/blobs/uploads/").headers["Location"]
        digest = "sha256:" + hashlib.sha256(index).hexdigest()
        answer = http_request("PUT", f"{place}&digest={digest}", index,
                              {"Content-Type": "application/octet-stream"})
        self.assertEqual(answer.status, 201, answer)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": INDEX, "digest": digest, "size": len(index)}}).encode()
        answer = http_request("PUT", f"{base}/manifests/steps-sandbox-{name}", manifest,
                              {"Content-Type": MANIFEST})
        self.assertEqual(answer.status, 201, answer)

    def get_manifest(self, reference):
        return http_request("GET", f"http://{self.first.registry}/v2/{WORKSPACE}/cache/manifests/"
                            f"{reference}", headers={"Accept": MANIFEST})

    def get_index(self, name):
        digest = self.get_manifest(f"steps-sandbox-{name}").json["config"]["digest"]
        return http_request("GET", f"http://{self.first.registry}/v2/{WORKSPACE}/cache/blobs/"
                            f"{digest}").json

    def parts(self, kiln, part):
        return sorted(p.name for p in (kiln.data / f"builder/cache/{WORKSPACE}/{part}").iterdir())

    # ---- steps ----

    def test_all_steps_are_found_and_nothing_is_fetched(self):
        self.build(self.first, "same", FILES)
        first = self.digest("same")
        other = self.another()
        log = self.deploy(other, "same", FILES)
        self.assertEqual(self.cached(log), {s: True for s in STEPS}, log)
        self.assertEqual(self.digest("same"), first)
        self.assertEqual(self.parts(other, "diffs"), [])
        self.assertEqual(self.parts(other, "blobs"), [])

    def test_a_slim_image_is_found_too(self):
        files = {k: v for k, v in FILES.items() if k != "blaxel.toml"}
        files["Dockerfile"] = DOCKERFILE + "RUN mkdir -p /var/cache/apt/archives && " \
                                           "echo deb >/var/cache/apt/archives/a.deb\n"
        self.build(self.first, "slim", files)
        first = self.digest("slim")
        log = self.deploy(self.another(), "slim", files)
        self.assertTrue(all(self.cached(log).values()), log)
        self.assertEqual(self.digest("slim"), first)
        self.assertNotIn("/var/cache/apt/archives/a.deb", self.first.image("slim")[1])
        self.assertEqual(self.parts(self.second, "diffs"), [])

    def test_only_steps_after_a_change_are_run(self):
        self.build(self.first, "changed", FILES)
        log = self.deploy(self.another(), "changed", {**FILES, "main.txt": "other\n"})
        self.assertEqual(self.cached(log), {s: i in (0, 1, 2, 5) for i, s in enumerate(STEPS)}, log)
        _, files = self.first.image("changed")
        self.assertEqual(files["/all.txt"], b"tool\nother\nlib\nlib\n")

    def test_the_registry_keeps_one_manifest_for_an_image(self):
        self.build(self.first, "twice", FILES)
        old = self.get_manifest("steps-sandbox-twice").headers["Docker-Content-Digest"]
        self.build(self.first, "twice", {**FILES, "main.txt": "later\n"})
        new = self.get_manifest("steps-sandbox-twice").headers["Docker-Content-Digest"]
        self.assertNotEqual(old, new)
        self.assertEqual(self.get_manifest(old).status, 404)
        log = self.deploy(self.another(), "twice", FILES)
        self.assertTrue(all(self.cached(log).values()), "an earlier build's steps are kept, too")
        self.assertEqual(self.first.request("DELETE", "/sandboxes/twice").status, 200)
        self.assertEqual(self.first.request("DELETE", "/images/sandbox/twice").status, 200)
        self.assertEqual(self.get_manifest("steps-sandbox-twice").status, 404)

    def test_prune_makes_room_and_the_registry_still_has_it(self):
        self.build(self.first, "pruned", FILES)
        other = self.another()
        self.deploy(other, "pruned", {**FILES, "main.txt": "other\n"})
        self.assertNotEqual(self.parts(other, "diffs"), [])
        done = wait_until("no build runs", lambda: next(
            (out for out in [other.run("prune", "--data-dir", other.data).stdout]
             if "left as it is" not in out), None))
        self.assertIn("freed in all", done)
        self.assertEqual(self.parts(other, "diffs"), [])
        self.assertEqual(self.parts(other, "records"), [])
        log = self.deploy(other, "pruned", {**FILES, "lib.txt": "lib 2\n"})
        self.assertTrue(self.cached(log)["WORKDIR /src"], log)

    # ---- without a service, and with the layers of the image alone ----

    def kiln_build(self, project, *options, registry=None, code=0):
        """On an empty disk; the log."""
        with tempfile.TemporaryDirectory(prefix="kiln-e2e-") as data:
            done = self.first.run("build", project, "--type", "job", "--name", "small",
                                  "--data-dir", data, "--mirrors", self.first.mirrors,
                                  "--registry-url", f"http://{registry or self.first.registry}",
                                  "--cache-export", "min", *OPTIONS, *options,
                                  check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def test_min_finds_an_unchanged_image_and_else_makes_the_other_stages_anew(self):
        project = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="kiln-e2e-")))
        for name, content in FILES.items():
            (project / name).write_text(content)
        self.kiln_build(project)
        self.assertEqual(self.cached(self.kiln_build(project)), {s: True for s in STEPS})
        log = self.kiln_build(project, "--no-cache")
        self.assertEqual(self.cached(log), {s: False for s in STEPS}, log)
        (project / "main.txt").write_text("other\n")
        log = self.kiln_build(project)
        self.assertIn("its files were not kept", "\n".join(log))
        _, files = self.first.image("small", kind="job", workspace="local")
        self.assertEqual(files["/all.txt"], b"tool\nother\nlib\nlib\n")

    def test_what_slimming_and_the_sbom_found_is_known_without_a_layer(self):
        project = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="kiln-e2e-")))
        (project / "Dockerfile").write_text(
            "FROM alpine:3.20\nRUN mkdir -p /var/cache/apt /lib/apk/db && echo deb >/var/cache/apt/a "
            "&& printf 'P:musl\\nV:1.2\\n\\n' >/lib/apk/db/installed\n"
            "RUN rm -rf /none && mkdir -p /var/cache/apk && echo x >/var/cache/apk/x\n")
        boms = project.parent / f"{project.name}.1", project.parent / f"{project.name}.2"
        for bom in boms:
            self.addCleanup(bom.unlink)
        first = self.kiln_build(project, "--attest", "on", "--sbom", boms[0])
        proxy = Proxy(self.first.registry)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        log = self.kiln_build(project, "--attest", "on", "--sbom", boms[1],
                              registry=f"127.0.0.1:{proxy.server_port}")
        self.assertEqual(set(self.cached(log).values()), {True}, log)

        def slim(lines):
            return sorted(line.partition("slim: ")[2] for line in lines if "slim: " in line)
        self.assertIn("removed", "".join(slim(first)))
        self.assertEqual(slim(first), slim(log))

        def packages(bom):
            return sorted(p["name"] for p in json.loads(bom.read_text())["packages"]
                          if "/" not in p["name"])  # without the image's own name
        self.assertIn("musl", packages(boms[0]))
        self.assertEqual(packages(boms[0]), packages(boms[1]))
        image = self.first.manifest("small", kind="job", workspace="local")
        layers = {layer["digest"] for layer in image.json["layers"]}
        # An image that is deployed is read back: its configuration, and the last byte of each layer.
        asked = {path.rsplit("/", 1)[1] for path, size in proxy.asked
                 if path.startswith("GET /v2/local/") and "/blobs/" in path and size > 1}
        self.assertFalse(asked & layers, asked)
        self.assertLessEqual(len(asked - {image.json["config"]["digest"]}), 2,
                             "the index, and what is known of the image")

    def test_what_a_failed_build_has_done_is_found_by_the_next(self):
        project = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="kiln-e2e-")))
        steps = ("RUN mkdir /failed && echo one >/failed/1", "COPY lib.txt /failed/lib.txt")
        start = "\n".join(["FROM alpine:3.20", *steps]) + "\n"
        (project / "lib.txt").write_text("lib\n")
        (project / "Dockerfile").write_text(start + "RUN exit 3\n")
        self.kiln_build(project, code=1)
        (project / "Dockerfile").write_text(start + "RUN cat /failed/1 /failed/lib.txt >/all\n")
        found = self.cached(self.kiln_build(project))
        self.assertEqual({s: found[s] for s in steps}, {s: True for s in steps})
        _, files = self.first.image("small", kind="job", workspace="local")
        self.assertEqual(files["/all"], b"one\nlib\n")

    # ---- cache mounts ----

    def test_a_cache_mount_is_there_on_another_worker(self):
        dockerfile = ("FROM alpine:3.20\nARG N\nRUN --mount=type=cache,target=/c,id=mounted "
                      "echo $N >>/c/list && cp /c/list /list\n")
        self.build(self.first, "mount", {"Dockerfile": dockerfile, ".env.build": "N=1\n"})
        other = self.another()
        self.build(other, "mount", {"Dockerfile": dockerfile, ".env.build": "N=2\n"})
        self.assertEqual(self.first.image("mount")[1]["/list"], b"1\n2\n")
        self.deploy(self.another(), "mount", {"Dockerfile": dockerfile, ".env.build": "N=3\n"})
        self.assertEqual(self.first.image("mount")[1]["/list"], b"1\n2\n3\n")

    # ---- what may be wrong ----

    def test_an_index_that_is_none_is_left_aside(self):
        for name, index in (("no-json", b"\0not JSON"), ("no-steps", b"[]")):
            with self.subTest(name=name):
                self.put_index(name, index)
                log = self.deploy(self.another(), name, FILES)
                self.assertEqual(self.cached(log), {s: False for s in STEPS}, log)
                self.assertIn("warning: the cache in the registry is left aside", "\n".join(log))

    def test_a_layer_that_is_not_what_the_index_says_is_left_aside(self):
        self.build(self.first, "forged", FILES)
        index = self.get_index("forged")
        for step in index["steps"]:
            if "layer" in step["record"]:
                step["record"]["layer"]["diff_id"] = "sha256:" + "0" * 64
        self.put_index("forged", json.dumps(index).encode())
        log = self.deploy(self.another(), "forged", {**FILES, "main.txt": "mine\n"})
        self.assertIn("warning: the cache in the registry is left aside", "\n".join(log))
        _, files = self.first.image("forged")
        self.assertEqual(files["/all.txt"], b"tool\nmine\nlib\nlib\n")

    def test_a_cache_that_is_not_to_be_reached_fails_no_build(self):
        proxy = Proxy(self.first.registry, WORKSPACE)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        other = Kiln(self.bases, options=[*OPTIONS, "--registry-url",
                                          f"http://127.0.0.1:{proxy.server_port}"])
        self.addCleanup(other.remove)
        other.start()
        log = self.deploy(other, "cut", FILES)
        self.assertEqual(self.cached(log), {s: False for s in STEPS}, log)
        wait_until("the export has failed",
                   lambda: "keep its cache in the registry" in other.serve.text())
        self.assertGreater(proxy.refused, 1)
        self.assertEqual(other.status("cut"), "DEPLOYED")


if __name__ == "__main__":
    kiln_server.main()
