"""GET …/build-logs?follow=true of a real build, taken up again after a lost connection, and what is
left of a log once log_retention is over."""
import http.client
import json
import types
import unittest
import urllib.parse

from kiln_server import WORKSPACE, Kiln, free_port, main, wait_until

BROKEN = b"PK\x03\x04 this is no archive"
FOLLOW = "/sandboxes/app/build-logs?follow=true"


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


if __name__ == "__main__":
    main()
