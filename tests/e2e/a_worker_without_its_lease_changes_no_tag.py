"""A worker that is cut off from the database while it pushes or deploys, but not from the registry: when
another has done its build, it overwrites neither the build's tag nor latest."""
import contextlib
import hashlib
import http.client
import http.server
import os
import re
import socket
import socketserver
import threading
import time
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Registry, wait_until, zip_of
from own_cluster import OwnCluster

LEASE = 2
DOCKERFILE = "FROM alpine:3.20\nCOPY word /word\nRUN head -c 9000 /dev/urandom >/noise\n"


class Line:
    """A way to the database's socket, at a port of its own; cut: nothing comes through any more, and
    nobody is told."""

    def __init__(self, path):
        self.path, self.cut = str(path), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self.path)
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, sink):
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                while self.cut.is_set():
                    time.sleep(0.05)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Proxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The registry, behind somebody who cuts that line when it is asked for what `at` matches, once, and
    holds the answer back."""
    daemon_threads = True

    def __init__(self, registry, at, line):
        self.registry, self.at, self.line = registry, re.compile(at), line
        self.held, self.go_on = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Forward)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def meet(self, request):
        with self.lock:
            mine = not self.held.is_set() and self.at.search(request)
            if mine:
                self.line.cut.set()
                self.held.set()
        if mine:
            self.go_on.wait(kiln_server.PATIENCE)


class Forward(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(self.server.registry)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        data = answer.read()
        there.close()
        self.server.meet(f"{self.command} {self.path}")
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class AWorkerWithoutItsLease(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.cluster = OwnCluster()
        cls.addClassCleanup(cls.cluster.remove)
        os.environ["KILN_DATABASE"] = cls.cluster.url
        cls.addClassCleanup(os.environ.pop, "KILN_DATABASE")

    def run_kiln(self, at):
        """The service, a worker whose line is cut at that request, and what cuts it."""
        kiln = Kiln(self.bases, workers=0)
        self.addCleanup(kiln.remove)
        registry = Registry(kiln.directory / "registry")
        self.addCleanup(registry.stop)
        line = Line(self.cluster.directory / ".s.PGSQL.5432")
        self.addCleanup(line.listener.close)
        proxy = Proxy(f"127.0.0.1:{registry.port}", at, line)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        kiln.registry_port = registry.port
        kiln.options = ["--registry-url", f"http://127.0.0.1:{proxy.server_address[1]}",
                        "--registry-auth", "none", "--lease", f"{LEASE}s", "--attest", "off",
                        "--cache-export", "off"]
        kiln.start()
        cut = self.worker(kiln, "--database", f"postgresql://kiln@127.0.0.1:{line.port}/kiln")
        return kiln, cut, proxy

    @staticmethod
    def worker(kiln, *more):
        return kiln.spawn("worker", *kiln.common(), *kiln.options, "--workers", 1, *more)

    @staticmethod
    def submit(kiln, name, word):
        kiln.submit(name, zip_of({"Dockerfile": DOCKERFILE, "word": word}))

    def check(self, name, at, again):
        kiln, cut, proxy = self.run_kiln(at)
        self.submit(kiln, name, "one")
        wait_until("a worker is cut off", proxy.held.is_set)
        other = self.worker(kiln)
        self.assertEqual(kiln.wait_for_end(name), "DEPLOYED")
        if again:
            self.submit(kiln, name, "two")
            self.assertEqual(kiln.wait_for_end(name), "DEPLOYED")
        before = self.all_tags(kiln, name)
        proxy.go_on.set()
        time.sleep(2)  # for what it would do
        self.assertEqual(self.all_tags(kiln, name), before)
        proxy.line.cut.clear()
        self.assertEqual(cut.stop(), 0)
        self.assertEqual(other.stop(), 0)
        self.assertEqual(self.all_tags(kiln, name), before)

    @staticmethod
    def all_tags(kiln, name):
        return {tag: hashlib.sha256(kiln.manifest(name, tag).body).hexdigest()
                for tag in kiln.tags(name)}

    def test_the_builds_tag_stays(self):
        self.check("pushed", "^PUT .*/sandbox/pushed/blobs/", again=False)

    def test_latest_stays(self):
        self.check("deployed", "^GET .*/sandbox/deployed/manifests/sha256", again=True)


if __name__ == "__main__":
    kiln_server.main()
