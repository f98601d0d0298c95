"""GET …/build-logs?follow=true of a real build, taken up again after a lost connection, and what is
left of a log once log_retention is over."""
import http.client
import io
import json
import pathlib
import selectors
import socket
import types
import unittest
import urllib.parse

from kiln_server import WORKSPACE, Kiln, free_port, main, wait_until

BROKEN = b"PK\x03\x04 this is no archive"
FOLLOW = "/sandboxes/app/build-logs?follow=true"
FOLLOWERS = 500
THREADS = 100  # far fewer than followers; the server has about twenty of its own


class Followed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The build fails before it would need base images.
        cls.kiln = Kiln(types.SimpleNamespace(port=free_port()), 1)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def follow(self, path):
        """The answer, of which lines are read as they come."""
        parts = urllib.parse.urlsplit(self.kiln.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        self.addCleanup(connection.close)
        connection.request("GET", parts.path + path, headers={
            "Authorization": f"Bearer {self.kiln.key()}", "X-Blaxel-Workspace": WORKSPACE})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")
        return answer

    def lines(self, answer):
        return [line for line in answer.read().decode().splitlines() if line]

    def test_from_the_upload_to_the_end_and_until_it_is_removed(self):
        url = self.kiln.announce("app")
        text, events = self.follow(FOLLOW), self.follow(FOLLOW + "&format=jsonl")
        lost = self.follow(FOLLOW)
        self.assertEqual(self.kiln.upload(url, BROKEN).status, 200)
        first = next(line for line in lost if line.strip()).decode().rstrip("\n")
        lost.close()
        again = self.follow(FOLLOW + "&offset=1")
        seen = self.lines(text)
        self.assertEqual(self.kiln.status("app"), "FAILED")  # the end of the answer is the build's
        self.assertEqual(seen, [line or " " for line in self.kiln.log_lines("app")])
        self.assertGreater(len(seen), 1)
        self.assertEqual([first, *self.lines(again)], seen)
        numbers = [e["seq"] for e in map(json.loads, self.lines(events)) if "heartbeat" not in e]
        self.assertEqual(numbers, list(range(1, len(seen) + 1)))

        self.kiln.stop()
        self.kiln.options += ["--log-retention", "1s"]
        self.kiln.start()
        gone = wait_until("the log is removed", lambda: next(
            (a for a in (self.kiln.get(FOLLOW),) if a.status == 410), None))
        self.assertEqual(gone.json["error"], "log_removed")
        left = self.kiln.log_lines("app")
        self.assertEqual(len(left), 1)
        self.assertIn("was removed", left[0])

    def follow_raw(self, path):
        """A socket on which the answer comes."""
        parts = urllib.parse.urlsplit(self.kiln.url)
        connection = socket.create_connection((parts.hostname, parts.port))
        self.addCleanup(connection.close)
        connection.sendall(f"GET {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                           f"Authorization: Bearer {self.kiln.key()}\r\n\r\n".encode())
        return connection

    def all_said(self, connections):
        """What came on each, until the server closed them all."""
        said = {c: b"" for c in connections}
        with selectors.DefaultSelector() as ready:
            for c in connections:
                ready.register(c, selectors.EVENT_READ)
            while ready.get_map():
                events = ready.select(120)
                self.assertTrue(events, "nothing came for two minutes")
                for key, _ in events:
                    data = key.fileobj.recv(65536)
                    said[key.fileobj] += data
                    if not data:
                        ready.unregister(key.fileobj)
        return list(said.values())

    def threads(self):
        return len(list(pathlib.Path(f"/proc/{self.kiln.serve.popen.pid}/task").iterdir()))

    def test_five_hundred_follow_without_a_thread_each(self):
        url = self.kiln.announce("many")
        before = self.threads()
        path = "/sandboxes/many/build-logs?follow=true"
        connections = [self.follow_raw(path) for _ in range(FOLLOWERS)]
        for c in connections:
            self.assertTrue(c.recv(65536, socket.MSG_PEEK).startswith(b"HTTP/1.1 200 OK\r\n"))
        wait_until("their threads are gone", lambda: self.threads() < before + 16)
        self.assertLess(self.threads(), THREADS)
        self.assertEqual(self.kiln.status("many"), "UPLOADING")  # others are answered, too
        self.assertEqual(self.kiln.upload(url, BROKEN).status, 200)
        answers = self.all_said(connections)
        lines = [line or " " for line in self.kiln.log_lines("many")]
        self.assertGreater(len(lines), 1)
        for answer in answers:
            self.assertTrue(answer.endswith(b"\r\n0\r\n\r\n"))
            body = http.client.HTTPResponse(Spoken(answer))
            body.begin()
            self.assertEqual([s for s in body.read().decode().splitlines() if s], lines)


class Spoken:
    """Bytes that came, for http.client to read."""

    def __init__(self, data):
        self.data = data

    def makefile(self, _mode):
        return io.BytesIO(self.data)


if __name__ == "__main__":
    main()
