"""With ca_certificates, bases are pulled from, images pushed to, and git sources fetched from servers
whose certificates only the operator's own authority has signed; without it, from none of them.

(ADD over TLS is in tests/builder/features_git_test.c: builds do not reach this machine.)"""
import contextlib
import ssl
import unittest
import urllib.request

import kiln_server
from git_server import GitServer
from kiln_server import Bases, Kiln, Registry
from own_ca import OwnCa


class TlsRegistry(Registry):
    def __init__(self, directory, ca):
        self.ca = ca
        self.http = {"tls": {"certificate": str(ca.certificate), "key": str(ca.key)}}
        super().__init__(directory)

    def get(self, path):
        context = ssl.create_default_context(cafile=self.ca.file)
        with urllib.request.urlopen(f"https://127.0.0.1:{self.port}{path}", context=context) as r:
            return r.read().decode()

    def answers(self):
        with contextlib.suppress(OSError):
            return self.get("/v2/") is not None
        return False


class OwnAuthorities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bases = Bases(kiln_server.KEEP / "bases")
        bases.stop()  # made; they are served by TLS
        cls.kiln = Kiln(bases)
        cls.addClassCleanup(cls.kiln.remove)
        cls.ca = OwnCa(cls.kiln.directory / "ca", "127.0.0.1", "localhost")
        cls.mirror = TlsRegistry(bases.directory, cls.ca)
        cls.addClassCleanup(cls.mirror.stop)
        cls.registry = TlsRegistry(cls.kiln.directory / "pushed", cls.ca)
        cls.addClassCleanup(cls.registry.stop)
        cls.git = GitServer(cls.kiln.directory / "git")
        cls.addClassCleanup(cls.git.stop)
        cls.git.make("app").commit({"Dockerfile": "FROM alpine:3.20\nCOPY . /src/\n"})
        cls.ca.wrap(cls.git.http)
        # By its name: mbedTLS, which libgit2 has here, knows no addresses in certificates.
        cls.host = f"localhost:{cls.git.http.server_port}"
        cls.folder = cls.kiln.directory / "folder"
        cls.folder.mkdir()
        (cls.folder / "Dockerfile").write_text("FROM alpine:3.20\nCOPY . /src/\n")

    def build(self, source, *options):
        done = self.kiln.run(
            "build", source, "--type", "job", "--data-dir", self.kiln.data, "--registry-url",
            f"https://127.0.0.1:{self.registry.port}", "--mirrors",
            f"docker.io=127.0.0.1:{self.mirror.port}", "--git-hosts", self.host,
            "--attempts", "1", *options, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_pull_push_and_git_trust_them(self):
        source = f"https://{self.host}/app.git"
        for authorities in (self.ca.file, self.ca.file.parent / "only"):
            if authorities.name == "only":
                authorities.mkdir()
                (authorities / "a.crt").write_bytes(self.ca.file.read_bytes())
            code, said = self.build(source, "--ca-certificates", authorities)
            self.assertEqual(code, 0, said)
        self.assertIn("/job/app", self.registry.get("/v2/_catalog"))

    def test_without_them_nobody_is_trusted(self):
        code, said = self.build(self.folder)
        self.assertEqual(code, 1, said)
        self.assertIn("SSL certificate problem", said)
        plain = Registry(self.kiln.directory / "plain")
        self.addCleanup(plain.stop)
        options = "--registry-url", f"http://127.0.0.1:{plain.port}"
        code, said = self.build(f"https://{self.host}/app.git", *options)
        self.assertEqual(code, 1, said)
        self.assertIn("certificate is not to be trusted", said)
        code, said = self.build(self.folder, *options)
        self.assertEqual(code, 1, said)
        self.assertRegex(said, "pull docker.io/library/alpine.*SSL certificate problem")

    def test_what_is_no_certificate_is_refused(self):
        bad = self.kiln.directory / "bad.pem"
        for content, says in ((b"", "no certificate in PEM form"),
                              (self.ca.file.read_bytes() + self.ca.key.read_bytes(),
                               "holds a private key")):
            bad.write_bytes(content)
            code, said = self.build(self.folder, "--ca-certificates", bad)
            self.assertNotEqual(code, 0)
            self.assertIn(says, said)


if __name__ == "__main__":
    kiln_server.main()
