"""Volume templates in an S3 server: packed by one machine's jails, made into volumes by those of
another that has nothing of it yet (docs/operations.md, "Object storage")."""
import os
import pathlib
import sys

import kiln_server
from volume_case import VolumeCase, main, make_tree, tar_of

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "objects"))
import s3_server  # noqa: E402  pylint: disable=wrong-import-position


class InABucket(VolumeCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = s3_server.S3Server(kiln_server.KEEP).start()
        cls.addClassCleanup(lambda: cls.s3.stop())
        cls.s3.create_bucket()
        cls.credentials = kiln_server.KEEP / f"s3-templates-credentials.{os.getpid()}"
        cls.credentials.write_text(f"aws_access_key_id = {s3_server.ACCESS}\n"
                                   f"aws_secret_access_key = {s3_server.SECRET}\n")
        cls.addClassCleanup(cls.credentials.unlink)
        cls.options = ("--templates", f"s3://{s3_server.BUCKET}/t", "--uploads",
                       f"s3://{s3_server.BUCKET}/up", "--s3-endpoint", cls.s3.url, "--s3-region",
                       s3_server.REGION, "--s3-credentials", cls.credentials)
        super().setUpClass()

    def elsewhere(self, *words):
        """The command line on a machine with a data directory of its own."""
        return self.kiln.run(*words, "--workspace", "acme", "--data-dir", self.work / "elsewhere",
                             *self.options)

    def test_a_revision_becomes_volumes_here_and_elsewhere(self):
        tree = make_tree(self.work / "one")
        first = self.deploy("mytemplate", tar_of(tree), 64)
        self.assertEqual(first["state"]["latestVersion"], "1")
        self.assertTrue(any(k.startswith("t/acme/packs/") for k in self.s3.keys()), self.s3.keys())
        self.assertFalse((self.kiln.data / "templates/acme").exists())

        with self.subTest("a volume by the API"):
            self.made_volume("vol", "mytemplate:1", 64)
            self.assert_volume_is(self.volume_file("vol"), tree)

        with self.subTest("a volume on a machine with an empty cache, by a server that breaks off"):
            self.s3.application.faults[:] = [
                {"cut_answer": 3000, "method": "GET", "path": "/packs/"},
                {"status": 503, "retry_after": 0}, {"cut_request": 1, "method": "HEAD"}]
            out = self.work / "elsewhere.img"
            self.elsewhere("volume", "create", "v", "--template", "mytemplate:1", "--out", out)
            self.assert_volume_is(out, tree)
            self.assertEqual(self.s3.application.faults, [])

        with self.subTest("a revision packed elsewhere is seen here"):
            other = make_tree(self.work / "two", revision=2)
            self.elsewhere("template", "pack", "mytemplate", other)
            self.made_volume("second", "mytemplate:2", 64)
            self.assert_volume_is(self.volume_file("second"), other)

        with self.subTest("what is removed is collected after its hour"):
            answer = self.kiln.request("DELETE", "/volume_templates/mytemplate")
            self.assertEqual(answer.status, 200, answer)
            self.elsewhere("template", "gc")
            self.s3.application.faults[:] = [{"later": 3700, "path": "condemned/", "count": 1000}]
            self.elsewhere("template", "gc")
            self.assertEqual([k for k in self.s3.keys() if "/packs/" in k], [])

    def test_nothing_of_the_credentials_is_in_a_jail_or_a_log(self):
        self.deploy("quiet", tar_of(make_tree(self.work / "three")))
        told = "".join(p.text() for p in self.kiln.processes)
        self.assertNotIn(s3_server.SECRET, told + "\n".join(self.log("quiet")))
        lent = self.kiln.data / "templates/.lent"
        self.assertEqual(list(lent.iterdir()), [])


if __name__ == "__main__":
    main()
