"""docker, podman, skopeo and buildah log in with an API key and pull what the key opens, and nothing
else; nobody pushes.  And others stand on what is shared with them until the share ends."""
import json
import os
import re
import shutil
import subprocess

import kiln_server
from kiln_server import KilnCase, zip_of

UNITS = {"B": 1, "kB": 1000, "MB": 1000 ** 2}
DOCKERFILE = "FROM alpine:3.20\nRUN echo ours > /ours\nCMD [\"true\"]\n"


class Client:
    """One that keeps credentials in a file and images in a store of its own.  Each method returns
    a finished process."""

    def __init__(self, program, directory):
        self.program = program
        self.directory = directory / program
        self.directory.mkdir(parents=True)
        (self.directory / "auth.json").write_text("{}")

    def run(self, *words, text=None):
        return subprocess.run(
            [self.program, *(str(w) for w in words)], input=text or "", capture_output=True,
            text=True, timeout=180,
            env={**os.environ, "HOME": str(self.directory), "TMPDIR": str(self.directory),
                 "REGISTRY_AUTH_FILE": str(self.directory / "auth.json")})

    def login(self, registry, key):
        return self.run("login", "--tls-verify=false", "-u", "whoever", "--password-stdin",
                        registry, text=key)

    def forget(self, reference):
        """Takes away what is not in its directory."""


class Skopeo(Client):
    def pull(self, reference):
        shutil.rmtree(self.directory / "image", ignore_errors=True)
        return self.run("copy", "--src-tls-verify=false", f"docker://{reference}",
                        f"dir:{self.directory / 'image'}")

    def push(self, reference):
        return self.run("copy", "--dest-tls-verify=false", f"dir:{self.directory / 'image'}",
                        f"docker://{reference}")


class Storing(Client):
    """podman and buildah, with a store without mounts."""

    def run(self, *words, text=None):
        store = () if words[0] == "login" else (
            "--root", self.directory / "store", "--runroot", self.directory / "run",
            "--storage-driver", "vfs")
        return super().run(*store, *words, text=text)

    def pull(self, reference):
        always = ("--policy", "always") if self.program == "buildah" else ()
        return self.run("pull", *always, "--tls-verify=false", reference)

    def push(self, reference):
        pulled = self.run("images", "--quiet").stdout.split()[0]
        return self.run("push", "--tls-verify=false", pulled, f"docker://{reference}")


class Docker(Client):
    """With a daemon, where there is one, and else what the command does by itself, which is to get
    and put manifests."""

    def __init__(self, program, directory):
        super().__init__(program, directory)
        self.daemon = self.run("info").returncode == 0

    def run(self, *words, text=None):
        return super().run("--config", self.directory, *words, text=text)

    def login(self, registry, key):
        return self.run("login", "-u", "whoever", "--password-stdin", registry, text=key)

    def pull(self, reference):
        if self.daemon:
            return self.run("pull", reference)
        return self.run("manifest", "inspect", "--insecure", reference)

    def push(self, reference):
        pulled = reference.rpartition(":")[0] + ":latest"
        if self.daemon:
            steps = ("tag", pulled, reference), ("push", reference), ("rmi", reference)
        else:
            steps = (("manifest", "create", "--insecure", reference, pulled),
                     ("manifest", "push", "--insecure", reference))
        done = [self.run(*words) for words in steps]
        return next((d for d in done if d.returncode), done[-1])

    def forget(self, reference):
        if self.daemon:
            self.run("rmi", reference)


CLIENTS = {"skopeo": Skopeo, "buildah": Storing, "podman": Storing, "docker": Docker}


class OthersClients(KilnCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kiln.deploy("app", zip_of({"Dockerfile": DOCKERFILE}))
        cls.reference = f"{cls.kiln.registry}/acme/sandbox/app:latest"
        cls.member = cls.make_key("--workspace", "acme", "--role", "member")
        cls.account = cls.make_key("--account", "default")

    @classmethod
    def make_key(cls, *of):
        return cls.kiln.run("key", "create", *of, "--data-dir", cls.kiln.data).stdout.strip()

    def share(self, target):
        return self.of_account("POST", "/images/sandbox/app/share",
                               json.dumps({"targetWorkspace": target}).encode())

    def unshare(self, target):
        return self.of_account("DELETE", f"/images/sandbox/app/share/{target}")

    def of_account(self, method, path, body=None):
        answer = kiln_server.http_request(method, self.kiln.url + path, body, {
            "Authorization": f"Bearer {self.account}", "X-Blaxel-Workspace": "acme",
            "Content-Type": "application/json"})
        self.assertEqual(answer.status, 200, answer)

    def assert_done(self, done):
        self.assertEqual(done.returncode, 0, f"{done.args}: {done.stdout}{done.stderr}")

    def assert_refused(self, done):
        self.assertNotEqual(done.returncode, 0, f"{done.args}: {done.stdout}{done.stderr}")
        self.assertRegex(done.stderr, r"(?i)unauthorized|authentication required|denied|no such "
                                      r"manifest|invalid username/password")

    # ---- pulling ----

    def check(self, program):
        if program == "docker" and not shutil.which("docker"):
            self.skipTest("no docker here")
        client = CLIENTS[program](program, self.kiln.directory)
        self.addCleanup(client.forget, self.reference)
        registry = self.kiln.registry
        self.assert_refused(client.login(registry, "bl_wrong"))
        self.assert_refused(client.pull(self.reference))
        self.assert_done(client.login(registry, self.member))
        self.assert_done(client.pull(self.reference))
        for role, key in {"member": self.member, "admin": self.kiln.key()}.items():
            self.assert_done(client.login(registry, key))
            self.assert_refused(client.push(f"{registry}/acme/sandbox/app:{role}"))
        self.assert_done(client.login(registry, self.kiln.key("rival")))
        self.assert_refused(client.pull(self.reference))
        self.share("rival")
        try:
            self.assert_done(client.pull(self.reference))
            self.assert_refused(client.push(f"{registry}/acme/sandbox/app:shared"))
        finally:
            self.unshare("rival")
        self.assert_refused(client.pull(self.reference))
        self.assertFalse({"member", "admin", "shared"} & set(self.kiln.tags("app")))

    def test_skopeo(self):
        self.check("skopeo")

    def test_buildah(self):
        self.check("buildah")

    def test_podman(self):
        self.check("podman")

    def test_docker(self):
        self.check("docker")

    # ---- standing on it ----

    def build_upon(self, name):
        """By the workspace "guest"; its status, and its log."""
        dockerfile = f"FROM {self.reference}\nRUN cat /ours /ours > /theirs\n"
        self.kiln.submit(name, zip_of({"Dockerfile": dockerfile}), workspace="guest")
        status = self.kiln.wait_for_end(name, workspace="guest")
        return status, "\n".join(self.kiln.log_lines(name, workspace="guest"))

    def test_who_leaves_a_share_is_refused_at_once(self):
        client = Skopeo("skopeo", self.kiln.directory / "leaver")
        self.addCleanup(client.forget, self.reference)
        self.assert_done(client.login(self.kiln.registry, self.kiln.key("guest")))
        self.share("guest")
        self.assert_done(client.pull(self.reference))
        left = self.kiln.request("DELETE", "/images/sandbox/app/share/guest", workspace="guest")
        self.assertEqual(left.status, 200, left)
        self.assert_refused(client.pull(self.reference))
        self.assertNotIn("app", [i["metadata"]["name"] for i in self.kiln.get(
            "/images", workspace="guest").json])  # what the other tests built may be there
        self.assertEqual(self.kiln.get("/images/sandbox/app").json["metadata"]["events"][-1][
            "message"], "The workspace guest left")

    def test_a_build_stands_on_a_shared_image_until_the_share_ends(self):
        self.kiln.key("guest")
        status, log = self.build_upon("upon")
        self.assertEqual(status, "FAILED", log)
        self.assertIn("it is not this workspace's, and not shared with it", log)
        self.share("guest")
        status, log = self.build_upon("upon")
        self.assertEqual(status, "DEPLOYED", log)
        _, files = self.kiln.image("upon", workspace="guest")
        self.assertEqual(files["/theirs"], b"ours\nours\n")
        # The base is mounted from where it is, and not sent.
        base = sum(layer["size"] for layer in self.kiln.manifest("app").json["layers"])
        there = re.search(r"sent, (\S+) (\S+) were there already", log)
        self.assertAlmostEqual(float(there[1]) * UNITS[there[2]], base, delta=base / 10)
        status, log = self.build_upon("upon")  # on the base that is here by now
        self.assertEqual(status, "DEPLOYED", log)
        self.assertIn("is still sha256:", log)
        self.unshare("guest")
        status, log = self.build_upon("upon")
        self.assertEqual(status, "FAILED", log)
        self.assertIn("it is not this workspace's, and not shared with it", log)


if __name__ == "__main__":
    kiln_server.main()
