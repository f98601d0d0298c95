"""`kiln plan`, `kiln check`, `kiln generate` and POST /v0/plan say one and the same thing, before
any build; the build says it again in its log, and keeps the Dockerfile that was made."""
import json
import pathlib
import tempfile

import kiln_server
from kiln_server import Bases, Kiln, http_request, zip_of
import unittest

GO = {"go.mod": "module example.com/hello\n\ngo 1.22\n",
      "main.go": "package main\n\nfunc main() {}\n",
      "blaxel.toml": "type = \"agent\"\nnaem = \"x\"\n"}
BAD = {"Dockerfile": "FROM alpine:3.20\nRUN echo ok\nCOPPY a b\n"}


class Plan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(bases.stop)
        cls.kiln = Kiln(bases)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def folder(self, files):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, text in files.items():
            (directory / name).write_text(text)
        return directory

    def post(self, body, query="", key=None):
        return http_request("POST", f"{self.kiln.url}/plan{query}", body, {
            "Authorization": f"Bearer {key or self.kiln.key()}",
            "Content-Type": "application/zip"})

    def test_the_service_and_the_command_agree(self):
        folder = self.folder(GO)
        archive = folder.parent / "hello.zip"
        archive.write_bytes(zip_of(GO))
        self.addCleanup(archive.unlink)
        answer = self.post(archive.read_bytes())
        self.assertEqual(answer.status, 200, answer)
        plan = answer.json
        self.assertEqual((plan["type"], plan["language"], plan["generated"]), ("agent", "go", True))
        self.assertIn("golang:1.22-bookworm", plan["images"])
        self.assertIn("line 2: unknown key naem (did you mean name?)", plan["warnings"][0])
        self.assertRegex(plan["context"], "^[0-9a-f]{64}$")
        for what in (folder, archive):
            done = self.kiln.run("plan", what, "--json")
            # The service has unpacked the files and hashed them; the command looked at names only.
            self.assertEqual({**json.loads(done.stdout), "context": plan["context"]}, plan)
        shown = self.kiln.run("plan", folder).stdout
        self.assertIn("Detected go (go.mod)", shown)
        self.assertIn("FROM golang:1.22-bookworm AS build", shown)
        self.assertEqual(list((self.kiln.data / "builder/jobs").iterdir()), [])

    def test_a_type_may_be_asked_for(self):
        plan = self.post(zip_of(GO), "?type=job").json
        self.assertEqual(plan["type"], "job")
        self.assertEqual(self.post(zip_of(GO), "?type=volume").status, 400)

    def test_what_is_no_archive_or_no_project_is_told(self):
        answer = self.post(b"neither zip nor tar")
        self.assertEqual(answer.status, 400, answer)
        failure = self.post(zip_of({"notes.txt": ""})).json["failure"]
        self.assertIn("no language detected", failure["message"])
        self.assertEqual(self.post(b"PK", key="bl_nobody").status, 401)
        self.assertEqual(list((self.kiln.data / "builder/jobs").iterdir()), [])

    def test_check_shows_the_line_and_exits_with_1(self):
        folder = self.folder(BAD)
        done = self.kiln.run("check", folder, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown instruction: COPPY (did you mean COPY?)", done.stdout)
        self.assertIn("   3 | >>> COPPY a b", done.stdout)
        done = self.kiln.run("check", folder / "Dockerfile", "--json", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["failure"]["line"], 3)

    def test_generate_writes_once_and_never_over_a_file_of_the_users(self):
        folder = self.folder(GO)
        self.kiln.run("generate", folder)
        text = (folder / "Dockerfile").read_text()
        self.assertIn("FROM golang:1.22-bookworm AS build", text)
        self.assertIn(".git\n", (folder / ".dockerignore").read_text())
        (folder / "Dockerfile").write_text("FROM mine\n")
        done = self.kiln.run("generate", folder, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--force", done.stderr)
        self.assertEqual((folder / "Dockerfile").read_text(), "FROM mine\n")
        self.assertEqual(self.kiln.run("generate", folder, "--stdout").stdout, text)
        self.kiln.run("generate", folder, "--force")
        self.assertEqual((folder / "Dockerfile").read_text(), text)

    def test_a_build_prints_and_keeps_what_was_made(self):
        """The bases here have no Go, so the build itself fails; what was made for it stays."""
        answer = self.kiln.request("POST", "/images?upload=true",
                                   {"name": "hello", "resourceType": "agent"})
        self.kiln.upload(answer.headers["X-Blaxel-Upload-Url"], zip_of(GO))
        kiln_server.wait_until("the build has failed", lambda: self.kiln.get(
            "/images/agent/hello").json["metadata"]["status"] == "FAILED")
        log = "\n".join(self.kiln.log_lines("hello", kind="agents"))
        self.assertIn("Detected go (go.mod)", log)
        self.assertIn("FROM golang:1.22-bookworm AS build", log)
        kept = self.kiln.get("/images/agent/hello/dockerfile")
        self.assertEqual(kept.status, 200, kept)
        self.assertEqual(kept.body.decode(), self.post(zip_of(GO)).json["dockerfile"])


if __name__ == "__main__":
    kiln_server.main()
