"""What `bl push` sends, header by header, replayed on its own clock (PROTOCOL 1.2 to 1.5)."""
import base64
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import time
import urllib.parse

import kiln_server
from go_zip import GoZip
from kiln_server import Answer, KilnCase, WORKSPACE, Watching

NAME = "my-sandbox-1"
ALIKE = "the same line twice"


class Bl:
    """One CLI process: its connection, its headers, its clock."""

    def __init__(self, kiln):
        self.kiln = kiln
        self.host = f"127.0.0.1:{kiln.port}"
        self.connection = http.client.HTTPConnection("127.0.0.1", kiln.port, timeout=60)
        self.key = kiln.key()

    def call(self, method, path, body=None):
        """A control-plane request with the complete header set of PROTOCOL 1.2."""
        c = self.connection
        c.putrequest(method, "/v0" + path, skip_host=True, skip_accept_encoding=True)
        headers = [("Host", self.host),
                   ("User-Agent", "blaxel/cli/golang/v0.1.80 (linux/amd64) blaxel/c47b38a"),
                   ("Accept", "application/json"), ("Authorization", f"Bearer {self.key}"),
                   ("Blaxel-Version", "2026-04-28"), ("X-Blaxel-Workspace", WORKSPACE)]
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        headers += [("X-Stainless-Arch", "x64"), ("X-Stainless-Lang", "go"),
                    ("X-Stainless-Os", "Linux"), ("X-Stainless-Package-Version", "0.25.0"),
                    ("X-Stainless-Retry-Count", "0"), ("X-Stainless-Runtime", "go"),
                    ("X-Stainless-Runtime-Version", "go1.26.10"), ("Accept-Encoding", "gzip")]
        for name, value in headers:
            c.putheader(name, value)
        c.endheaders(body)
        return Answer(c.getresponse())

    def request_build(self):
        body = json.dumps({"name": NAME, "resourceType": "sandbox", "generation": "mk3"},
                          separators=(",", ":")).encode()
        return self.call("POST", "/images?upload=true", body)

    @staticmethod
    def upload(url, archive):
        parts = urllib.parse.urlsplit(url)
        with contextlib.closing(http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=60)) as c:
            c.putrequest("PUT", f"{parts.path}?{parts.query}", skip_host=True,
                         skip_accept_encoding=True)
            for name, value in (("Host", parts.netloc), ("User-Agent", "Go-http-client/1.1"),
                                ("Content-Length", str(len(archive))),
                                ("Content-Type", "application/zip"), ("Accept-Encoding", "gzip")):
                c.putheader(name, value)
            c.endheaders(archive)
            return Answer(c.getresponse())

    def status(self):
        answer = self.call("GET", f"/images/sandbox/{NAME}")
        return answer.json["metadata"].get("status") if answer.status == 200 else None

    def logs(self, start):
        end = start + datetime.timedelta(hours=1)
        query = {
            "start": start.strftime("%Y-%m-%dT%H:%M:%S"), "end": end.strftime("%Y-%m-%dT%H:%M:%S"),
            "resourceType": "sandboxes", "workloadIds": NAME, "workspace": WORKSPACE,
            "type": "all", "severity": "all,UNKNOWN,TRACE,DEBUG,INFO,WARNING,ERROR,FATAL",
            "limit": "1000", "offset": "0", "interval": "60", "traceId": "", "search": "",
            "taskId": "", "executionId": ""}
        answer = self.call("GET", "/observability/logs?"
                           + urllib.parse.urlencode(sorted(query.items())))
        return {f'{e["timestamp"]}:{e["message"]}': e for e in answer.json[NAME]["logs"]}

    def watch(self, log_every=2.0, status_every=5.0, seconds=240):
        """Polls as the CLI does; returns the final status, when it was seen, and the log lines, each
        with a moment when it was not there yet: that of the question before the one that told it."""
        start = datetime.datetime.now(datetime.timezone.utc)
        begun = time.monotonic()
        next_log, next_status, lines = log_every + 0.2, status_every, {}
        asked = time.time()
        while (now := time.monotonic() - begun) < seconds:
            if now >= next_log:
                before, asked = asked, time.time()
                for key, line in self.logs(start).items():
                    lines.setdefault(key, (before, line))
                next_log += log_every
            elif now >= next_status:
                status = self.status()
                if status in ("BUILT", "FAILED"):
                    return status, time.time(), lines
                next_status += status_every
            else:
                time.sleep(min(next_log, next_status) - now)
        raise AssertionError("neither BUILT nor FAILED")


def project(token):
    """What `bl push -d app` packs: the whole folder, then app's two files again at the root."""
    dockerfile = f"""FROM alpine:3.20
WORKDIR /app
COPY . .
ARG API_TOKEN
RUN printf %s "$API_TOKEN" | sha256sum > /token.sha256 && sleep 2
RUN echo "{ALIKE}"; echo "{ALIKE}"; echo the last words of the build
"""
    z = GoZip()
    z.file("Dockerfile", b"FROM alpine:3.20\nRUN echo the Dockerfile of the wrong folder; exit 1\n")
    z.directory("app")
    z.file("app/Dockerfile", dockerfile.encode())
    z.file("app/blaxel.toml", b'type = "sandbox"\n')
    z.file("app/start.sh", b"#!/bin/sh\n", 0o755)
    z.directory("app/empty")
    z.file("Dockerfile", dockerfile.encode())
    z.file("blaxel.toml", b'type = "sandbox"\n')
    password = base64.b64encode(f"user:{token}-of-the-registry".encode()).decode()
    z.injected(".docker/config.json",
               json.dumps({"auths": {"registry.example.com": {"auth": password}}}).encode())
    z.injected(".env.build", f"API_TOKEN={token}\nPLAIN=1\n".encode())
    return z.finish(), password


class ArgumentLists:
    """Every argument of every process, as anybody's `ps` would show it."""

    def __init__(self, *needles):
        self.needles, self.seen = [n.encode() for n in needles], []

    def look(self):
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    text = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if any(n in text for n in self.needles):
                    self.seen.append(text)


class BlPush(KilnCase):
    def cli(self):
        bl = Bl(self.kiln)
        self.addCleanup(bl.connection.close)
        return bl

    def push(self, bl, archive, **pace):
        answer = bl.request_build()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers.get_content_type(), "application/json")
        self.assertEqual((answer.json["name"], answer.json["resourceType"]), (NAME, "sandbox"))
        self.assertEqual(bl.status(), "UPLOADING", "reset at once, also on a rebuild")
        upload = bl.upload(answer.headers["X-Blaxel-Upload-Url"], archive)
        self.assertEqual(upload.status, 200, upload)
        return bl.watch(**pace)

    def test_push_ends_in_built(self):
        token = secrets.token_hex(16)
        archive, password = project(token)
        bl, arguments = self.cli(), ArgumentLists(token, password)
        with Watching(arguments.look):
            status, seen, lines = self.push(bl, archive)
        self.check_log(bl, status, seen, lines)
        self.check_secrets(token, password, lines, arguments)

        with self.subTest("again, asking five times a second"):
            before = self.kiln.tags(NAME)
            archive, _ = project(secrets.token_hex(16))
            status, seen, lines = self.push(bl, archive, log_every=0.2, status_every=0.2)
            self.check_log(bl, status, seen, lines)
            self.assertGreaterEqual(seen - max(before for before, _ in lines.values()), 1.9,
                                    "the last line was fetchable 2 s before the end showed")
            tags = self.kiln.get(f"/images/sandbox/{NAME}").json["spec"]["tags"]
            self.assertEqual(len(tags), len(before) + 1, tags)
            self.assertEqual(sorted(t["name"] for t in tags), self.kiln.tags(NAME))

    def check_log(self, bl, status, seen, lines):
        messages = [line["message"] for _, line in sorted(
            lines.values(), key=lambda pair: pair[1]["timestamp"])]
        self.assertEqual(status, "BUILT", "\n".join(messages))
        self.assertEqual(sum(m == ALIKE or m.endswith(" " + ALIKE) for m in messages), 2, messages)
        self.assertTrue(any("the last words" in m and "echo" not in m for m in messages), messages)
        everything = bl.logs(datetime.datetime.now(datetime.timezone.utc))
        self.assertEqual(set(everything), set(lines), "no line came after the last fetch")
        for _, line in lines.values():
            self.assertIsInstance(line["severity"], int)
            self.assertRegex(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")

    def check_secrets(self, token, password, lines, arguments):
        config, files = self.kiln.image(NAME)
        self.assertEqual(files["/token.sha256"].split()[0].decode(),
                         hashlib.sha256(token.encode()).hexdigest(), "the argument arrived")
        self.assertNotIn("/app/.env.build", files)
        self.assertNotIn("/app/.docker", files)
        self.assertNotIn("/app/.docker/config.json", files)
        self.assertIn("/app/app/empty", files)
        self.assertIn("/usr/local/bin/sandbox-api", files, "Kiln put it in")
        self.assertEqual(config["config"]["Entrypoint"], ["/usr/local/bin/sandbox-api"])
        told = json.dumps(config) + "".join(lines) + "".join(p.text() for p in self.kiln.processes)
        for secret in (token, password):
            self.assertNotIn(secret, told)
            self.assertFalse([p for p, data in files.items()
                              if isinstance(data, bytes) and secret.encode() in data])
        self.assertEqual(arguments.seen, [])
        self.assert_no_secret_on_disk(token)

    def assert_no_secret_on_disk(self, secret):
        """The state database keeps what API and log say; the archive is gone by now."""
        for at, _, names in os.walk(self.kiln.data):
            for path in (pathlib.Path(at, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 26:
                        self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_an_upload_that_failed_is_tried_with_a_new_url(self):
        bl = self.cli()
        archive, _ = project(secrets.token_hex(16))
        first = bl.request_build().headers["X-Blaxel-Upload-Url"]
        # The CLI saw an error and asks again; nothing but the newest URL counts any more.
        second = bl.request_build().headers["X-Blaxel-Upload-Url"]
        self.assertNotEqual(first, second)
        self.assertEqual(bl.upload(second, archive).status, 200)
        self.assertNotEqual(bl.upload(first, archive).status, 200)
        status, _, lines = bl.watch()
        self.assertEqual(status, "BUILT", [line["message"] for _, line in lines.values()])

    def test_the_commands_that_read_images_are_answered(self):
        bl = self.cli()
        archive, _ = project(secrets.token_hex(16))
        self.push(bl, archive)
        images = bl.call("GET", "/images").json
        self.assertIsInstance(images, list)
        mine = next(i for i in images if i["metadata"]["name"] == NAME)
        self.assertEqual(mine["metadata"]["resourceType"], "sandbox")
        self.assertGreater(mine["spec"]["size"], 0)
        absent = bl.call("GET", "/images/sandbox/none")
        self.assertEqual(absent.status, 404)
        self.assertEqual(absent.json["code"], 404)


if __name__ == "__main__":
    kiln_server.main()
