"""A worker is killed with SIGKILL while it packs a template and while it makes, grows and collects;
the next one ends the work.  Each upload has become one revision, each volume is whole, the store
verifies, and nothing is left behind."""
import os
import pathlib
import tarfile

import kiln_server
from kiln_server import wait_until
from volume_case import VolumeCase, main, make_tree, tar_of, tar_with

DYING_WORKER = os.environ.get("DYING_WORKER", str(
    pathlib.Path(kiln_server.KILN).parents[1] / "tests/pipeline/dying_worker"))


class Survives(VolumeCase):
    workers = 0

    def die_at(self, step, milliseconds):
        process = kiln_server.Process([DYING_WORKER, step, milliseconds, *self.kiln.common()],
                                      self.kiln.directory / f"dying.{step}.{milliseconds}")
        self.kiln.processes.append(process)
        process.popen.wait(100)
        process.kill()
        self.assertEqual(process.popen.returncode, -9, process.text())
        self.assertIn(f"step {step}\n", process.text())

    def finish(self, condition):
        worker = self.kiln.spawn("worker", *self.kiln.common(), "--workers", 1)
        try:
            wait_until("the next worker has done it", condition)
            wait_until("nothing is left", lambda: not self.left())
        finally:
            worker.stop()

    def left(self):
        jobs = list((self.kiln.data / "builder/jobs").glob("*"))
        jobs += self.kiln.data.glob("volumes/*/.making/*")
        return jobs + list(self.store().glob("holds/*"))

    def test_one_revision_comes_of_an_upload(self):
        tree = make_tree(self.work / "tree")
        (tree / "more").write_bytes(os.urandom(12 << 20))
        expected = 0
        for step, milliseconds in [("pack", 0), ("pack", 60), ("pack", 150), ("finish", 0)]:
            with self.subTest(step=step, milliseconds=milliseconds):
                (tree / "turn").write_text(f"{step} {milliseconds}\n")
                self.upload(self.announce("t", 64), tar_of(tree))
                self.die_at(step, milliseconds)
                self.finish(lambda: self.template("t")["status"] == "DEPLOYED")
                expected += 1
                template = self.template("t")
                self.assertEqual(template["state"]["versionCount"], expected, template["versions"])
                self.assertEqual(int(template["state"]["latestVersion"]), expected)
                self.verify()

        for step, milliseconds in [("volume", 0), ("volume", 60), ("name", 0), ("finish", 0)]:
            with self.subTest(step=step, milliseconds=milliseconds, what="volume"):
                name = f"v-{step}-{milliseconds}"
                self.assertEqual(self.make_volume(name, "t:latest", 64).json["status"], "BUILDING")
                self.die_at(step, milliseconds)
                self.finish(lambda: self.volume(name)["status"] == "DEPLOYED")
                self.assert_volume_is(self.volume_file(name), tree)

        for step, milliseconds in [("volume", 60), ("finish", 0)]:
            with self.subTest(step=step, milliseconds=milliseconds, what="growth"):
                size = {"volume": 96, "finish": 128}[step]
                answer = self.kiln.request("PUT", "/volumes/v-volume-0", {"spec": {"size": size}})
                self.assertEqual(answer.json["status"], "BUILDING", answer)
                busy = self.kiln.request("PUT", "/volumes/v-volume-0", {"spec": {"size": 2 * size}})
                self.assertEqual((busy.status, busy.json["error"]), (409, "VOLUME_BUSY"))
                self.die_at(step, milliseconds)
                self.finish(lambda: self.volume("v-volume-0")["status"] == "DEPLOYED")
                self.assertEqual(os.stat(self.volume_file("v-volume-0")).st_size, size << 20)
                self.assert_volume_is(self.volume_file("v-volume-0"), tree)

        with self.subTest("collecting"):
            for version in range(1, expected):
                answer = self.kiln.request("DELETE", f"/volume_templates/t/versions/{version}")
                self.assertEqual(answer.status, 200, answer)
            self.die_at("collect", 20)
            size = lambda: sum(p.stat().st_size for p in self.store().glob("packs/*"))
            before = size()
            self.finish(lambda: size() <= before and not list(self.store().glob("condemned/*")))
            self.verify()
            self.assertEqual(self.make_volume("last", "t:latest", 64).status, 200)
            self.finish(lambda: self.volume("last")["status"] == "DEPLOYED")
            self.assert_volume_is(self.volume_file("last"), tree)

    def test_what_is_deleted_meanwhile_stays_away(self):
        self.upload(self.announce("gone"), tar_with(("a", tarfile.REGTYPE, b"a")))
        self.die_at("pack", 0)
        self.assertEqual(self.kiln.request("DELETE", "/volume_templates/gone").status, 200)
        self.deploy_with_worker("stays")
        self.assertEqual(list(self.store().glob("revisions/gone:*")), [])
        self.assertEqual(self.make_volume("v-gone", "stays:1", 64).status, 200)
        self.die_at("volume", 0)
        self.assertEqual(self.kiln.request("DELETE", "/volumes/v-gone").status, 200)
        self.deploy_with_worker("stays-too")
        self.assertFalse(self.volume_file("v-gone").exists())

    def test_a_newer_upload_takes_the_place_of_one_that_was_packed_but_not_finished(self):
        for others in (0, 1):
            if others:
                self.deploy_with_worker("twice")
            for content in (b"old", b"newer"):
                self.upload(self.announce("twice"), tar_with(("f", tarfile.REGTYPE, content)))
                if content == b"old":
                    self.die_at("finish", 0)
                    self.assertEqual(self.template("twice")["versions"][-1]["contentSize"], 3)
            self.finish(lambda: self.template("twice")["status"] == "DEPLOYED")
            versions = self.template("twice")["versions"]
            self.assertNotIn(3, [v["contentSize"] for v in versions])
            self.assertEqual(versions[-1]["contentSize"], 5)
        self.verify()

    def deploy_with_worker(self, name):
        self.upload(self.announce(name), tar_with(("b", tarfile.REGTYPE, b"b")))
        self.finish(lambda: self.template(name)["status"] == "DEPLOYED")


if __name__ == "__main__":
    main()
