"""The API in one process and workers in two others have nothing but a PostgreSQL database for their
state: builds are done once, one at once where a worker is idle, and one goes on while the server is
away."""
import os

import kiln_server
from kiln_server import KilnCase, wait_until, zip_of
from own_cluster import OwnCluster

# Long enough for a server to be stopped meanwhile, which is waited for all the same.
SLOW = "FROM alpine:3.20\nRUN echo begun && sleep 4 && echo ended\n"
QUICK = "FROM alpine:3.20\nRUN echo {0} && echo built-{0}\n"


class TwoKilnsShareADatabase(KilnCase):
    workers = 0

    @classmethod
    def setUpClass(cls):
        cls.cluster = OwnCluster()
        cls.addClassCleanup(cls.cluster.remove)
        os.environ["KILN_DATABASE"] = cls.cluster.url
        cls.addClassCleanup(os.environ.pop, "KILN_DATABASE")
        super().setUpClass()
        kiln = cls.kiln
        cls.workers_of = [kiln.spawn("worker", *kiln.common(), "--workers", 1) for _ in range(2)]

    def said(self):
        return "".join(worker.text() for worker in self.workers_of)

    def check_built_once(self, name, words):
        log = self.kiln.log_lines(name)
        for word in words:
            self.assertEqual(sum(line.endswith(f" {word}") and "echo" not in line for line in log),
                             1, log)
        self.assertNotIn("Trying again", "\n".join(log))
        self.assertEqual(len(self.kiln.tags(name)), 2)

    def test_builds_are_done_once_by_both(self):
        names = [f"one-{i}" for i in range(4)]
        for name in names:
            self.kiln.submit(name, zip_of({"Dockerfile": QUICK.format(name)}))
        ends = {name: self.kiln.wait_for_end(name) for name in names}
        self.assertEqual(ends, dict.fromkeys(names, "DEPLOYED"))
        for name in names:
            self.assertEqual(self.said().count(f"/{name}: succeeded"), 1, self.said())
            self.check_built_once(name, (f"built-{name}",))
        self.assertFalse((self.kiln.data / "kiln.db").exists())

    def test_a_build_goes_on_while_the_server_is_away(self):
        self.kiln.submit("slow", zip_of({"Dockerfile": SLOW}))
        wait_until("the step has begun", lambda: any(
            line.endswith(" begun") and "echo" not in line for line in self.kiln.log_lines("slow")))
        before = len(self.said())
        self.cluster.run("halt")
        try:
            wait_until("a heartbeat was missed", lambda: "heartbeat:" in self.said()[before:])
        finally:
            self.cluster.run("resume")
        self.assertEqual(self.kiln.wait_for_end("slow"), "DEPLOYED")
        self.check_built_once("slow", ("begun", "ended"))


if __name__ == "__main__":
    kiln_server.main()
