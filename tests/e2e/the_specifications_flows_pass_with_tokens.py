"""The distribution specification's own conformance suite finds nothing wrong with a docker-registry
that asks for Kiln's tokens but what it finds wrong with docker-registry alone.

All requests that only pull get their tokens from `kiln serve`, for a member's key.  As it lets nobody
push, those for the rest are signed as Kiln signs its own."""
import http.server
import json
import os
import pathlib
import re
import subprocess
import threading
import urllib.parse
import xml.etree.ElementTree

import kiln_server
from go_program import go_program
from kiln_server import KilnCase, Registry, http_request

SIGN = pathlib.Path(kiln_server.KILN).resolve().parents[1] / "tests/registry/sign_token"


class Deleting(Registry):
    """docker-registry as Kiln configures it, alone, or with the part that `kiln registry` prints."""

    def __init__(self, directory, auth=None):
        self.extra = {"storage": {"delete": {"enabled": True}, "filesystem": {
            "rootdirectory": str(directory / "data")}}}
        if auth:
            self.extra["auth"] = {"token": auth}
        super().__init__(directory)

    def answers(self):
        try:
            answer = http_request("GET", f"http://127.0.0.1:{self.port}/v2/")
        except OSError:
            return False
        return answer.status == (401 if "auth" in self.extra else 200)


class Realm(http.server.ThreadingHTTPServer):
    """Gives tokens; `asked` counts who gave them."""

    def __init__(self, kiln, auth):
        self.kiln, self.auth = kiln, auth
        self.asked = {"kiln serve": 0, "signed": 0}
        super().__init__(("127.0.0.1", 0), RealmHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class RealmHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.urlsplit(self.path).query
        scope = " ".join(urllib.parse.parse_qs(query).get("scope", []))
        if re.search(r"push|delete|\*", scope):
            self.server.asked["signed"] += 1
            status, body = 200, json.dumps({"token": self.sign(scope)}).encode()
        else:
            self.server.asked["kiln serve"] += 1
            answer = http_request("GET", f"{self.server.kiln.url}/registry/token?{query}", headers={
                "Authorization": self.headers["Authorization"]})
            status, body = answer.status, answer.body
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def sign(self, scope):
        auth = self.server.auth
        return subprocess.run([SIGN, self.server.kiln.data / "registry/token-key.pem",
                               auth["service"], auth["issuer"], scope], check=True,
                              capture_output=True, text=True).stdout.strip()

    def log_message(self, *words):
        pass


class Conformance(KilnCase):
    @classmethod
    def setUpClass(cls):
        cls.suite = go_program("conformance")
        super().setUpClass()
        cls.member = cls.kiln.run("key", "create", "--workspace", "acme", "--role", "member",
                                  "--data-dir", cls.kiln.data).stdout.strip()

    def printed(self):
        """What `kiln registry` says that a registry has to know, its certificate in a file."""
        where = ("--data-dir", self.kiln.data, "--registry-listen", self.kiln.registry)
        certificate = self.kiln.directory / "kiln.pem"
        certificate.write_text(self.kiln.run("registry", "certificate", *where).stdout)
        auth = dict(re.findall(r"(?m)^    (\w+): (\S+)$", self.kiln.run("registry", *where).stdout))
        self.assertEqual(set(auth), {"realm", "service", "issuer", "rootcertbundle"})
        return {**auth, "rootcertbundle": str(certificate)}

    def conform(self, name, registry, key=None):
        """The names of the cases that passed, and of those that failed."""
        directory = self.kiln.directory / name
        done = subprocess.run(
            [self.suite], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            cwd=self.kiln.directory, env={
                **os.environ, "OCI_REGISTRY": registry, "OCI_TLS": "disabled",
                "OCI_REPO1": "acme/sandbox/one", "OCI_REPO2": "acme/sandbox/two",
                "OCI_USERNAME": "whoever" if key else "", "OCI_PASSWORD": key or "",
                "OCI_CACHE_AUTH": "false", "OCI_RESULTS_DIR": str(directory)})
        report = directory / "junit.xml"
        self.assertTrue(report.exists(), done.stdout + done.stderr)
        cases = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            cases.setdefault(case.get("status"), []).append(case.get("name"))
        return cases.get("passed", []), cases.get("failure", []) + cases.get("error", [])

    def test_no_more_fails_than_without(self):
        bare = Deleting(self.kiln.directory / "bare")
        self.addCleanup(bare.stop)
        auth = self.printed()
        realm = Realm(self.kiln, auth)
        self.addCleanup(realm.server_close)
        self.addCleanup(realm.shutdown)
        auth["realm"] = f"http://127.0.0.1:{realm.server_port}/"
        trusting = Deleting(self.kiln.directory / "trusting", auth)
        self.addCleanup(trusting.stop)
        alone = self.conform("alone", f"127.0.0.1:{bare.port}")
        with_tokens = self.conform("with-tokens", f"127.0.0.1:{trusting.port}", self.member)
        self.assertGreater(len(alone[0]), 400)
        self.assertEqual(sorted(set(with_tokens[1]) - set(alone[1])), [])
        self.assertEqual(sorted(with_tokens[0]), sorted(alone[0]))
        self.assertGreater(realm.asked["kiln serve"], 100)
        self.assertGreater(realm.asked["signed"], 100)


if __name__ == "__main__":
    kiln_server.main()
