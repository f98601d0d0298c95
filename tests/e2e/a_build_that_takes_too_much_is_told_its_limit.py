"""Memory, processes, disk, time and log: a build that takes too much ends, and hears which limit it
was and where, and it is not tried again."""
import pathlib
import re
import unittest

import kiln_server
from kiln_server import Bases, Kiln, KilnCase, wait_until, zip_of

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


class AGigabyteOfOutput(KilnCase):
    """Most of it in long lines: what a line costs is much more than what its bytes do."""
    options = ("--log-max", "1MiB", "--build-memory", "256MiB")

    def stored(self):
        """Bytes of the database."""
        return sum(p.stat().st_size for p in self.kiln.data.glob("*.db*"))

    def peak(self):
        """Bytes of memory that the service had at most."""
        status = pathlib.Path(f"/proc/{self.kiln.serve.popen.pid}/status").read_text()
        return int(re.search(r"(?m)^VmHWM:\s+(\d+) kB", status).group(1)) << 10

    def test_is_cut_at_the_limit_of_the_log_and_harms_nobody(self):
        printed = ("{ yes 'a line of the usual length, or nearly so' | head -c 10000000; "
                   "yes \"$(printf '%4000s' x)\" | head -c 990000000; }; exit 3")
        self.kiln.submit("much", zip_of({"Dockerfile": f"FROM alpine:3.20\nRUN {printed}\n"}))
        wait_until("it prints", lambda: any("usual length" in line
                                            for line in self.kiln.log_lines("much")))
        self.kiln.deploy("neighbour", zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo quiet\n"}))
        self.assertEqual(self.kiln.wait_for_end("much"), "FAILED")
        log = self.kiln.get("/sandboxes/much/build-logs").body.decode()
        end = "[the log ends here: it reached its limit of 1048576 bytes]"
        self.assertEqual(log.count(end), 1, log[-2000:])
        self.assertIn("did not complete successfully: exit code: 3", log)
        self.assertLess(len(log), (1 << 20) + (64 << 10))
        self.assertGreater(len(log), 1 << 19)
        self.assertLess(self.stored(), 16 << 20)
        self.assertGreater(self.stored(), len(log))
        self.assertLess(self.peak(), 300 << 20)


if __name__ == "__main__":
    kiln_server.main()
