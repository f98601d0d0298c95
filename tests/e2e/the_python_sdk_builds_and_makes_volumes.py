"""The unmodified Python SDK from PyPI against `kiln serve` (PROTOCOL 3.2, 3.3): the version that was
traced, and a later one, which asks for the API of 2026-09-22."""
import json
import os
import pathlib
import subprocess
import sys

import kiln_server
from kiln_server import KilnCase, WORKSPACE, from_pypi, wait_until
from volume_case import AUTO, tar_of

CLIENT = pathlib.Path(__file__).parent / "client/sdk.py"


class ThePythonSdk(KilnCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.kiln.directory / "app"
        (cls.folder / "src/sub").mkdir(parents=True)
        (cls.folder / "config.json").write_text('{"greeting":"hello from config.json"}\n')
        (cls.folder / "src/a.txt").write_text("alpha\n")
        (cls.folder / "src/link-rel").symlink_to("a.txt")
        cls.deploy_template()

    @classmethod
    def deploy_template(cls):
        answer = cls.kiln.request("POST", "/volume_templates?upload=true", {
            "metadata": {"name": "mytemplate", "labels": AUTO}, "spec": {"defaultSize": 64}})
        assert answer.status == 200, answer
        done = kiln_server.http_request("PUT", answer.headers["X-Blaxel-Upload-Url"],
                                        tar_of(cls.folder), {"Content-Type": "application/x-tar"})
        assert done.status == 200, done
        wait_until("the template is ready", lambda: cls.kiln.get(
            "/volume_templates/mytemplate").json["state"]["status"] == "ready")

    def run_sdk(self, version, name):
        env = {**os.environ, "KILN_URL": self.kiln.url, "BL_API_KEY": self.kiln.key(),
               "BL_WORKSPACE": WORKSPACE, "BL_ENV": "dev", "DO_NOT_TRACK": "1",
               "PYTHONPATH": str(from_pypi(f"blaxel=={version}")),
               "HOME": str(self.kiln.directory)}
        done = subprocess.run([sys.executable, "-B", CLIENT, name, "mytemplate:latest",
                               self.folder], env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr[-4000:])
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def check(self, name, told):
        """Returns what only later versions tell."""
        first, again, failed, *told = told
        self.assertEqual(first.get("status"), "DEPLOYED", first)
        self.assertIn("BUILDING", first["statuses"])
        self.assertNotEqual(again["statuses"][0], "DEPLOYED")
        self.assertNotEqual(first["image"], again["image"])
        self.assertIn("Deployment failed", failed["error"])
        _, files = self.kiln.image(name, first["image"].rpartition(":")[2])
        self.assertEqual(files["/app/src/a.txt"], b"alpha\n")
        self.assertEqual(files["/app/src/link-rel"], b"alpha\n", "this SDK follows links")
        self.assertIn("/usr/local/bin/sandbox-api", files)
        *more, sandboxes, deleted, left, made, refused, volumes, later = told
        self.assertIn(name, sandboxes["sandboxes"])
        self.assertEqual((deleted["deleted"], left["left"]), (name, 404))
        self.assertEqual(made, {"made": "sdk-py", "size": 1024, "found": 1024,
                                "template": "mytemplate:latest"})
        self.assertEqual(refused["status"], 409)
        self.assertEqual(volumes["volumes"], ["sdk-py"])
        self.assertEqual(later["asynchronous"], "sdk-async")
        self.kiln.request("DELETE", "/volumes/sdk-async")
        return more, sorted(["latest", *(b["image"].rpartition(":")[2] for b in (first, again))])

    def test_the_traced_version(self):
        more, _ = self.check("traced", self.run_sdk("0.4.3", "traced"))
        self.assertEqual(more, [])

    def test_a_later_version(self):
        (images, tags), expected = self.check("later", self.run_sdk("0.4.24", "later"))
        self.assertEqual(images["counts"][images["listed"].index("later")], 3)
        self.assertEqual(tags["tags"], expected)


if __name__ == "__main__":
    kiln_server.main()
