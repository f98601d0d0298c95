"""A worker is killed with SIGKILL at each step of the pipeline, at its beginning and in its middle;
the next worker ends the build, and nothing is left behind."""
import os
import pathlib
import unittest

import kiln_server
from kiln_server import Bases, Kiln, wait_until, zip_of

DYING_WORKER = os.environ.get("DYING_WORKER", str(
    pathlib.Path(kiln_server.KILN).parents[1] / "tests/pipeline/dying_worker"))
STEPS = ["extract", "dockerfile", "pull", "reuse", "build", "push", "deploy", "finish"]
GOOD = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo made > /made\nCOPY data /data\n",
               "data": os.urandom(4 << 20)})
BAD = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN exit 42\n"})


class EveryStep(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        # The API alone: workers are separate processes, to be killed one by one.
        cls.kiln = Kiln(cls.bases, workers=0)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def die_at(self, step, milliseconds):
        kiln = self.kiln
        process = kiln_server.Process([DYING_WORKER, step, milliseconds, *kiln.common()],
                                      kiln.directory / f"dying.{step}.{milliseconds}")
        kiln.processes.append(process)
        process.popen.wait(kiln_server.PATIENCE)
        process.kill()
        self.assertEqual(process.popen.returncode, -9, process.text())
        self.assertIn(f"step {step}\n", process.text())

    def finish(self, name, expected):
        kiln = self.kiln
        worker = kiln.spawn("worker", *kiln.common(), "--workers", 1)
        try:
            self.assertEqual(kiln.wait_for_end(name), expected, worker.text())
            try:
                wait_until("nothing is left", lambda: not self.left_behind())
            except AssertionError as error:
                raise AssertionError(f"{error}: {self.left_behind()}") from None
        finally:
            worker.stop()
        self.assertEqual(self.left_behind(), [])

    def left_behind(self):
        """But for the server and the registry that it keeps, and the worker that lives."""
        alive = {p.popen.pid for p in self.kiln.processes if p.popen.poll() is None}
        ours = [line for line in self.kiln.leftovers()
                if not any(line.startswith(f"process {pid}:") for pid in alive)]
        return [line for line in ours if "docker-registry" not in line]

    def check(self, step, milliseconds, archive, expected):
        name = f"at-{step}-{milliseconds}-{expected.lower()}"
        self.kiln.submit(name, archive)
        self.die_at(step, milliseconds)
        self.finish(name, expected)
        if expected == "DEPLOYED":
            sandbox = self.kiln.get(f"/sandboxes/{name}").json
            tag = sandbox["spec"]["runtime"]["image"].rsplit(":", 1)[1]
            self.assertEqual(self.kiln.tags(name), sorted(["latest", tag]), "built to one tag")
            self.assertEqual(self.kiln.image(name)[1]["/made"], b"made\n")
        else:
            self.assertEqual(self.kiln.tags(name), [])
            self.assertTrue(any("exit code: 42" in m for m in self.kiln.log_lines(name)))

    def test_at_the_beginning_of_each_step(self):
        for step in STEPS:
            with self.subTest(step=step):
                self.check(step, 0, GOOD, "DEPLOYED")

    def test_in_the_middle_of_each_step(self):
        for step, milliseconds in [("extract", 15), ("pull", 30), ("build", 20), ("build", 120),
                                   ("build", 300), ("push", 30), ("push", 100)]:
            with self.subTest(step=step, milliseconds=milliseconds):
                self.check(step, milliseconds, GOOD, "DEPLOYED")

    def test_a_build_that_fails_still_fails_after_a_kill(self):
        self.check("build", 50, BAD, "FAILED")


if __name__ == "__main__":
    kiln_server.main()
