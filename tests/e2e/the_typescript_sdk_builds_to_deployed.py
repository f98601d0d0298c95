"""The unmodified @blaxel/core from npm against `kiln serve` (PROTOCOL 3.1, 8.3)."""
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import kiln_server
from kiln_server import KilnCase, WORKSPACE

HERE = pathlib.Path(__file__).parent / "client"


def installed_client():
    """node_modules after package-lock.json, kept between runs."""
    place = kiln_server.KEEP / "client"
    place.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = place / "installed"
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HERE / name, place / name)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                           cwd=place, check=True, stdin=subprocess.DEVNULL)
            stamp.write_text(wanted)
    return place


class TheTypescriptSdk(KilnCase):
    @classmethod
    def setUpClass(cls):
        cls.client = installed_client()
        super().setUpClass()
        cls.folder = cls.kiln.directory / "app"
        src = cls.folder / "src"
        (src / "sub").mkdir(parents=True)
        (src / "empty").mkdir()
        (cls.folder / "config.json").write_text('{"greeting":"hello from config.json"}\n')
        (src / "a.txt").write_text("alpha\n")
        (src / ".hidden").write_text("dot\n")
        (src / "run.sh").write_text("#!/bin/sh\n")
        (src / "run.sh").chmod(0o755)
        (src / "link-rel").symlink_to("a.txt")
        (src / "link-abs").symlink_to("/etc/hostname")
        (src / "link-dir").symlink_to("sub")

    def build(self, name, scenario):
        env = {**os.environ, "BL_API_URL": self.kiln.url, "BL_API_KEY": self.kiln.key(),
               "BL_WORKSPACE": WORKSPACE, "DO_NOT_TRACK": "1",
               "KILN_E2E_CLIENT": str(self.client), "HOME": str(self.kiln.directory)}
        done = subprocess.run(["node", HERE / "build.mjs", name, scenario, self.folder],
                              env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, timeout=240)
        told = {"statuses": [], "exit": done.returncode}
        for line in done.stdout.splitlines():
            if not line.startswith("{"):
                continue
            fact = json.loads(line)
            told["statuses"] += [fact.pop("status")] if "status" in fact else []
            told.update(fact)
        return told

    def test_builds_to_deployed_twice_and_then_fails(self):
        with self.subTest("with a local file and a folder of symlinks"):
            told = self.build("sdk-app", "files")
            self.assertNotIn("error", told, "\n".join(self.kiln.log_lines("sdk-app")))
            self.assertEqual(told["statuses"][-1], "DEPLOYED")
            self.assertIn("BUILDING", told["statuses"])
            first = told["sandbox"]["spec"]["runtime"]["image"]
            self.assertRegex(first, r"^sandbox/sdk-app:[a-z0-9]{12}$")
            config, files = self.kiln.image("sdk-app")
            self.assertEqual(files["/app/config.json"],
                             b'{"greeting":"hello from config.json"}\n')
            self.assertEqual(files["/app/src/a.txt"], b"alpha\n")
            self.assertEqual(files["/app/src/.hidden"], b"dot\n")
            self.assertIn("/app/src/empty", files)
            self.assertTrue(files["/app/src/link-abs"].endswith("/etc/hostname"))
            self.assertIn("/usr/local/bin/sandbox-api", files)
            self.assertEqual(config["config"]["Entrypoint"], ["/usr/local/bin/sandbox-api"])
            self.assertIn("PYTHONUNBUFFERED=1", config["config"]["Env"])
            log = self.kiln.log_lines("sdk-app")
            self.assertTrue(any("hello from config.json" in line for line in log), log)

        with self.subTest("again under the same name"):
            told = self.build("sdk-app", "again")
            self.assertNotIn("error", told, "\n".join(self.kiln.log_lines("sdk-app")))
            self.assertNotEqual(told["statuses"][0], "DEPLOYED")
            second = told["sandbox"]["spec"]["runtime"]["image"]
            self.assertNotEqual(first, second)
            tags = self.kiln.tags("sdk-app")
            self.assertEqual(tags, sorted(["latest", first[-12:], second[-12:]]))
            self.assertEqual(self.kiln.manifest("sdk-app").body,
                             self.kiln.manifest("sdk-app", second[-12:]).body)

        with self.subTest("with a Dockerfile that fails"):
            told = self.build("sdk-app", "failing")
            self.assertEqual(told["exit"], 3)
            self.assertIn("Deployment failed", told["error"])
            sandbox = self.kiln.get("/sandboxes/sdk-app").json
            self.assertEqual(sandbox["status"], "FAILED")
            self.check_failure_log(self.kiln.log_lines("sdk-app"))
            self.check_failure_event(sandbox["events"])
            self.assertEqual(self.kiln.manifest("sdk-app").body,
                             self.kiln.manifest("sdk-app", second[-12:]).body,
                             "a failed build must leave latest alone")

    def check_failure_log(self, log):
        text = "\n".join(log)
        self.assertRegex(text, r"(?m)^BAD_RUN$|BAD_RUN\s*$")
        # What the newer CLI looks for in BuildKit's plain progress (PROTOCOL 6.3).
        self.assertRegex(text, r"(?m)^Dockerfile:3")
        self.assertRegex(text, r"(?m)^\s*3\s*\|\s*>>>\s*RUN echo BAD_RUN >&2; exit 42")
        self.assertRegex(text, r"exit code[: ]+42")
        self.assertRegex(text, r"(?m)^(?:#[0-9]+ ERROR: |error: failed to solve: )(.+)$")
        self.assertIn("a step that works", text)

    def check_failure_event(self, events):
        failed = [e for e in events if e["type"].endswith(".buildimage.failed")]
        self.assertTrue(failed, events)
        self.assertEqual(failed[-1]["status"], "FAILED")
        self.assertIn("42", failed[-1]["message"])


if __name__ == "__main__":
    kiln_server.main()
