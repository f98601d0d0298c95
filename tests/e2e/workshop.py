"""Where projects without a Dockerfile are built and the images started, two at a time.

    class Case(WorkshopCase):
        def prove(self, name): ...     # builds, starts, asks; in a thread
    add_tests(Case, ["one", "two"])

A project is built by `kiln build`, with real packages from the package registries, on stand-in base
images with real interpreters (tests/bases/make-real-bases), because tests cannot count on image
registries.  $KILN_E2E_PROJECTS may list the projects that are wanted.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Registry
from started_image import Containers

AT_ONCE = 2
BUILD_SECONDS = 600


@unittest.skipUnless(os.geteuid() == 0, "only root can start the containers")
class WorkshopCase(unittest.TestCase):
    names = ()

    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "real-bases", "make-real-bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases)  # a data directory that nobody serves
        cls.addClassCleanup(cls.kiln.remove)
        cls.registry = Registry(cls.kiln.directory / "registry")
        cls.addClassCleanup(cls.registry.stop)
        cls.containers = Containers(cls.kiln.directory / "containers")
        pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        cls.addClassCleanup(pool.shutdown, cancel_futures=True)
        cls.proofs = {name: pool.submit(cls.prove, name) for name in cls.names}

    @classmethod
    def copy(cls, folder):
        """A copy of a project that may be changed."""
        return shutil.copytree(folder, cls.kiln.directory / "projects" / folder.name)

    @classmethod
    def build(cls, folder, *options):
        """The reference of the image."""
        done = subprocess.run(
            [kiln_server.KILN, "build", folder, *options, "--data-dir", cls.kiln.data,
             "--registry-url", f"http://127.0.0.1:{cls.registry.port}",
             "--mirrors", cls.kiln.mirrors],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"kiln build exited with {done.returncode}:\n{told}"
        reference = re.search(r"(?m)^ *image +(\S+)", told)
        assert reference, told
        return reference.group(1)


def add_tests(case, names):
    """A test for each, which waits for its proof."""
    wanted = os.environ.get("KILN_E2E_PROJECTS", "").split()
    case.names = [name for name in names if not wanted or name in wanted]
    for name in case.names:
        setattr(case, f"test_{name.replace('-', '_')}",
                lambda self, name=name: self.proofs[name].result())
