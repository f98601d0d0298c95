"""Uploads to an S3 server: presigned URLs for unmodified clients, and builds that begin by
themselves, whatever stops or breaks meanwhile (docs/operations.md, "Object storage")."""
import json
import os
import pathlib
import secrets
import sys

import kiln_server
from kiln_server import KilnCase, http_request, wait_until, zip_of

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "objects"))
import s3_server  # noqa: E402  pylint: disable=wrong-import-position
import bl_push_exchange_ends_in_built as bl_push  # noqa: E402
import the_typescript_sdk_builds_to_deployed as typescript  # noqa: E402

UPLOAD_MAX = 4_000_000


def archive():
    return zip_of({"Dockerfile": f"FROM alpine:3.20\nRUN echo {secrets.token_hex(8)}\n"})


class ToAnObjectStore(KilnCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = s3_server.S3Server(kiln_server.KEEP).start()
        cls.addClassCleanup(lambda: cls.s3.stop())
        cls.s3.create_bucket()
        cls.credentials = kiln_server.KEEP / f"s3-credentials.{os.getpid()}"
        cls.credentials.write_text("[other]\naws_access_key_id = NO\n[default]\n"
                                   f"aws_access_key_id = {s3_server.ACCESS}\n"
                                   f"aws_secret_access_key = {s3_server.SECRET}\n")
        cls.addClassCleanup(cls.credentials.unlink)
        cls.options = ("--uploads", f"s3://{s3_server.BUCKET}/up", "--s3-endpoint", cls.s3.url,
                       "--s3-region", s3_server.REGION, "--s3-credentials", cls.credentials,
                       "--upload-max", str(UPLOAD_MAX))
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.s3.application.faults.clear()

    def assert_deployed(self, name):
        status = self.kiln.wait_for_end(name)
        self.assertEqual(status, "DEPLOYED", "\n".join(self.kiln.log_lines(name)))

    def assert_nothing_stays(self):
        wait_until("the bucket is empty", lambda: not self.s3.keys(), 60)
        objects = self.kiln.data / "objects"
        self.assertEqual([p.name for p in objects.iterdir() if p.name != "lock"], [])

    def test_bl_push_ends_in_built(self):
        content, _ = bl_push.project(secrets.token_hex(16))
        bl = bl_push.BlPush.cli(self)
        answer = bl.request_build()
        url = answer.headers["X-Blaxel-Upload-Url"]
        self.assertTrue(url.startswith(f"{self.s3.url}/{s3_server.BUCKET}/up/incoming/"), url)
        self.assertEqual(bl.status(), "UPLOADING")
        self.assertEqual(bl.upload(url, content).status, 200)
        status, _, lines = bl.watch()
        self.assertEqual(status, "BUILT", [line["message"] for _, line in lines.values()])
        self.assertTrue(self.kiln.tags(bl_push.NAME))
        self.assert_nothing_stays()
        told = "".join(p.text() for p in self.kiln.processes)
        self.assertNotIn(s3_server.SECRET, told)
        self.assertNotIn("X-Amz-Signature", told)

    def test_the_typescript_sdk_ends_in_deployed(self):
        self.client = typescript.installed_client()
        self.folder = self.kiln.directory
        told = typescript.TheTypescriptSdk.build(self, "sdk-app", "again")
        self.assertNotIn("error", told, "\n".join(self.kiln.log_lines("sdk-app")))
        self.assertEqual(told["statuses"][-1], "DEPLOYED")

    def test_labels_are_part_of_the_url_and_reach_the_build(self):
        body = {"metadata": {"name": "labelled", "labels": {
            "x-blaxel-auto-generated": "true", "x-blaxel-build-memory": "4096",
            "x-blaxel-builder": "sandbox"}}, "spec": {"runtime": {"memory": 2048}}}
        url = self.kiln.request("POST", "/sandboxes?upload=true", body).headers[
            "X-Blaxel-Upload-Url"]
        content = archive()
        self.assertEqual(http_request("PUT", url, content).status, 403)
        sent = {"x-amz-meta-x-blaxel-build-memory": "4096",
                "x-amz-meta-x-blaxel-builder": "sandbox"}
        self.assertEqual(http_request("PUT", url, content, sent).status, 200)
        self.assert_deployed("labelled")
        lines = "\n".join(self.kiln.log_lines("labelled"))
        self.assertIn("label x-blaxel-build-memory: 4096", lines)
        self.assertIn("label x-blaxel-builder: sandbox", lines)

    def test_the_store_may_stop_and_break_off_at_any_time(self):
        url = self.kiln.announce("patient")
        self.assertEqual(self.kiln.upload(url, archive()).status, 200)
        self.s3.stop()
        wait_until("Kiln says that it cannot look", lambda: any(
            "look for uploads" in p.text() for p in self.kiln.processes), 120)
        self.kiln.serve.stop()  # which waits for no store
        self.kiln.start()
        self.s3.application.faults[:] = [
            {"cut_done": 1, "method": "PUT"}, {"cut_answer": 20, "path": "archives/"},
            {"status": 503, "retry_after": 0, "count": 2}]
        self.s3.start()
        self.assert_deployed("patient")
        self.assert_nothing_stays()

    def test_a_server_killed_before_it_noticed_builds_after_its_return(self):
        url = self.kiln.announce("killed")
        self.kiln.serve.kill()
        self.assertEqual(self.kiln.upload(url, archive()).status, 200)
        self.kiln.start()
        self.assert_deployed("killed")

    def test_what_cannot_be_built_is_refused_with_a_reason(self):
        for name, content, reason in (("empty", b"", "no body"),
                                      ("large", bytes(UPLOAD_MAX + 1), "this server takes 4")):
            with self.subTest(name):
                url = self.kiln.announce(name)
                self.assertEqual(self.kiln.upload(url, content).status, 200)
                self.assertEqual(self.kiln.wait_for_end(name), "FAILED")
                events = self.kiln.get(f"/sandboxes/{name}").json["events"]
                self.assertIn(reason, json.dumps(events))
        self.assert_nothing_stays()

    def test_an_older_url_and_a_later_put_change_nothing(self):
        first = self.kiln.announce("twice")
        second = self.kiln.announce("twice")
        self.assertEqual(self.kiln.upload(first, b"not an archive").status, 200)
        self.assertEqual(self.kiln.upload(second, archive()).status, 200)
        self.assert_deployed("twice")
        self.assertEqual(self.kiln.upload(second, b"not an archive").status, 200)
        self.assertEqual(self.kiln.status("twice"), "DEPLOYED")
        client = self.s3.client()
        for key in self.s3.keys():  # the sweep's business, an hour later
            client.delete_object(Bucket=s3_server.BUCKET, Key=key)

    def doctor(self, *options):
        done = self.kiln.run("doctor", "--data-dir", self.kiln.directory / "doctor",
                             *self.options, *options, check=False)
        self.assertNotIn(s3_server.SECRET, done.stdout + done.stderr)
        return next(line for line in done.stdout.splitlines() if "object store" in line)

    def test_doctor_says_whether_the_bucket_can_be_used(self):
        self.assertIn("can be written and read", self.doctor())
        self.assertIn("no such bucket", self.doctor("--uploads", "s3://kiln-absent/up"))
        wrong = self.kiln.directory / "wrong"
        wrong.write_text(self.credentials.read_text().replace(s3_server.SECRET, "guessed"))
        self.assertIn("s3_credentials: the secret key", self.doctor("--s3-credentials", wrong))


if __name__ == "__main__":
    kiln_server.main()
