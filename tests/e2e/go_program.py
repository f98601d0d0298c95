"""Programs of others that tests/go pins, built once and kept."""
import subprocess

import kiln_server

PACKAGES = {"olareg": "github.com/olareg/olareg/cmd/olareg",
            "conformance": "github.com/opencontainers/distribution-spec/conformance"}


def go_program(name):
    """Where it is."""
    directory = kiln_server.KEEP / "go"
    subprocess.run([kiln_server.SOURCE / "tests/go/build", PACKAGES[name], directory], check=True,
                   stdin=subprocess.DEVNULL)
    return directory / name
