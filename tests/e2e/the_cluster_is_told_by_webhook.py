"""Webhooks: signed as docs/webhooks.md says, sent until they are acknowledged, through every kill."""
import contextlib
import http.server
import json
import pathlib
import re
import tempfile
import threading
import time
import unittest

import kiln_server
from kiln_server import SOURCE, WORKSPACE, Bases, Kiln, KilnCase, wait_until, zip_of
from own_ca import OwnCa

GOOD = zip_of({"Dockerfile": 'FROM alpine:3.20\nCMD ["true"]\n'})
BAD = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN exit 42\n"})
TIMEOUT = 3


def documented_verify():
    """The function in the documentation, as it stands there."""
    text = (SOURCE / "docs/webhooks.md").read_text()
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)  # pylint: disable=exec-used
    return names["verify"]


verify = documented_verify()


class Receiver:
    """Answers each request with the next of its plans (the last one for ever), and keeps it."""

    def __init__(self, *plans, ca=None):
        self.plans, self.requests, self.lock = list(plans), [], threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    plan = receiver.plans.pop(0) if len(receiver.plans) > 1 else receiver.plans[0]
                    receiver.requests.append((time.monotonic(), self.headers, body))
                with contextlib.suppress(OSError):
                    plan(self)

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if ca:
            ca.wrap(self.server)
        self.url = (f"http{'s' if ca else ''}://127.0.0.1:"
                    f"{self.server.server_address[1]}/hook")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def wait_for(self, n, seconds=120):
        wait_until(f"{n} requests have come", lambda: len(self.requests) >= n, seconds)
        return self.requests


def answer(status, **headers):
    def plan(request):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()
    return plan


def talk(request):
    """Acknowledges, and goes on for ever."""
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b"thank you " * 1000)


def hang(request):
    del request
    time.sleep(20 * TIMEOUT)


def listed(kiln, *more):
    done = kiln.run("webhook", "ls", "--json", *more, "--data-dir", kiln.data)
    return [json.loads(line) for line in done.stdout.splitlines()]


def secrets(kiln):
    return kiln.run("webhook", "secret", "--data-dir", kiln.data).stdout.split()


class Case(unittest.TestCase):
    """A Kiln of each test's own, with receivers that it tells."""

    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)

    def setUp(self):
        self.addCleanup(KilnCase.show_log_on_failure, self)

    def receiver(self, *plans, **more):
        receiver = Receiver(*plans, **more)
        self.addCleanup(receiver.stop)
        return receiver

    def serve(self, *receivers, options=()):
        urls = [word for r in receivers for word in ("--webhooks", r.url)]
        self.kiln = Kiln(self.bases, 2, [*urls, "--webhook-timeout", f"{TIMEOUT}s", *options])
        self.addCleanup(self.kiln.remove)
        return self.kiln.start()

    def check_signed(self, request, secret):
        _, headers, body = request
        self.assertTrue(verify(headers, body, secret))
        self.assertFalse(verify(headers, body + b" ", secret))
        self.assertFalse(verify(headers, body, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
        self.assertFalse(verify({**headers, "webhook-timestamp": "1600000000"}, body, secret))
        return json.loads(body)

    def test_a_receiver_that_fails_in_every_way_is_told_until_it_acknowledges(self):
        """And one that works is told at once meanwhile."""
        well = self.receiver(answer(204))
        ill = self.receiver(answer(500), answer(429, Retry_After="4"), hang,
                            answer(302, Location=well.url), answer(200))
        kiln = self.serve(well, ill)
        kiln.submit("demo", GOOD)
        well.wait_for(1)
        body = self.check_signed(well.requests[0], *secrets(kiln))
        tag = max(kiln.get("/sandboxes/demo").json["events"], key=lambda e: e["time"])["revision"]
        digest = kiln.manifest("demo", tag).headers["Docker-Content-Digest"]
        self.assertEqual(body["type"], "deployment.succeeded")
        self.assertEqual(
            {k: v for k, v in body["data"].items() if k != "build"},
            {"workspace": WORKSPACE, "type": "sandbox", "name": "demo", "revision": tag,
             "status": "DEPLOYED", "digest": digest,
             "image": f"{kiln.registry}/{WORKSPACE}/sandbox/demo@{digest}"})

        requests = ill.wait_for(5)
        wait_until("nothing waits", lambda: not listed(kiln), 60)
        self.assertEqual({r[1]["webhook-id"] for r in requests}, {well.requests[0][1]["webhook-id"]})
        self.assertEqual({r[2] for r in requests}, {well.requests[0][2]})
        for request in requests:
            self.check_signed(request, *secrets(kiln))
        moments = [r[0] for r in requests]
        self.assertGreaterEqual(moments[1] - moments[0], 0.9, "a pause")
        self.assertGreaterEqual(moments[2] - moments[1], 3.9, "as Retry-After says")
        self.assertGreaterEqual(moments[3] - moments[2], TIMEOUT + 3.9, "the limit and a pause")
        attempts = {m["url"]: m["attempts"] for m in listed(kiln, "--all")}
        self.assertEqual(attempts, {well.url: 1, ill.url: 5})
        log = kiln.serve.text()
        for words in ("attempt 1: HTTP 500", "attempt 2: HTTP 429", "attempt 3: POST 127.0.0.1",
                      "attempt 4: HTTP 302", "delivered by attempt 5"):
            self.assertIn(words, log)
        self.assertEqual(len(well.requests), 1, "and no redirect was followed")

        kiln.submit("broken", BAD)
        body = self.check_signed(well.wait_for(2)[1], *secrets(kiln))
        self.assertEqual(body["type"], "deployment.failed")
        self.assertEqual(body["data"]["status"], "FAILED")
        self.assertIn("exit code: 42", body["data"]["message"])
        self.assertNotIn("image", body["data"])

        function = {"metadata": {"name": "fn"},
                    "spec": {"runtime": {"image": "ghcr.io/me/fn:v2", "skipBuild": "true"}}}
        volume = {"metadata": {"name": "vol"}, "spec": {"size": 64}}
        for method, path, sent, told in (
                ("POST", "/functions", function,
                 {"type": "deployment.succeeded", "status": "DEPLOYED", "image": "ghcr.io/me/fn:v2"}),
                ("POST", "/volumes", volume, {"type": "volume.ready", "status": "DEPLOYED"}),
                ("DELETE", "/functions/fn", None, {"type": "deployment.deleted", "status": "DELETED"}),
                ("DELETE", "/volumes/vol", None, {"type": "volume.deleted", "status": "DELETED"})):
            n = len(well.requests)
            self.assertEqual(kiln.request(method, path, sent).status, 200)
            body = self.check_signed(well.wait_for(n + 1)[n], *secrets(kiln))
            self.assertEqual({"type": body["type"], **{
                k: v for k, v in body["data"].items() if k in ("status", "image")}}, told)
            self.assertIn(body["data"]["name"], ("fn", "vol"))

    def test_what_waits_is_shown_and_survives_kills_at_every_moment(self):
        killed = threading.Event()

        def kill(request):  # between the request and its answer
            if not killed.is_set():
                killed.set()
                self.kiln.serve.kill()
            else:
                answer(200)(request)
        receiver = self.receiver(answer(503), kill)
        kiln = self.serve(receiver)
        kiln.submit("demo", GOOD)
        wait_until("it was killed", killed.is_set, 120)
        kiln.serve.popen.wait()
        [waiting] = listed(kiln)
        self.assertEqual(waiting["url"], receiver.url)
        self.assertIsNone(waiting["delivered"])
        self.assertEqual((waiting["attempts"], waiting["answer"]), (2, "HTTP 503"))
        table = kiln.run("webhook", "ls", "--data-dir", kiln.data).stdout
        self.assertRegex(table, rf"{waiting['id']} .* 2 .* {re.escape(receiver.url)}  HTTP 503")
        kiln.start()
        requests = receiver.wait_for(3)
        wait_until("it was acknowledged", lambda: not listed(kiln), 60)
        self.assertEqual(len({r[1]["webhook-id"] for r in requests}), 1)
        self.assertEqual(len({r[2] for r in requests}), 1)

    def test_two_workers_do_not_send_the_same_at_once(self):
        receiver = self.receiver(talk)
        kiln = self.serve(receiver)
        kiln.spawn("worker", *kiln.common(), "--workers", 2, *kiln.options)
        names = [f"demo{i}" for i in range(4)]
        for name in names:
            kiln.submit(name, GOOD)
        wait_until("all are told", lambda: len(
            {r[1]["webhook-id"] for r in receiver.requests}) == len(names), 120)
        wait_until("nothing waits", lambda: not listed(kiln), 60)
        self.assertEqual(len(receiver.requests), len(names))

    def test_secrets_change_without_a_message_lost(self):
        receiver = self.receiver(answer(200))
        kiln = self.serve(receiver)
        [old] = secrets(kiln)
        new = "whsec_" + "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw=="
        path = kiln.data / "webhook-secrets"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        for lines, good, bad in ((f"{old}\n{new}\n", (old, new), ()), (f"{new}\n", (new,), (old,))):
            path.write_text(lines)
            n = len(receiver.requests)
            kiln.submit("demo", GOOD)
            _, headers, body = receiver.wait_for(n + 1)[n]
            for secret in good:
                self.assertTrue(verify(headers, body, secret))
            for secret in bad:
                self.assertFalse(verify(headers, body, secret))
        path.write_text("not a secret\n")
        kiln.submit("demo", GOOD)
        wait_until("it is said", lambda: "webhook-secrets:1: this is no secret" in
                   kiln.serve.text(), 120)
        path.write_text(f"{new}\n")
        receiver.wait_for(n + 2)

    def test_certificates_are_verified(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        ca = OwnCa(pathlib.Path(folder.name), "127.0.0.1", "localhost")
        receiver = self.receiver(answer(200), ca=ca)
        kiln = self.serve(receiver)
        kiln.submit("demo", GOOD)
        wait_until("it is refused", lambda: any(
            "certificate" in m["answer"].lower() for m in listed(kiln)), 120)
        self.assertEqual(receiver.requests, [])
        kiln.stop()
        kiln.options += ["--ca-certificates", ca.file]
        kiln.start()
        self.check_signed(receiver.wait_for(1)[0], *secrets(kiln))


if __name__ == "__main__":
    kiln_server.main()
