"""With probe = on, what is deployed is started: each way that can go, told in status, events and
log, and nothing of it left."""
import pathlib

import kiln_server
from kiln_server import KilnCase, wait_until, zip_of

PROBE_SECONDS = 10
SINGULAR = {"agents": "agent", "functions": "function", "jobs": "job", "sandboxes": "sandbox"}
ORDER = ["UPLOADING", "BUILDING", "DEPLOYING", "DEPLOYED", "FAILED"]
LATE = f"DEADLINE_EXCEEDED: nothing answered on 0.0.0.0:80 within {PROBE_SECONDS} s"


def project(command):
    return zip_of({"Dockerfile": f"FROM alpine:3.20\nCMD {command}\n"})


COME_UP = {
    "answers": ("agents", project("echo serving on $HOST:$PORT; exec httpd -f -p $PORT")),
    "function": ("functions", project("exec httpd -f -p $PORT")),
    "sandbox": ("sandboxes", project("exec /usr/local/bin/sandbox-api")),
    "job": ("jobs", project("exit 7")),
    "ignores-sigterm": ("agents", project(
        "trap '' TERM; httpd -f -p $PORT & while true; do sleep 1; done")),
}
DO_NOT = {  # with the reason, and what the log says besides
    "silent": ("agents", project("echo '--> starting up'; sleep 4711"), LATE,
               "--> starting up"),
    "exits": ("functions", project("echo no config >&2; exit 3"),
              "the container exited with code 3 before anything listened on port 80", "no config"),
    "elsewhere": ("agents", project("exec httpd -f -p 0.0.0.0:3000"),
                  f"{LATE}; it listens on 0.0.0.0:3000", "bind to HOST and PORT"),
    "chatty": ("agents", project("yes all work and no play"), LATE,
               "more bytes that it said are left out"),
}


class Probed(KilnCase):
    workers = 4
    options = ("--probe", "on", "--probe-timeout", f"{PROBE_SECONDS}s", "--attempts", "2")

    def submit(self, kind, name, archive):
        body = {"metadata": {"name": name}, "spec": {"runtime": {"memory": 2048}}}
        answer = self.kiln.request("PUT", f"/{kind}/{name}?upload=true", body)
        if answer.status == 404:
            answer = self.kiln.request("POST", f"/{kind}?upload=true", body)
        self.assertIn(answer.status, (200, 201), answer)
        url = answer.headers["X-Blaxel-Upload-Url"]
        self.assertEqual(self.kiln.upload(url, archive).status, 200)

    def follow(self, names):
        """The statuses of each on its way to the end; names: kinds by name."""
        seen = {name: [] for name in names}

        def look(name):
            status = self.kiln.get(f"/{names[name]}/{name}").json["status"]
            if seen[name][-1:] != [status]:
                seen[name].append(status)
            return status in ("DEPLOYED", "FAILED")
        wait_until(f"{list(names)} have ended", lambda: all([look(n) for n in names]), 240, 0.3)
        for statuses in seen.values():
            self.assertEqual(statuses, sorted(statuses, key=ORDER.index), "never back")
        return seen

    def deploy(self, kind, name, archive):
        self.submit(kind, name, archive)
        return self.follow({name: kind})[name]

    def told(self, kind, name):
        """The events of the newest revision by type, and the log as a text."""
        events = self.kiln.get(f"/{kind}/{name}").json["events"]
        newest = max(events, key=lambda e: e["time"])["revision"]
        return ({e["type"].removeprefix("ai.blaxel.controlplane."): e for e in events
                 if e["revision"] == newest}, "\n".join(self.kiln.log_lines(name, kind)))

    def check_failure(self, kind, name, reason):
        events, log = self.told(kind, name)
        self.assertEqual(self.kiln.get(f"/{kind}/{name}").json["status"], "FAILED", log)
        self.assertIn(f"STARTUP TCP probe failed: {reason}", log)
        self.assertIn(f"STARTUP TCP probe failed: {reason}", events["deployment.failed"]["message"])
        self.assertEqual(events["deployment.failed"]["status"], "FAILED")
        self.assertEqual(events["buildimage.succeeded"]["status"], "BUILT", "it is there")
        self.assertNotIn("deployment.succeeded", events)
        return log

    def test_what_listens_is_deployed_and_what_does_not_is_told_so(self):
        """All at once, as most of it is waiting."""
        cases = {**COME_UP, **DO_NOT}
        for name, (kind, archive, *_) in cases.items():
            self.submit(kind, name, archive)
        seen = self.follow({name: kind for name, (kind, *_) in cases.items()})
        for name, (kind, _) in COME_UP.items():
            with self.subTest(name):
                log = self.told(kind, name)[1]
                self.assertEqual(seen[name][-1], "DEPLOYED", log)
                self.assertEqual("starting the image" in log, kind != "jobs", log)
                image = self.kiln.get(f"/{kind}/{name}").json["spec"]["runtime"]["image"]
                self.assertRegex(image, rf"^{SINGULAR[kind]}/{name}:[a-z0-9]{{12}}$")
        self.assertRegex(self.told("agents", "answers")[1],
                         r"(?m)^#\d+ [0-9.]+ serving on 0\.0\.0\.0:80$")
        for name, (kind, _, reason, words) in DO_NOT.items():
            with self.subTest(name):
                self.assertIn(words, self.check_failure(kind, name, reason))
        self.assertIn("DEPLOYING", seen["silent"])
        self.assertLess(self.told("agents", "chatty")[1].count("no play"), 4000)

    def test_what_worked_stays_and_is_not_started_twice(self):
        """A failed deployment leaves the one before; an identical one is not started again."""
        good = project("exec httpd -f -p $PORT")
        self.deploy("agents", "twice", good)
        self.assertIn("starting the image", self.told("agents", "twice")[1])
        image = self.kiln.get("/agents/twice").json["spec"]["runtime"]["image"]
        latest = self.kiln.manifest("twice", kind="agent").json
        self.deploy("agents", "twice", project("exit 9"))
        self.check_failure("agents", "twice", "the container exited with code 9")
        self.assertEqual(self.kiln.get("/agents/twice").json["spec"]["runtime"]["image"], image)
        self.assertEqual(self.kiln.manifest("twice", kind="agent").json, latest)
        self.assertEqual(len(self.kiln.tags("twice", kind="agent")), 3, "it can be looked at")
        self.assertEqual(self.deploy("agents", "twice", good)[-1], "DEPLOYED")
        events, log = self.told("agents", "twice")
        self.assertIn("Reused", events["buildimage.succeeded"]["message"])
        self.assertNotIn("starting the image", log)

    def test_an_image_alone_is_not_started(self):
        body = {"name": "pushed", "resourceType": "agent"}
        answer = self.kiln.request("POST", "/images?upload=true", body)
        self.kiln.upload(answer.headers["X-Blaxel-Upload-Url"], project("exit 5"))
        wait_until("pushed is BUILT", lambda: self.kiln.get("/images/agent/pushed").json[
            "metadata"]["status"] == "BUILT", 180)

    def test_a_newer_upload_and_a_deletion_stop_it(self):
        def is_started():
            return any("not ready yet" in line for line in self.kiln.log_lines("stopped", "agents"))
        self.submit("agents", "stopped", project("echo not ready yet; sleep 4712"))
        wait_until("it is started", is_started, 120)
        self.assertEqual(self.kiln.request("DELETE", "/agents/stopped").status, 200)
        wait_until("nothing of it runs", lambda: not runs("sleep 4712"), 60)

    def test_a_killed_worker_leaves_nothing(self):
        """The build is tried again by another, with the same end."""
        worker = self.kiln.spawn("worker", *self.kiln.common(), "--workers", 3,
                                 *self.options)
        self.kiln.serve.kill()
        try:
            self.kiln.start()
            self.submit("agents", "killed", project("echo waiting; sleep 4713"))
            wait_until("it is started", lambda: runs("sleep 4713"), 120)
            for process in self.kiln.processes:
                process.kill()
            wait_until("nothing of it runs", lambda: not runs("sleep 4713"), 60)
            self.kiln.start()
            self.assertEqual(self.follow({"killed": "agents"})["killed"][-1], "FAILED")
        finally:
            worker.kill()

    @classmethod
    def tearDownClass(cls):
        cls.kiln.stop()
        left = cls.kiln.leftovers()
        assert not left, left
        super().tearDownClass()


def runs(words):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
            except OSError:
                continue
            if line == words.encode():
                found.append(entry.name)
    return found


if __name__ == "__main__":
    kiln_server.main()
