"""A project of each package manager, without a Dockerfile: built, started, and asked over HTTP.

Each folder of projects/ has the lock file that its own tool made, and a server whose answer needs
what the lock file names.
"""
import pathlib

import kiln_server
from workshop import WorkshopCase, add_tests

PROJECTS = pathlib.Path(__file__).parent / "projects"
PACKAGES_OF_NPM_ITSELF = "/usr/local/lib/node_modules"

# What a build leaves in the image, by the beginning of a file's name, and what it must not.
HAS = {"python": "humanize", "node": "comma-number"}
HAS_NO_DEPENDENCY = "python-plain"
LACKS = {
    "python": ["iniconfig", "uv", "poetry", "pdm", "pipenv"],
    "node": ["escape-string-regexp", "typescript", "undici-types"],
    "go": ["go.mod", "main.go", "go-humanize", "gofmt"],
}


class EveryGeneratedDockerfile(WorkshopCase):
    @classmethod
    def prove(cls, name):
        folder = cls.copy(PROJECTS / name)
        cls.check(name, cls.build(folder, "--type", "agent"), "bricks")
        change_sources(folder)
        cls.check(name, cls.build(folder, "--type", "agent"), "tiles")

    @classmethod
    def check(cls, name, reference, things):
        with cls.containers.start(reference) as container:
            answer = container.request("GET", "/")
            assert answer.status == 200, answer
            assert answer.body.decode() == f"1,234,567 {things} from {name}\n", answer
            users = container.users()
            assert users and 0 not in users, f"runs as {users}"
            check_files(name, container.files(without=[PACKAGES_OF_NPM_ITSELF]))


def change_sources(folder):
    """No manifest changes, and so nothing that is installed."""
    changed = [p for p in folder.rglob("*") if p.is_file() and b" bricks from " in p.read_bytes()]
    assert len(changed) == 1, f"{changed} say what the server answers"
    changed[0].write_text(changed[0].read_text().replace(" bricks from ", " tiles from "))


def check_files(name, paths):
    language = name.partition("-")[0]
    names = [(path.rpartition("/")[2], path) for path in paths]
    if language in HAS and name != HAS_NO_DEPENDENCY:
        assert any(n.startswith(HAS[language]) for n, _ in names), f"no {HAS[language]}"
    for unwanted in LACKS[language]:
        found = [path for n, path in names
                 if n == unwanted or n.startswith((f"{unwanted}-", f"{unwanted}@"))]
        assert not found, f"in the image, but only needed to build: {found[:3]}"


add_tests(EveryGeneratedDockerfile, sorted(p.name for p in PROJECTS.iterdir()))

if __name__ == "__main__":
    kiln_server.main()
