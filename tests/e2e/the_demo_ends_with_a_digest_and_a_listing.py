"""./demo, the README's first command, with the binary that is being tested."""
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import kiln_server
from kiln_server import KILN, SOURCE


class TheDemo(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="kiln-demo-")
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)

    def demo(self):
        begun = time.monotonic()
        done = subprocess.run(
            [SOURCE / "demo", "--kiln", KILN, "--data-dir", self.place], text=True, timeout=300,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "CI": "true"})
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout, time.monotonic() - begun

    def test_ends_with_a_digest_and_a_listing_twice(self):
        first, _ = self.demo()
        self.check(first)
        self.assertRegex(first, r"(?m)\d entrypoint\.sh reads well$", "the log is shown")
        told, seconds = self.demo()
        self.check(told)
        self.assertIn("reuse an identical image build", told, "nothing has changed in between")
        self.assertEqual(self.digest(told), self.digest(first))
        self.assertLess(seconds, 90, "the second run: 10 s on a quiet machine")
        left = subprocess.run(["pgrep", "-f", self.place], capture_output=True, text=True).stdout
        self.assertEqual(left, "", "no process stays")

    def digest(self, told):
        return re.search(r"(?m)^ +digest +(sha256:[0-9a-f]{64})$", told).group(1)

    def check(self, told):
        for status in ("UPLOADING", "BUILDING", "DEPLOYED"):
            self.assertIn(status, told)
        self.assertRegex(told, r"127\.0\.0\.1:\d+/demo/sandbox/hello-sandbox:[a-z0-9]{12}")
        self.assertTrue(self.digest(told))
        self.assertRegex(told, r"usr/local/bin/sandbox-api")
        self.assertRegex(told, r"app/public/index\.html")


if __name__ == "__main__":
    kiln_server.main()
