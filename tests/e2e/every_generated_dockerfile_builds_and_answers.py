"""A project of each package manager, without a Dockerfile: built, started, and asked over HTTP.

Each folder of projects/ has the lock file that its own tool made.  The packages come from the
package registries; the base images are stand-ins with real interpreters (tests/bases/
make-real-bases), because tests cannot count on image registries.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Registry
from started_image import Containers

PROJECTS = pathlib.Path(__file__).parent / "projects"
AT_ONCE = 2
BUILD_SECONDS = 600
PACKAGES_OF_NPM_ITSELF = "/usr/local/lib/node_modules"

# What a build leaves in the image, by the beginning of a file's name, and what it must not.
HAS = {"python": "humanize", "node": "comma-number"}
LACKS = {
    "python": {"iniconfig", "uv", "poetry", "pdm", "pipenv"},
    "node": {"escape-string-regexp", "typescript", "undici-types"},
    "go": {"go.mod", "main.go", "go-humanize"},
}
HAS_NO_DEPENDENCY = {"python-plain"}


class Proof:
    """Both builds of one project, and what was seen of the containers."""

    def __init__(self, case, name):
        self.case, self.name = case, name
        self.language = name.partition("-")[0]
        self.folder = case.kiln.directory / "projects" / name
        shutil.copytree(PROJECTS / name, self.folder)
        began = time.monotonic()
        self.check(self.build(), "bricks")
        self.change_sources()
        self.check(self.build(), "tiles")
        self.seconds = time.monotonic() - began

    def build(self):
        """The reference of the image."""
        kiln = self.case.kiln
        done = subprocess.run(
            [kiln_server.KILN, "build", self.folder, "--type", "agent", "--data-dir", kiln.data,
             "--registry-url", f"http://127.0.0.1:{self.case.registry.port}",
             "--mirrors", kiln.mirrors],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"kiln build exited with {done.returncode}:\n{told}"
        reference = re.search(r"(?m)^ *image +(\S+)", told)
        assert reference, told
        return reference.group(1)

    def change_sources(self):
        changed = 0
        for path in self.folder.rglob("*"):
            if path.is_file() and b" bricks from " in path.read_bytes():
                path.write_text(path.read_text().replace(" bricks from ", " tiles from "))
                changed += 1
        assert changed == 1, f"{changed} files say what the server answers"

    def check(self, reference, things):
        with self.case.containers.start(reference) as container:
            answer = container.get("/")
            said = answer.body.decode()
            assert (answer.status, said) == (200, f"1,234,567 {things} from {self.name}\n"), answer
            assert 0 not in container.users(), f"runs as {container.users()}"
            self.check_files(container.files(without=[PACKAGES_OF_NPM_ITSELF]))

    def check_files(self, files):
        names = {path: path.rpartition("/")[2] for path in files}
        if self.language in HAS and self.name not in HAS_NO_DEPENDENCY:
            wanted = HAS[self.language]
            assert any(name.startswith(wanted) for name in names.values()), f"no {wanted}"
        for unwanted in LACKS[self.language]:
            found = [p for p, name in names.items()
                     if name == unwanted or name.startswith((f"{unwanted}-", f"{unwanted}@"))]
            assert not found, f"in the image, but only needed to build: {found[:3]}"


@unittest.skipUnless(os.geteuid() == 0, "only root can start the containers")
class EveryGeneratedDockerfile(unittest.TestCase):
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
        cls.proofs = {name: pool.submit(Proof, cls, name) for name in names()}

    def prove(self, name):
        print(f"{self.proofs[name].result().seconds:.0f} s ", end="")


def names():
    """Of the folders of projects/, or those that $KILN_E2E_PROJECTS lists."""
    listed = os.environ.get("KILN_E2E_PROJECTS", "").split()
    return listed or sorted(p.name for p in PROJECTS.iterdir())


def add_test(name):
    def test(self):
        self.prove(name)
    setattr(EveryGeneratedDockerfile, f"test_{name.replace('-', '_')}", test)


for each in names():
    add_test(each)

if __name__ == "__main__":
    kiln_server.main()
