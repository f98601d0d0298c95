"""All tests of the registry client that need a registry, with olareg instead of docker-registry."""
import os
import pathlib
import subprocess
import unittest

import kiln_server
from go_program import go_program

TESTS = pathlib.Path(kiln_server.KILN).resolve().parents[1] / "tests/registry"


class AnotherRegistry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.olareg = go_program("olareg")

    def check(self, name):
        done = subprocess.run([TESTS / f"registry_{name}_test"], capture_output=True, text=True,
                              timeout=300, stdin=subprocess.DEVNULL,
                              env={**os.environ, "KILN_OTHER_REGISTRY": str(self.olareg)})
        told = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, told)
        self.assertNotIn("SKIPPED", told)

    def test_manifests_and_tags(self):
        self.check("client")

    def test_blobs_and_images(self):
        self.check("push")

    def test_what_breaks_off(self):
        self.check("resume")

    def test_what_is_attached_and_pages_of_tags(self):
        self.check("attach")

    def test_bundles(self):
        self.check("bundle")


if __name__ == "__main__":
    kiln_server.main()
