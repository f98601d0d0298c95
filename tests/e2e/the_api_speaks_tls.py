"""HTTPS with a certificate of a test's own authority: for curl and the TypeScript SDK, renewed under
open connections, of modern versions only, and looked at by `kiln doctor`."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

import kiln_server
from kiln_server import KilnCase, WORKSPACE, http_request, wait_until
from own_ca import OwnCa
from the_typescript_sdk_builds_to_deployed import HERE, installed_client


class TheApiSpeaksTls(KilnCase):
    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="kiln-tls-")
        cls.addClassCleanup(place.cleanup)
        cls.ca = OwnCa(place.name, "127.0.0.1", "localhost")
        kiln_server.authority = cls.ca.file
        cls.addClassCleanup(setattr, kiln_server, "authority", None)
        cls.options = ("--tls-certificate", cls.ca.certificate, "--tls-key", cls.ca.key,
                       "--log-format", "json")
        super().setUpClass()

    def connect(self, **versions):
        context = ssl.create_default_context(cafile=self.ca.file)
        for name, value in versions.items():
            setattr(context, name, value)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.kiln.port), 30),
                                   server_hostname="127.0.0.1")

    def serial(self):
        with contextlib.closing(self.connect()) as connection:
            return connection.getpeercert()["serialNumber"]

    def lines(self):
        return [json.loads(line) for line in self.kiln.serve.text().splitlines()]

    def ask(self, connection):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        said = b""
        while not said.endswith(b"}\n"):
            said += connection.recv(65536)
        return said

    def test_curl_uploads_and_the_registry_sends_its_clients_there(self):
        done = subprocess.run(
            ["curl", "-sS", "--fail", "--cacert", self.ca.file, "-D", "-", "-o", "/dev/null",
             "-H", f"Authorization: Bearer {self.kiln.key()}", "-H",
             "Content-Type: application/json", "-d", '{"metadata":{"name":"a"},"spec":{}}',
             f"{self.kiln.url}/jobs?upload=true"], check=True, capture_output=True, text=True)
        self.assertIn(f"x-blaxel-upload-url: https://127.0.0.1:{self.kiln.port}/uploads/acme/",
                      done.stdout.lower())
        answer = http_request("GET", f"http://{self.kiln.registry}/v2/")
        self.assertIn(f'realm="{self.kiln.url}/registry/token"',
                      answer.headers["WWW-Authenticate"])

    def test_the_typescript_sdk_builds(self):
        env = {**os.environ, "BL_API_URL": self.kiln.url, "BL_API_KEY": self.kiln.key(),
               "BL_WORKSPACE": WORKSPACE, "DO_NOT_TRACK": "1", "HOME": str(self.kiln.directory),
               "KILN_E2E_CLIENT": str(installed_client())}
        for trusted in (False, True):
            if trusted:
                env["NODE_EXTRA_CA_CERTS"] = str(self.ca.file)
            done = subprocess.run(["node", HERE / "build.mjs", "tls", "again", "/nowhere"], env=env,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=240)
            self.assertEqual('{"status":"DEPLOYED"}' in done.stdout, trusted, done.stdout)
        line = next(n for n in self.lines() if "build" in n and n["level"] == "info")
        self.assertEqual((line["workspace"], line["message"].split()[-1]), (WORKSPACE, "succeeded"))
        self.assertIn("worker", line)

    def test_only_modern_versions_are_spoken(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                              (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with contextlib.closing(self.connect(minimum_version=version,
                                                 maximum_version=version)) as connection:
                self.assertEqual(connection.version(), name)
                self.assertIn(b"200 OK", self.ask(connection))
        for version, spoken in (("-tls1", False), ("-tls1_1", False), ("-tls1_2", True)):
            done = subprocess.run(
                ["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect",
                 f"127.0.0.1:{self.kiln.port}"], stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=60)
            self.assertEqual("Cipher is (NONE)" not in done.stdout, spoken, done.stdout)

    def test_plain_http_is_let_go_at_once(self):
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.kiln.port), 20)) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := s.recv(4096):
                    said += piece
        self.assertNotIn(b"200 OK", said)

    def test_a_renewed_certificate_needs_no_stop_and_cuts_no_connection(self):
        open_before = self.connect()
        self.addCleanup(open_before.close)
        self.assertIn(b"200 OK", self.ask(open_before))
        old = self.serial()
        self.assertEqual(open_before.getpeercert()["serialNumber"], old)
        certificate, key = self.ca.issue(2)
        self.ca.certificate.write_text(certificate)  # and not its key yet
        wait_until("that is told", lambda: [n for n in self.lines() if n["level"] == "error"
                                            and "tls_key: " in n["message"]])
        self.assertEqual(self.serial(), old)
        self.ca.key.write_text(key)
        wait_until("new connections have it", lambda: self.serial() != old)
        self.assertIn(b"200 OK", self.ask(open_before))
        told = len([n for n in self.lines() if "were read again" in n["message"]])
        self.kiln.serve.popen.send_signal(signal.SIGHUP)
        wait_until("SIGHUP reads them, too", lambda: len(
            [n for n in self.lines() if "were read again" in n["message"]]) == told + 1)
        self.assertIn(b"200 OK", self.ask(open_before))

    def test_the_doctor_looks_at_the_pair(self):
        other = OwnCa(pathlib.Path(self.kiln.directory, "other"), "127.0.0.2", "other.test")

        def tls(certificate, key, *more):
            done = self.kiln.run("doctor", "--data-dir", self.kiln.directory / "doctor",
                                 "--tls-certificate", certificate, "--tls-key", key, *more,
                                 check=False)
            return next(line for line in done.stdout.splitlines() if " TLS " in line)
        other.key.chmod(0o600)
        at_its_name = ("--public-url", "https://other.test")
        self.assertRegex(tls(other.certificate, other.key, *at_its_name), "^weaker .* expires at .*Z: renew")
        self.assertRegex(tls(other.certificate, self.ca.key), "^MISSING .*tls_key: .* is not the key")
        self.assertRegex(tls("/nowhere", other.key), "^MISSING .*tls_certificate: open /nowhere")
        other.place(*other.issue(300))
        self.assertRegex(tls(other.certificate, other.key, *at_its_name), "^ok .* is good until 20")
        self.assertRegex(tls(other.certificate, other.key), "^weaker .* does not name 127.0.0.1")
        other.place(*other.issue(-1))
        self.assertRegex(tls(other.certificate, other.key, *at_its_name), "^weaker .* expired at 20")


if __name__ == "__main__":
    kiln_server.main()
