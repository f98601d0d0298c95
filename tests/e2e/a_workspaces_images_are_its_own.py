"""Images are pulled with a workspace's key by others' clients, and by nobody else's."""
import json
import os
import subprocess

import kiln_server
from kiln_server import KilnCase, http_request, zip_of


class PrivateImages(KilnCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kiln.deploy("app", zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo mine > /mine\n"}))
        cls.reference = f"{cls.kiln.registry}/acme/sandbox/app:latest"

    def client(self, *words, key=None):
        """skopeo or buildah, with credentials of its own."""
        words = [str(w) for w in words]
        if key:
            words += ["--creds", f"whoever:{key}"]
        return subprocess.run(words, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, env={
                                  **os.environ, "REGISTRY_AUTH_FILE":
                                  str(self.kiln.directory / "no-auth.json")})

    def inspect(self, key=None):
        return self.client("skopeo", "inspect", "--tls-verify=false",
                           f"docker://{self.reference}", key=key)

    def copy(self, key):
        to = self.kiln.directory / "copied"
        return self.client("skopeo", "copy", "--src-tls-verify=false",
                           f"docker://{self.reference}", f"dir:{to}", "--src-creds",
                           f"whoever:{key}"), to

    def test_a_member_copies_the_image_out(self):
        member = self.kiln.run("key", "create", "--workspace", "acme", "--role", "member",
                               "--data-dir", self.kiln.data).stdout.strip()
        done, to = self.copy(member)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((to / "manifest.json").is_file())

    def test_others_are_refused(self):
        for key in (None, "bl_wrong", self.kiln.key("rival")):
            done = self.inspect(key)
            self.assertNotEqual(done.returncode, 0, f"{key}: {done.stdout}")
            self.assertRegex(done.stderr, "unauthorized|authentication required|denied")

    def limit(self, limit):
        self.kiln.run("workspace", "set", "acme", "--max-images", limit, "--data-dir",
                      self.kiln.data)

    def test_the_operator_limits_what_they_take(self):
        self.assertEqual(self.kiln.request("DELETE", "/images/sandbox/app").status, 409)
        self.assertEqual(self.kiln.request("DELETE", "/images").json["images"], [])
        wanted = {"name": "more", "resourceType": "sandbox"}
        self.limit("1B")
        answer = self.kiln.request("POST", "/images?upload=true", wanted)
        self.assertEqual((answer.status, answer.json["error"]), (400, "QUOTA_EXCEEDED"))
        self.limit("default")
        self.assertEqual(self.kiln.request("POST", "/images?upload=true", wanted).status, 200)

    def test_nobody_but_kiln_pushes(self):
        done, to = self.copy(self.kiln.key())
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.client("skopeo", "copy", "--dest-tls-verify=false", f"dir:{to}",
                           f"docker://{self.reference}", "--dest-creds",
                           f"whoever:{self.kiln.key()}")
        self.assertNotEqual(done.returncode, 0)
        answer = http_request("GET", f"http://{self.kiln.registry}/v2/_catalog", headers={
            "Authorization": f"Bearer {self.kiln.registry_token('registry:catalog:*')}"})
        self.assertEqual(answer.status, 401, answer)

    def test_clients_log_in_with_the_key(self):
        done = subprocess.run(
            ["buildah", "login", "--tls-verify=false", "--authfile",
             str(self.kiln.directory / "auth.json"), "-u", "whoever", "--password-stdin",
             self.kiln.registry], input=self.kiln.key(), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_access_token_pulls_too(self):
        client = self.kiln.request("POST", "/service_accounts", {"name": "ci"}).json
        answer = http_request(
            "POST", self.kiln.url + "/oauth/token",
            json.dumps({"grant_type": "client_credentials"}).encode(),
            {"Authorization": kiln_server.basic(client["client_id"], client["client_secret"])})
        self.assertEqual(answer.status, 200, answer)
        done = self.inspect(answer.json["access_token"])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_build_stands_on_an_image_of_its_workspace(self):
        dockerfile = f"FROM {self.reference}\nRUN cat /mine > /ours\n"
        self.kiln.deploy("upon", zip_of({"Dockerfile": dockerfile}))
        _, files = self.kiln.image("upon")
        self.assertEqual(files["/ours"], b"mine\n")

    def test_a_build_does_not_get_at_another_workspaces_image(self):
        dockerfile = f"FROM {self.reference}\nRUN cat /mine\n"
        self.kiln.submit("thief", zip_of({"Dockerfile": dockerfile}), workspace="rival")
        self.assertEqual(self.kiln.wait_for_end("thief", workspace="rival"), "FAILED")
        log = "\n".join(self.kiln.log_lines("thief", workspace="rival"))
        self.assertRegex(log, "not allowed")


if __name__ == "__main__":
    kiln_server.main()
