"""Starts images as containers: with their own user, variables, directory and command.

    with Containers(directory) as containers:
        with containers.start("127.0.0.1:5000/acme/agent/hello:latest") as container:
            container.request("GET", "/")

buildah makes the container and runc runs it, on the host's network, so that a server in it is
reached on loopback.  It lives in mount and process namespaces of its own: it ends, and what was
mounted goes, with the process that made these.  Needs root.
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess

from kiln_server import Process, free_port, http_request, wait_until

ANSWER_SECONDS = 60


class Containers:
    """A storage for images and containers."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)

    def command(self, *words):
        return ["buildah", "--root", self.directory / "root", "--runroot", self.directory / "run",
                *words]

    def buildah(self, *words):
        return subprocess.run([str(w) for w in self.command(*words)], check=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300).stdout

    def start(self, reference, **variables):
        name = self.buildah("from", "--quiet", "--tls-verify=false",
                            f"docker://{reference}").strip()
        return Container(self, name, variables)


class Container:
    """The program of an image, running; `config` is the image's."""

    def __init__(self, containers, name, variables):
        self.containers, self.name = containers, name
        self.config = json.loads(containers.buildah("inspect", name))["OCIv1"]["config"]
        self.port = free_port()
        argv = self.config.get("Entrypoint", []) + self.config.get("Cmd", [])
        variables = {"HOST": "127.0.0.1", "PORT": self.port, **variables}
        self.process = Process(
            ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", *containers.command(
                "run", "--isolation", "oci", "--network", "host",
                *(f"--env={key}={value}" for key, value in variables.items()), name, "--", *argv)],
            containers.directory / f"{name}.log")

    def wait(self, seconds=60):
        """The exit code of a program that ends, and what it said."""
        return self.process.popen.wait(seconds), self.process.text()

    def request(self, method, path, body=None, headers=()):
        """The answer, as soon as there is one; a body is sent as JSON."""
        sent = {**dict(headers), **({"Content-Type": "application/json"} if body else {})}
        content = json.dumps(body).encode() if body else None

        def ask():
            if self.process.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.popen.returncode}:\n"
                                     + self.process.text()[-3000:])
            try:
                return http_request(method, f"http://127.0.0.1:{self.port}{path}", content, sent)
            except OSError:
                return None
        try:
            return wait_until(f"{self.name} answers", ask, ANSWER_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.process.text()[-3000:]}") from None

    def processes(self):
        """Ids, as the host sees them, of the processes whose root directory is the container's."""
        ours, found = os.stat("/"), []
        for pid in descendants(self.process.popen.pid):
            with contextlib.suppress(OSError):
                root = os.stat(f"/proc/{pid}/root/")
                if (root.st_dev, root.st_ino) != (ours.st_dev, ours.st_ino):
                    found.append(pid)
        return found

    def users(self):
        """The user ids of its processes."""
        return {int(line.split()[1]) for pid in self.processes()
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("Uid:")}

    def files(self, without=()):
        """The paths in it, less what is under those in without."""
        root = f"/proc/{self.processes()[0]}/root"
        found = []
        for directory, folders, names in os.walk(root):
            inside = directory.removeprefix(root)
            folders[:] = [f for f in folders if f"{inside}/{f}" not in ("/proc", "/sys", "/dev",
                                                                        *without)]
            found += [f"{inside}/{name}" for name in folders + names]
        return found

    def stop(self):
        """Ends what runs in it first: buildah and runc then put their own things away."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.popen.wait(20)
        self.process.kill_group()
        self.containers.buildah("rm", self.name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


def descendants(pid):
    """Ids of the processes that it started, and that those started."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found[1:]
