"""What was pushed is read back: a registry that has lost a layer, for once or for good."""
import http.client
import http.server
import pathlib
import tempfile
import threading
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Registry, zip_of


class Forgetful(http.server.ThreadingHTTPServer):
    """Passes everything on to a registry, but answers 404 to the first `loses` readings of layers."""

    def __init__(self, registry):
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry, self.loses, self.asked = registry, 0, 0
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reads_layer = self.command == "GET" and "/blobs/" in self.path and "Range" in self.headers
        if reads_layer:
            server.asked += 1
        if reads_layer and server.loses > 0:
            server.loses -= 1
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = http.client.HTTPConnection("127.0.0.1", server.registry.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k != "Connection"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name not in ("Connection", "Transfer-Encoding", "Content-Length"):
                self.send_header(name, value)
        self.send_header("Content-Length", response.getheader("Content-Length") or len(content))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = pass_on

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class ReadBack(unittest.TestCase):
    def setUp(self):
        bases = Bases(kiln_server.KEEP / "bases")
        self.addCleanup(bases.stop)
        self.kiln = Kiln(bases)
        self.addCleanup(self.kiln.remove)
        registry = Registry(self.kiln.directory / "pushed")
        self.addCleanup(registry.stop)
        self.between = Forgetful(registry)
        self.addCleanup(self.between.server_close)
        self.addCleanup(self.between.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "Dockerfile").write_text("FROM alpine:3.20\nRUN echo layer >/file\n")

    def build(self, loses, attempts):
        self.between.loses, self.between.asked = loses, 0
        return self.kiln.run(
            "build", self.folder, "--type", "job", "--name", "demo", "--data-dir", self.kiln.data,
            "--mirrors", self.kiln.mirrors, "--registry-auth", "none", "--attempts", attempts,
            "--registry-url", f"http://127.0.0.1:{self.between.server_address[1]}", check=False)

    def test_a_lost_layer_fails_the_build_or_the_try(self):
        done = self.build(loses=1000, attempts=1)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, said)
        self.assertRegex(said, r"read back \S+/job/demo:\w+: the registry has lost a part of it: "
                               r"its layer sha256:[0-9a-f]{64} is not there")
        self.assertIn("a fault of the network or of a registry, not of your files", said)

        (self.folder / "Dockerfile").write_text("FROM alpine:3.20\nRUN echo another >/file\n")
        done = self.build(loses=1, attempts=2)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        self.assertIn("Trying again: 1 of 2 tries are used.", said)
        self.assertGreaterEqual(self.between.asked, 3, "one in vain, and then both layers")

    def test_an_identical_build_whose_image_is_not_whole_is_not_reused(self):
        archive = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo layer >/file\n"})
        self.kiln.options = ["--registry-auth", "none", "--registry-url",
                             f"http://127.0.0.1:{self.between.server_address[1]}"]
        self.kiln.start()
        for loses, reused in ((0, False), (0, True), (1, False)):
            self.between.loses = loses
            self.kiln.deploy("demo", archive)
            log = "\n".join(self.kiln.log_lines("demo"))
            self.assertEqual("reuse an identical image build" in log, reused, log)
            self.assertEqual("pushing image" in log, not reused, log)
        self.assertIn("the image of an identical build is not reused: its layer sha256:",
                      self.kiln.serve.text())


if __name__ == "__main__":
    kiln_server.main()
