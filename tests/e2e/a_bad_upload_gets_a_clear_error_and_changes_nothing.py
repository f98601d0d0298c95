"""Truncated, oversized, expired, replayed, foreign: refused in plain words, and still UPLOADING."""
import re
import socket
import time
import urllib.parse

import kiln_server
from kiln_server import KilnCase, folders_named, http_request, wait_until, zip_of

GOOD = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo the good one\n"})
LIMIT = 1 << 20


class BadUploads(KilnCase):
    options = ("--upload-max", str(LIMIT), "--upload-expiry", "600s")

    def received(self):
        """The archives that are in the store."""
        return [p for d in folders_named(self.kiln.data, "uploads")
                for p in d.iterdir() if p.is_file()]

    def check_refused(self, answer, statuses, words):
        self.assertIn(answer.status, statuses, answer)
        self.assertEqual(answer.headers.get_content_type(), "application/json")
        body = answer.json
        self.assertEqual(body["code"], answer.status)
        self.assertIsInstance(body["error"], str)
        self.assertRegex(body["message"].lower(), words)

    def check_unharmed(self, name, url):
        """Still waiting, nothing stored; the right upload then does its work."""
        self.assertEqual(self.kiln.status(name), "UPLOADING")
        wait_until("what was refused has gone", lambda: not self.received())
        self.assertEqual(self.kiln.upload(url, GOOD).status, 200)
        self.assertEqual(self.kiln.wait_for_end(name), "DEPLOYED")

    def raw(self, url, head, body):
        """Sends bytes as they are and closes; what came back until then."""
        parts = urllib.parse.urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), 10) as s:
            s.sendall((f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                       f"Content-Type: application/zip\r\n{head}\r\n\r\n").encode() + body)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(10)
            got = b""
            try:
                while chunk := s.recv(4096):
                    got += chunk
            except OSError:
                pass
            return got

    def test_a_truncated_upload(self):
        url = self.kiln.announce("truncated")
        got = self.raw(url, f"Content-Length: {len(GOOD) + 1000}", GOOD)
        self.assertFalse(got.startswith(b"HTTP/1.1 200"), got)
        self.check_unharmed("truncated", url)

    def test_a_connection_cut_in_the_middle(self):
        url = self.kiln.announce("cut")
        parts = urllib.parse.urlsplit(url)
        s = socket.create_connection((parts.hostname, parts.port), 10)
        s.sendall((f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                   f"Content-Length: 100000\r\n\r\n").encode() + b"P" * 5000)
        time.sleep(0.3)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
        self.check_unharmed("cut", url)

    def test_an_oversized_upload(self):
        url = self.kiln.announce("oversized")
        with self.subTest("that says so"):
            got = self.raw(url, f"Content-Length: {LIMIT + 1}\r\nExpect: 100-continue", b"")
            self.assertRegex(got, rb"^HTTP/1.1 413")
            self.assertRegex(got, rb"1\.0 MB", "the limit is named")
        with self.subTest("that does not: chunked"):
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            got = self.raw(url, "Transfer-Encoding: chunked", chunk * 17 + b"0\r\n\r\n")
            self.assertFalse(got.startswith(b"HTTP/1.1 200"), got[:200])
        self.check_unharmed("oversized", url)

    def test_a_replayed_upload(self):
        url = self.kiln.announce("replayed")
        self.assertEqual(self.kiln.upload(url, GOOD).status, 200)
        answer = self.kiln.upload(url, GOOD)
        self.check_refused(answer, (403, 409, 410), "already|used|once")
        self.assertEqual(self.kiln.wait_for_end("replayed"), "DEPLOYED")
        self.check_refused(self.kiln.upload(url, GOOD), (403, 409, 410), "already|used|once")
        self.assertEqual(self.kiln.status("replayed"), "DEPLOYED")

    def test_an_older_url_after_a_newer_one(self):
        old, new = self.kiln.announce("older"), self.kiln.announce("older")
        self.check_refused(self.kiln.upload(old, GOOD), (403, 404, 409, 410), "newer|superseded")
        self.check_unharmed("older", new)

    def test_a_forged_or_foreign_url(self):
        url = self.kiln.announce("forged")
        self.kiln.key("rival")
        foreign = self.kiln.announce("forged", workspace="rival")
        signature = re.search(r"signature=([0-9a-f]+)", url).group(1)
        other = re.search(r"signature=([0-9a-f]+)", foreign).group(1)
        flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
        expires = re.search(r"expires=(\d+)", url).group(1)
        for what, bad in {
                "another signature": url.replace(signature, flipped),
                "no signature": url.replace(f"signature={signature}", ""),
                "the signature of another workspace": url.replace(signature, other),
                "another workspace": url.replace("/acme/", "/rival/"),
                "a later end": url.replace(expires, str(int(expires) + 9999)),
        }.items():
            with self.subTest(what):
                self.assertNotEqual(bad, url)
                self.check_refused(self.kiln.upload(bad, GOOD), (401, 403), ".")
        for method in ("GET", "POST", "DELETE"):
            with self.subTest(method):
                self.assertIn(http_request(method, url, b"x").status, (403, 404, 405))
        self.check_unharmed("forged", url)

    def test_the_upload_url_opens_nothing_else_and_a_key_is_needed(self):
        answer = http_request("GET", self.kiln.url + "/sandboxes")
        self.assertEqual(answer.status, 401, answer)
        self.assertEqual(answer.json["code"], 401)
        self.kiln.key("rival")
        self.kiln.announce("mine")
        self.assertEqual(self.kiln.get("/sandboxes/mine", workspace="rival").status, 404)


class ExpiredUploads(KilnCase):
    options = ("--upload-expiry", "8s")  # for a busy machine that announces and uploads

    def test_an_expired_upload(self):
        url = self.kiln.announce("expired")
        time.sleep(9.2)
        answer = self.kiln.upload(url, GOOD)
        self.assertIn(answer.status, (403, 410), answer)
        self.assertRegex(answer.json["message"].lower(), "expired")
        self.assertNotEqual(self.kiln.status("expired"), "DEPLOYED")
        again = self.kiln.announce("expired")
        self.assertEqual(self.kiln.upload(again, GOOD).status, 200)
        self.assertEqual(self.kiln.wait_for_end("expired"), "DEPLOYED")


if __name__ == "__main__":
    kiln_server.main()
