"""Memory, processes, disk, time and log: a build that takes too much ends, and hears which limit it
was and where, and it is not tried again."""
import resource
import time
import unittest

import kiln_server
from kiln_server import Bases, Kiln

HOG = "awk 'BEGIN { s = \"x\"; while (1) s = s s }'"
LIMITS = ("--build-memory", "256MiB", "--build-pids", "150", "--build-disk", "64MiB")


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(bases.stop)
        cls.kiln = Kiln(bases)  # a data directory that nobody serves
        cls.addClassCleanup(cls.kiln.remove)
        cls.doctor = cls.kiln.run("doctor", *cls.kiln.common(), check=False).stdout
        # So that no build below is busy with the base.
        cls.build("first", "RUN true", check=True)

    @classmethod
    def build(cls, name, instruction, *options, check=False):
        folder = cls.kiln.directory / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM alpine:3.20\nENV A=b\n{instruction}\n")
        done = cls.kiln.run("build", folder, "--type", "agent", *options, *cls.kiln.common(),
                            check=check)
        return done.returncode, done.stdout + done.stderr

    def need(self, limit):
        if f"ok       {limit}" not in self.doctor:
            self.skipTest(f"no {limit} here:\n{self.doctor}")

    def fails(self, name, command, reason, *options):
        code, told = self.build(name, f"RUN {command}", *options)
        self.assertEqual(code, 1, told)
        where = f"{reason}, at step 2/2 RUN {command}"
        self.assertIn(f"ERROR: {where}", told, told)
        self.assertIn(f"error: failed to solve: {where}", told)
        self.assertIn(f"3 | >>> RUN {command}", told)
        self.assertNotIn("Trying again", told)
        self.assertEqual(self.kiln.leftovers(), [])

    def test_memory(self):
        self.need("memory limit")
        self.fails("memory", HOG, "killed: out of memory, limit 256 MiB", *LIMITS)

    def test_processes(self):
        self.need("process limit")
        self.fails("processes", "bomb() { while :; do bomb & done 2>/dev/null; }; bomb; sleep 60",
                   "too many processes, limit 150", *LIMITS)

    def test_disk(self):
        self.fails("disk", "dd if=/dev/zero of=/f bs=1M; sleep 60", "disk full, limit 64 MiB",
                   *LIMITS)

    def test_time(self):
        self.fails("time", "trap '' TERM; sleep 600", "took longer than the time limit of 5 s",
                   "--build-timeout", "5s")

    def test_much_output(self):
        began = time.monotonic()
        code, told = self.build("much", "RUN yes 'a line of the usual length, or nearly so' | "
                                "head -c 250000000; echo the end >/dev/null; exit 3",
                                "--log-max", "1MiB")
        seconds = time.monotonic() - began
        self.assertEqual(code, 1, told[-2000:])
        self.assertIn("[the log ends here: it reached its limit of 1048576 bytes]", told)
        self.assertIn("did not complete successfully: exit code: 3", told)
        self.assertLess(len(told), 4 << 20)
        self.assertLess(seconds, 240, "10 s on a quiet machine")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
        self.assertLess(peak, 300 << 20)
        print(f"250 MB of output: {seconds:.1f} s, at most {peak >> 20} MiB of memory")


if __name__ == "__main__":
    kiln_server.main()
