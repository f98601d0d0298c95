"""The keys of upload URLs and of the registry's tokens are exchanged while clients upload and pull:
nobody is refused.  What the old key has signed is good for its time, and then no more."""
import os
import threading
import time

import kiln_server
from kiln_server import KilnCase, WORKSPACE, http_request, wait_until, zip_of

SCOPE = f"repository:{WORKSPACE}/sandbox/one:pull"


class Loop:
    """Does something again and again in a thread, and keeps what went wrong."""

    def __init__(self, act):
        self.act, self.done, self.wrong = act, 0, []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.ended.is_set():
            try:
                self.act(self.done)
            except Exception as problem:  # pylint: disable=broad-except
                self.wrong.append(repr(problem))
            self.done += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Rotation(KilnCase):
    workers = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        wait_until("its registry runs, too", lambda: "kiln: ready" in cls.kiln.serve.text())
        cls.kiln.deploy("one", zip_of({"Dockerfile": "FROM alpine:3.20\n"}))

    def rotate(self, *words, check=True):
        return self.kiln.run("rotate", *words, "--data-dir", self.kiln.data, check=check)

    def upload(self, n):
        url = self.kiln.announce(f"up-{n % 5}")
        answer = self.kiln.upload(url, b"PK no archive, but an upload")
        assert answer.status == 200, answer

    def manifest(self, token):
        return http_request("GET", self.kiln.repository("one") + "/manifests/latest",
                            headers={"Authorization": f"Bearer {token}"}).status

    def pull(self, _):
        status = self.manifest(self.kiln.registry_token(SCOPE))
        assert status == 200, status

    def test_1_nobody_is_refused(self):
        before = self.kiln.announce("before")
        token = self.kiln.registry_token(SCOPE)
        with Loop(self.upload) as uploads, Loop(self.pull) as pulls:
            wait_until("clients are at work", lambda: uploads.done > 2 and pulls.done > 2)
            self.rotate("upload")
            said = self.rotate("registry").stdout
            at = uploads.done, pulls.done
            wait_until("they go on", lambda: uploads.done > at[0] + 5 and pulls.done > at[1] + 5)
        self.assertIn("is accepted until 2", said)
        self.assertEqual((uploads.wrong, pulls.wrong), ([], []))
        self.assertEqual(self.kiln.upload(before, b"PK").status, 200)
        self.assertEqual(self.manifest(token), 200)
        self.assertNotIn("other keys", self.kiln.serve.text())
        for what in ("upload", "registry"):
            done = self.rotate(what, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the key before this one is accepted for", done.stderr)
        type(self).old_token = token

    def test_2_a_build_goes_on_with_the_new_key(self):
        self.kiln.deploy("two", zip_of({"Dockerfile": f"FROM {self.kiln.registry}/{WORKSPACE}/"
                                                      "sandbox/one:latest\nRUN echo two\n"}))

    def test_3_the_old_key_goes_when_its_time_is_over(self):
        self.assertEqual(self.manifest(self.old_token), 200)
        old = self.kiln.data / "registry/token-key.pem.old"
        long_ago = time.time() - 3600
        os.utime(old, (long_ago, long_ago))
        wait_until("the registry has forgotten it", lambda: "other keys" in self.kiln.serve.text())
        self.assertFalse(old.exists())
        self.assertEqual(self.manifest(self.old_token), 401)
        self.pull(0)

    def test_4_at_once_ends_what_was_signed_before(self):
        url = self.kiln.announce("late")
        token = self.kiln.registry_token(SCOPE)
        self.rotate("upload", "--now")
        self.rotate("registry", "--now")
        self.assertEqual(self.kiln.upload(url, b"PK").status, 403)
        wait_until("the old token is refused", lambda: self.refused(token))
        self.upload(0)
        wait_until("new ones are taken", lambda: not self.refused(self.kiln.registry_token(SCOPE)))
        self.assertIn("none before it is accepted", self.rotate().stdout)

    def refused(self, token):
        try:
            return self.manifest(token) == 401
        except OSError:  # it is being started
            return None

    def test_5_webhooks_are_signed_with_both_until_told(self):
        first = self.rotate("webhook").stdout.strip()
        second = self.rotate("webhook").stdout.strip()
        show = lambda: self.kiln.run("webhook", "secret", "--data-dir",
                                     self.kiln.data).stdout.split()
        self.assertEqual(show(), [first, second])
        self.rotate("webhook", "--purge")
        self.assertEqual(show(), [second])


if __name__ == "__main__":
    kiln_server.main()
