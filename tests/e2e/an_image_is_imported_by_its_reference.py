"""PROTOCOL.md 1.6 and 2.6: an image of a private registry is imported for an image or a resource, with
the credentials of the request, which are on no disk; the image then is the workspace's own."""
import base64
import glob
import json
import os
import subprocess
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Registry, wait_until

# "kiln:opensesame", by bcrypt as htpasswd -B writes it
HTPASSWD = "kiln:$2y$05$abcdefghijklmnopqrstuuQbLfdQZSxZ9gjhA5V9o8Tyc6aQRO0Qi\n"
AUTH = base64.b64encode(b"kiln:opensesame").decode()
IMAGE = "private.example/library/alpine:3.20"


class PrivateRegistry(Registry):
    def __init__(self, directory, passwords):
        passwords.write_text(HTPASSWD)
        self.extra = {"auth": {"htpasswd": {"realm": "kiln", "path": str(passwords)}}}
        super().__init__(directory)

    def answers(self):
        try:
            return kiln_server.http_request("GET", f"http://127.0.0.1:{self.port}/v2/").status == 401
        except OSError:
            return False


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases)
        cls.addClassCleanup(cls.kiln.remove)
        cls.private = PrivateRegistry(cls.bases.directory, cls.kiln.directory / "htpasswd")
        cls.addClassCleanup(cls.private.stop)
        # Builds reach no registry of this machine but by a mirror, which gets its own credentials.
        cls.kiln.mirrors += f" private.example=127.0.0.1:{cls.private.port},insecure"
        cls.kiln.start()

    def docker_config(self, auth=AUTH):
        return json.dumps({"auths": {f"127.0.0.1:{self.private.port}": {"auth": auth}}})

    def wait_for_image(self, name):
        def end():
            status = self.kiln.get(f"/images/sandbox/{name}").json["metadata"]["status"]
            return status if status in ("BUILT", "FAILED") else None
        return wait_until(f"{name} is built", end, 180)

    def assert_nothing_is_kept(self):
        found = subprocess.run(["grep", "-r", "-q", "-a", AUTH, str(self.kiln.data)], check=False)
        self.assertEqual(found.returncode, 1)
        for path in glob.glob("/dev/shm/kiln-*/*"):
            if os.path.isdir(path):
                continue  # another test's
            with open(path, encoding="utf-8", errors="replace") as f:
                self.assertNotIn(f"127.0.0.1:{self.private.port}", f.read())

    def test_an_image(self):
        answer = self.kiln.request("POST", "/images", {
            "name": "byimg", "resourceType": "sandbox", "image": IMAGE,
            "dockerConfig": self.docker_config()})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual({**answer.json, "message": ""}, {
            "message": "", "name": "byimg", "resourceType": "sandbox", "image": IMAGE,
            "build": True})
        self.assertEqual(self.wait_for_image("byimg"), "BUILT",
                         "\n".join(self.kiln.log_lines("byimg")))
        config, files = self.kiln.image("byimg")
        self.assertIn("usr/local/bin/sandbox-api", [path.lstrip("/") for path in files])
        self.assertIn("bin/busybox", [path.lstrip("/") for path in files])
        self.assertTrue(config["config"]["Entrypoint"])
        self.assertIn(f"import image {IMAGE}", "\n".join(self.kiln.log_lines("byimg")))
        self.assert_nothing_is_kept()

    def test_a_sandbox(self):
        answer = self.kiln.request("POST", "/sandboxes", {
            "metadata": {"name": "withimg", "labels": {}},
            "spec": {"runtime": {"image": IMAGE, "dockerConfig": self.docker_config()}}})
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn(AUTH, answer.body.decode())
        self.assertEqual(self.kiln.wait_for_end("withimg"), "DEPLOYED",
                         "\n".join(self.kiln.log_lines("withimg")))
        image = self.kiln.get("/sandboxes/withimg").json["spec"]["runtime"]["image"]
        self.assertTrue(image.startswith("sandbox/withimg:"), image)
        self.assert_nothing_is_kept()

    def test_wrong_credentials_fail_with_their_reason(self):
        self.kiln.request("POST", "/images", {
            "name": "wrong", "resourceType": "sandbox", "image": IMAGE,
            "dockerConfig": self.docker_config(base64.b64encode(b"kiln:no").decode())})
        self.assertEqual(self.wait_for_image("wrong"), "FAILED")
        self.assertIn("access denied", "\n".join(self.kiln.log_lines("wrong")))

    def test_skip_build_pulls_nothing(self):
        answer = self.kiln.request("POST", "/images?skip-build=true", {
            "name": "skipped", "resourceType": "sandbox", "image": IMAGE})
        self.assertEqual(answer.status, 200, answer)
        self.assertIs(answer.json["build"], False)
        answer = self.kiln.request("POST", "/sandboxes", {
            "metadata": {"name": "skipped"},
            "spec": {"runtime": {"image": IMAGE, "skipBuild": "true"}}})
        self.assertEqual(answer.json["status"], "DEPLOYED")


if __name__ == "__main__":
    kiln_server.main()
