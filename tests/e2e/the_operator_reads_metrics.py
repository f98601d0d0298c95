"""/metrics as Prometheus reads it, on a listener of its own, and /readyz when the registry is gone."""
import os
import pathlib
import signal
import sys

import kiln_server
from kiln_server import KilnCase, free_port, from_pypi, http_request, wait_until, zip_of


class Metrics(KilnCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.options = ("--operator-listen", f"127.0.0.1:{cls.port}")
        sys.path.insert(0, str(from_pypi("prometheus-client==0.21.1")))
        super().setUpClass()

    def ask(self, path):
        return http_request("GET", f"http://127.0.0.1:{self.port}{path}")

    def samples(self):
        from prometheus_client.parser import text_string_to_metric_families
        answer = self.ask("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        return {(s.name, *sorted(s.labels.items())): s.value
                for family in text_string_to_metric_families(answer.body.decode())
                for s in family.samples}

    def value(self, name, **labels):
        return self.samples().get((name, *sorted(labels.items())), 0)

    def test_builds_and_requests_are_counted(self):
        self.kiln.deploy("good", zip_of({"Dockerfile": "FROM alpine:3.20\nRUN true\n"}))
        self.kiln.submit("bad", zip_of({"Dockerfile": "FROM alpine:3.20\nRUN false\n"}))
        self.assertEqual(self.kiln.wait_for_end("bad"), "FAILED")
        wait_until("the tries are counted", lambda: self.value("kiln_tries_total", end="failed"))
        self.assertEqual(self.value("kiln_tries_total", end="succeeded"), 1)
        self.assertGreater(self.value("kiln_tries_seconds_total", end="succeeded"), 0)
        asked = {"method": "GET", "route": "/v0/{kind}/{name}", "status": "2xx"}
        before = self.value("kiln_http_requests_total", **asked)
        self.assertGreater(before, 1)
        self.kiln.status("good")
        wait_until("the request is counted", lambda: self.value(
            "kiln_http_requests_total", **asked) == before + 1)
        self.kiln.get("/nothing/of/that/kind")
        wait_until("so is one that leads nowhere", lambda: self.value(
            "kiln_http_requests_total", method="", route="", status="4xx"))
        found = self.samples()
        self.assertEqual(found[("kiln_http_request_duration_seconds_bucket", ("le", "+Inf"))],
                         found[("kiln_http_request_duration_seconds_count",)])
        self.assertGreater(found[("process_resident_memory_bytes",)], 1 << 20)
        self.assertGreater(found[("process_open_fds",)], 3)
        self.assertGreater(found[("process_cpu_seconds_total",)], 0)

    def test_who_tries_wrong_keys_is_limited_and_counted(self):
        self.assertEqual(self.kiln.get("/builds").status, 200)
        wrong = {"Authorization": "Bearer bl_wrong"}
        seen = [self.kiln.get("/builds", headers=wrong) for _ in range(70)]
        self.assertEqual([seen[0].status, seen[-1].status], [401, 429])
        self.assertEqual(seen[-1].json["error"], "too_many_requests")
        self.assertGreaterEqual(int(seen[-1].headers["Retry-After"]), 1)
        self.assertEqual(self.kiln.get("/builds").status, 200)
        self.assertEqual(self.value("kiln_http_limited_total", limit="login"),
                         sum(a.status == 429 for a in seen))
        self.assertEqual(self.value("kiln_http_limited_total", limit="key"), 0)
        done = self.kiln.run("audit", "--data-dir", self.kiln.data, "--json")
        self.assertEqual(done.stdout.count('"action":"login"'), sum(a.status == 401 for a in seen))

    def test_garbage_is_collected_and_that_is_told(self):
        for task in ("audit", "events", "expired", "logs", "templates"):
            self.assertGreater(self.value("kiln_gc_ended_timestamp_seconds", task=task), 1e9)
            self.assertEqual(self.value("kiln_gc_failed", task=task), 0)
        status = self.kiln.run("gc", "--status", "--data-dir", self.kiln.data).stdout
        self.assertEqual(status.count("done ("), 5, status)
        dry = self.kiln.run("gc", "--dry-run", "--data-dir", self.kiln.data).stdout
        self.assertIn("would go", dry)
        self.assertEqual(self.kiln.run("gc", "--status", "--data-dir", self.kiln.data).stdout,
                         status)
        self.kiln.run("gc", "--data-dir", self.kiln.data)
        self.assertNotEqual(self.kiln.run("gc", "--status", "--data-dir", self.kiln.data).stdout,
                            status)

    def test_what_waits_and_runs_is_told(self):
        waits = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN sleep 60\n"})
        for i in range(3):  # for two workers
            self.kiln.submit(f"long-{i}", waits)
        self.kiln.announce("never-uploaded")
        wait_until("two run", lambda: self.value("kiln_builds", state="running") == 2)
        self.assertEqual(self.value("kiln_builds", state="queued"), 1)
        self.assertEqual(self.value("kiln_builds", state="uploading"), 1)
        first = self.value("kiln_queue_oldest_seconds")
        wait_until("the one that waits grows older",
                   lambda: self.value("kiln_queue_oldest_seconds") > first > 0)
        for i in range(3):
            self.kiln.request("DELETE", f"/sandboxes/long-{i}")
        wait_until("they are gone", lambda: self.value("kiln_builds", state="running") == 0)
        self.assertEqual(self.value("kiln_queue_oldest_seconds"), 0)

    def test_nothing_else_is_answered_there_and_no_metrics_elsewhere(self):
        self.assertEqual(self.ask("/v0/images").status, 404)
        self.assertEqual(http_request("GET", f"http://127.0.0.1:{self.kiln.port}/metrics").status,
                         404)

    def test_a_registry_that_is_gone_makes_it_unready(self):
        wait_until("all has been started", lambda: self.ask("/readyz").status == 200)
        pid = next(p for p in self.kiln.processes_of() if
                   b"docker-registry" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes())
        os.kill(pid, signal.SIGSTOP)
        try:
            self.assertEqual(self.ask("/readyz").status, 503)
            self.assertEqual(self.ask("/healthz").status, 200)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until("it is ready again", lambda: self.ask("/readyz").status == 200)


if __name__ == "__main__":
    kiln_server.main()
