"""`bl deploy` of a volume template, and what the SDKs and scripts do with volumes, request by request
(PROTOCOL 2.1, 2.2, 2.7, 2.8, 3.3); the volumes are mounted and compared with what was uploaded."""
import os
import tarfile

from kiln_server import SOURCE, wait_until, zip_of
from volume_case import VolumeCase, main, make_tree, tar_of, tar_with


class Templates(VolumeCase):
    def test_a_deploy_makes_a_revision_and_that_makes_volumes(self):
        tree = make_tree(self.work / "one")
        missing = self.kiln.request("PUT", "/volume_templates/mytemplate?upload=true",
                                    {"metadata": {"name": "mytemplate"}, "spec": {}})
        self.assertEqual(missing.status, 404)
        self.assertEqual(missing.json["code"], 404)

        url = self.announce("mytemplate", 2048)
        before = self.template("mytemplate")
        self.assertEqual(before["state"], {"status": "created", "latestVersion": None,
                                           "versionCount": 0, "lastVersionUploadedAt": None})
        self.assertEqual(before["versions"], [])
        self.assertEqual(before["spec"]["defaultSize"], 2048)
        self.assertEqual(before["status"], "UPLOADING")
        early = self.make_volume("early", "mytemplate:latest", 1024)
        self.assertEqual((early.status, early.json["code"]), (404, 404))

        self.upload(url, tar_of(tree))
        first = self.wait_for_end("mytemplate")
        self.assertEqual(first["state"]["status"], "ready", self.log("mytemplate"))
        self.assertEqual(first["state"]["latestVersion"], "1")
        self.assertEqual(first["state"]["versionCount"], 1)
        self.assertEqual([(v["name"], v["templateName"], v["status"]) for v in first["versions"]],
                         [("1", "mytemplate", "READY")])
        content = sum(p.stat().st_size for p in tree.rglob("*") if p.is_file() and
                      not p.is_symlink())
        self.assertEqual(first["versions"][0]["contentSize"], content)
        self.assertEqual(first["state"]["lastVersionUploadedAt"], first["versions"][0]["createdAt"])
        self.assertEqual([e["status"] for e in first["events"]], ["CREATED", "READY"])
        self.assertEqual(first["events"][-1]["revision"], "1")
        self.assertTrue(any("mytemplate:1: 6 files" in line for line in self.log("mytemplate")),
                        self.log("mytemplate"))
        listed = self.kiln.get("/volume_templates")
        self.assertIsInstance(listed.json, list, "a bare array in every version")
        self.assertIn("mytemplate", [t["metadata"]["name"] for t in listed.json])
        self.assertEqual(self.kiln.get("/images").json, [], "a template is no image")

        with self.subTest("a volume of what the SDKs send"):
            made = self.made_volume("vol1", "mytemplate:latest", 1024)
            self.assertEqual(made["spec"]["template"], "mytemplate:latest")
            self.assertEqual(made["state"]["template"], "mytemplate:1")
            self.assertEqual(made["spec"]["size"], 2048,
                             "1024 is what SDKs send for nothing: the template's default counts")
            self.assertEqual(os.stat(self.volume_file("vol1")).st_size, 2048 << 20)
            self.assert_volume_is(self.volume_file("vol1"), tree)

        with self.subTest("one that exists already"):
            again = self.make_volume("vol1", "mytemplate:1", 4096)
            self.assertEqual(again.status, 409)
            self.assertEqual((again.json["code"], again.json["error"]),
                             (409, "VOLUME_ALREADY_EXISTS"))
            self.assertEqual(self.kiln.get("/volumes/vol1").json["spec"]["size"], 2048)

        with self.subTest("a second revision shares what is the same"):
            other = make_tree(self.work / "two", revision=2)
            second = self.deploy("mytemplate", tar_of(other), 2048)
            self.assertEqual(second["state"]["latestVersion"], "2")
            newest = second["versions"][-1]
            self.assertGreater(newest["bytesShared"], 900000)
            self.assertLess(newest["bytesAdded"], 300000)
            for name, reference, expected in [("of-1", "mytemplate:1", tree),
                                              ("of-2", "mytemplate:latest", other)]:
                self.made_volume(name, reference, 64)
                self.assert_volume_is(self.volume_file(name), expected)

        with self.subTest("the command line sees the same store"):
            out = self.work / "cli.img"
            self.kiln.run("volume", "create", "cli", "--template", "mytemplate:2", "--workspace",
                          "acme", "--out", out, "--data-dir", self.kiln.data)
            self.assert_volume_is(out, other)
            self.kiln.run("template", "pack", "mytemplate", other, "--workspace", "acme",
                          "--data-dir", self.kiln.data)
            third = self.deploy("mytemplate", tar_of(tree), 2048)
            self.assertEqual(third["state"]["latestVersion"], "4")
            self.verify()

    def test_sizes_of_volumes(self):
        tree = make_tree(self.work / "sizes")
        (tree / "large").write_bytes(os.urandom(9 << 20))
        self.deploy("sizes", tar_of(tree))
        small = self.make_volume("small", "sizes:1", 5)
        self.assertEqual((small.status, small.json["error"]), (400, "volume_too_small"))
        self.assertRegex(small.json["message"], r"which needs (\d+) MB")
        needed = int(small.json["message"].split("which needs ")[1].split()[0])
        self.assertEqual(self.kiln.get("/volumes/small").status, 404)
        self.made_volume("small", "sizes:1", needed)
        self.assert_volume_is(self.volume_file("small"), tree)

        with self.subTest("grows"):
            body = {"metadata": {"name": "small"}, "spec": {"size": 3 * needed}}
            grown = self.kiln.request("PUT", "/volumes/small", body)
            self.assertEqual(grown.status, 200, grown)
            self.assertEqual(self.volume("small")["spec"],
                             {"size": 3 * needed, "template": "sizes:1"})
            self.assertEqual(os.stat(self.volume_file("small")).st_size, 3 * needed << 20)
            self.assert_volume_is(self.volume_file("small"), tree)

        with self.subTest("but does not shrink, and stays of its template"):
            for spec, error in [({"size": needed}, "volume_cannot_shrink"),
                                ({"template": "other:1"}, "invalid_template"),
                                ({"size": "large"}, "invalid_size"),
                                ({"size": 1 << 30}, "QUOTA_EXCEEDED")]:
                answer = self.kiln.request("PUT", "/volumes/small", {"spec": spec})
                self.assertEqual((answer.status, answer.json["error"]), (400, error), answer)
            self.assertEqual(self.volume("small")["spec"]["size"], 3 * needed)

        with self.subTest("an empty one"):
            self.assertEqual(self.made_volume("empty")["spec"]["size"], 1024)
            (self.work / "nothing").mkdir()
            self.assert_volume_is(self.volume_file("empty"), self.work / "nothing")

        with self.subTest("lists"):
            listed = self.kiln.get("/volumes").json
            self.assertEqual(sorted(listed), ["data", "meta"])
            self.assertLessEqual({"empty", "small"},
                                 {v["metadata"]["name"] for v in listed["data"]})
            old = self.kiln.get("/volumes", headers={"Blaxel-Version": "2026-04-16"}).json
            self.assertIsInstance(old, list)

        with self.subTest("and is deleted with its file"):
            self.assertEqual(self.kiln.request("DELETE", "/volumes/empty").json["status"],
                             "DELETING")
            self.assertFalse(self.volume_file("empty").exists())
            self.assertEqual(self.kiln.get("/volumes/empty").status, 404)

    def test_what_is_refused_names_the_entry_and_the_remedy(self):
        bad = {
            "slabs": tar_with(("ok", tarfile.REGTYPE, b"ok"), ("slabs", tarfile.SYMTYPE,
                                                               "/etc/hosts")),
            "climb": tar_with(("climb", tarfile.SYMTYPE, "../../etc/hosts")),
            "hard": tar_with(("hard", tarfile.LNKTYPE, "../../etc/hosts")),
            "../up": tar_with(("../up", tarfile.REGTYPE, b"up")),
        }
        for n, (entry, archive) in enumerate(bad.items()):
            with self.subTest(entry=entry):
                self.upload(self.announce(f"bad-{n}"), archive)
                template = self.wait_for_end(f"bad-{n}")
                self.assertEqual((template["status"], template["state"]["status"]),
                                 ("FAILED", "error"))
                self.assertEqual(template["versions"], [])
                self.assertEqual(template["events"][-1]["status"], "FAILED")
                self.assertIn(entry, template["events"][-1]["message"])
                self.assertTrue(any(entry in line for line in self.log(f"bad-{n}")))
        with self.subTest("no archive"):
            self.upload(self.announce("noise"), os.urandom(5000))
            self.assertEqual(self.wait_for_end("noise")["state"]["status"], "error")
        with self.subTest("and the next deploy is good"):
            good = self.deploy("bad-0", tar_with(("ok", tarfile.REGTYPE, b"ok")))
            self.assertEqual(good["state"]["status"], "ready")
        for body in ({"metadata": {"name": "x"}, "spec": {"defaultSize": -1}},
                     {"metadata": {"name": "x"}, "spec": {"defaultSize": "2048"}}):
            self.assertEqual(self.kiln.request("POST", "/volume_templates", body).status, 400)

    def test_no_archive_harms_the_store_or_is_tried_again(self):
        claims_too_much = bytearray(tar_with(("a", tarfile.REGTYPE, b"a")))
        claims_too_much[124:136] = b"\x80\0\0\0\x10" + bytes(7)
        claims_too_much[148:156] = b"%06o\0 " % (sum(claims_too_much[:148]) + 8 * 32 +
                                                 sum(claims_too_much[156:512]))
        archives = {p.name: p.read_bytes() for p in
                    (SOURCE / "tests/templates/corpus_archive").iterdir()}
        archives |= {
            "too-much": bytes(claims_too_much),
            "cut": tar_with(("a", tarfile.REGTYPE, bytes(9000)))[:4000],
            "deep": tar_with(("d/" * 3000 + "f", tarfile.REGTYPE, b"f")),
            "devices": tar_with(("sda", tarfile.BLKTYPE, ""), ("null", tarfile.CHRTYPE, ""),
                                ("fifo", tarfile.FIFOTYPE, "")),
            "found": tar_with(("lost+found", tarfile.REGTYPE, b"f"))}
        names = {f"any-{n}": (what, data) for n, (what, data) in enumerate(archives.items())}
        for name, (_, data) in names.items():
            self.upload(self.announce(name, workspace="any"), data)
        for name, (what, _) in names.items():
            with self.subTest(archive=what):
                template = self.wait_for_end(name, workspace="any")
                log = "\n".join(self.log(name, workspace="any"))
                self.assertNotIn("fault of the build machine", log)
                self.assertEqual(template["state"]["status"] == "ready",
                                 template["status"] == "DEPLOYED", log)
        self.verify("any")
        self.assertEqual(self.deploy("any-good", tar_with(("ok", tarfile.REGTYPE, b"ok")),
                                     workspace="any")["state"]["status"], "ready")

    def test_a_zip_is_taken_too(self):
        template = self.deploy("zipped", zip_of({"a.txt": "alpha\n", "d/b.txt": "beta\n"}),
                               kind="application/zip")
        self.assertEqual(template["versions"][0]["contentSize"], 11)
        self.made_volume("unzipped", "zipped:1", 64)

    def test_versions_are_deleted_and_their_bytes_freed(self):
        trees = []
        for n in (1, 2):
            tree = make_tree(self.work / f"gone-{n}", revision=n)
            (tree / "only-here").write_bytes(os.urandom(5 << 20))
            trees.append(tree)
        self.deploy("gone", tar_of(trees[0]), workspace="other")
        one = self.kiln.request("DELETE", "/volume_templates/gone/versions/1", workspace="other")
        self.assertEqual((one.status, one.json["error"]), (400, "cannot delete the only version"))
        self.deploy("gone", tar_of(trees[1]), workspace="other")
        for wrong in ("3", "0", "latest", "-1"):
            answer = self.kiln.request("DELETE", f"/volume_templates/gone/versions/{wrong}",
                                       workspace="other")
            self.assertEqual(answer.status, 404, answer)
        self.made_volume("stays", "gone:1", 64, workspace="other")
        done = self.kiln.request("DELETE", "/volume_templates/gone/versions/1", workspace="other")
        self.assertEqual(done.status, 200, done)
        self.assertEqual(sorted(done.json), ["message", "template"])
        self.assertEqual([v["name"] for v in done.json["template"]["versions"]], ["2"])

        def size():
            return sum(p.stat().st_size for p in self.store("other").glob("packs/*"))
        wait_until("the bytes of version 1 are freed", lambda: size() < 8 << 20)
        self.assertTrue(self.store("other").is_dir())
        self.verify("other")
        self.assert_volume_is(self.volume_file("stays", "other"), trees[0])

        self.assertEqual(self.kiln.request("DELETE", "/volume_templates/gone", workspace="other")
                         .json["status"], "DELETING")
        self.assertEqual(self.kiln.get("/volume_templates/gone", workspace="other").status, 404)
        self.assertEqual(self.make_volume("no", "gone:2", 64, workspace="other").status, 404)
        wait_until("all bytes are freed", lambda: size() == 0)
        wait_until("the operator is told", lambda: "templates of other: " in
                   self.kiln.serve.text())
        self.assert_volume_is(self.volume_file("stays", "other"), trees[0])

    def test_a_workspace_has_nothing_of_another(self):
        self.deploy("private", tar_with(("a", tarfile.REGTYPE, b"a")))
        self.assertEqual(self.make_volume("mine", "private:1", 64).status, 200)
        for path in ("/volume_templates/private", "/volumes/mine"):
            self.assertEqual(self.kiln.get(path, workspace="rival").status, 404)
            self.assertEqual(self.kiln.request("DELETE", path, workspace="rival").status, 404)
        self.assertEqual(self.make_volume("theirs", "private:1", 64, workspace="rival").status, 404)
        self.assertEqual(self.kiln.get("/volume_templates", workspace="rival").json, [])
        self.deploy("private", tar_with(("a", tarfile.REGTYPE, b"a")), workspace="rival")
        self.assertNotEqual((self.store() / "secret").read_bytes(),
                            (self.store("rival") / "secret").read_bytes())
        self.assertEqual(self.make_volume("mine", "private:1", 64, workspace="rival").status, 200)
        answer = self.kiln.get("/volumes/mine", headers={"X-Blaxel-Workspace": "rival"})
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.kiln.request("POST", "/images?upload=true", {
            "name": "x", "resourceType": "volume-template"}).status, 400)


class Limited(VolumeCase):
    options = ("--template-revisions", "2", "--unpack-max", "1MiB", "--unpack-entries", "50",
               "--volume-max", "1GiB")

    def test_a_limited_number_of_revisions_is_kept(self):
        for n in range(4):
            template = self.deploy("few", tar_with(("n", tarfile.REGTYPE, b"%d" % n)))
        self.assertEqual([v["name"] for v in template["versions"]], ["3", "4"])
        self.assertEqual(list((self.store() / "holds").iterdir()), [])

    def test_what_is_too_much_is_told_its_limit(self):
        for name, archive in [("large", tar_with(("a", tarfile.REGTYPE, bytes(2 << 20)))),
                              ("many", tar_with(*((f"f{n}", tarfile.REGTYPE, b"")
                                                  for n in range(60))))]:
            self.upload(self.announce(name), archive)
            template = self.wait_for_end(name)
            self.assertEqual(template["status"], "FAILED")
        self.assertEqual(self.make_volume("huge", size=2048).json["error"], "QUOTA_EXCEEDED")


if __name__ == "__main__":
    main()
