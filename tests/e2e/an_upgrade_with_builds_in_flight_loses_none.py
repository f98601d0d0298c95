"""A newer Kiln, with one more version of the schema, takes over while builds run, wait and are uploaded:
the older processes end by themselves and say why, and every build ends right.  $KILN_NEXT is the newer
binary."""
import os
import pathlib
import subprocess

import kiln_server
from kiln_server import KilnCase, wait_until, zip_of

NEXT = os.environ.get("KILN_NEXT", str(pathlib.Path(kiln_server.KILN).with_name("kiln_next")))
QUICK = "FROM alpine:3.20\nRUN echo built-{0}\n"
# The first try would take for ever; what that leaves in the cache mount tells the second.
TWICE = """FROM alpine:3.20
RUN --mount=type=cache,target=/c if [ -e /c/tried ]; then echo a second; else touch /c/tried; \
echo a first; sleep 600; fi
"""


class AnUpgradeWithBuildsInFlight(KilnCase):
    workers = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.older = cls.kiln.spawn("worker", *cls.kiln.common(), "--workers", 1)

    def test_no_build_is_lost(self):
        kiln, older_serve = self.kiln, self.kiln.serve
        kiln.submit("running", zip_of({"Dockerfile": TWICE}))
        wait_until("it runs", lambda: self.said("running", "a first"))
        kiln.submit("waiting", zip_of({"Dockerfile": QUICK.format("waiting")}))
        url = kiln.announce("announced")

        # Whatever of the newer Kiln comes first to the database.
        done = subprocess.run([NEXT, "key", "list", "--data-dir", kiln.data], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        for process in (self.older, older_serve):
            self.assertEqual(process.popen.wait(60), 1, process.text())
            self.assertIn("a newer kiln has changed the database: stopping", process.text())
        self.assertFalse(kiln.processes_of(), "what was built ended with them")
        refused = kiln.run("key", "list", "--data-dir", kiln.data, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("use a newer kiln", refused.stderr)

        kiln_server.KILN = NEXT
        self.addCleanup(setattr, kiln_server, "KILN", self.older.popen.args[0])
        kiln.start()
        kiln.spawn("worker", *kiln.common(), "--workers", 1)
        self.assertEqual(kiln.upload(url, zip_of({"Dockerfile": QUICK.format("announced")})).status,
                         200)
        for name in ("running", "waiting", "announced"):
            self.assertEqual(kiln.wait_for_end(name), "DEPLOYED", kiln.log_lines(name))
        self.assertTrue(self.said("running", "a second"))
        for name in ("waiting", "announced"):
            self.assertEqual(len(self.said(name, f"built-{name}")), 1)

    def said(self, name, words):
        """Lines of the build's own output."""
        return [line for line in self.kiln.log_lines(name)
                if line.endswith(" " + words) and "RUN" not in line]


if __name__ == "__main__":
    kiln_server.main()
