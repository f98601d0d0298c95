"""The same files, Dockerfile, arguments and bases again: a new tag on the image that is there, and
no build.  Whatever decides the image and changes makes a build again."""
import contextlib
import pathlib
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Watching, http_request, zip_of

FILES = {"Dockerfile": "FROM alpine:3.20\nARG WHO=nobody\nCOPY a.txt /\nRUN echo $WHO >/who\n",
         "a.txt": "one", ".dockerignore": "*.log\n"}


class Reuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases, options=["--registry-auth", "none"])  # it loses images here
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def build(self, name, **changes):
        """Builds FILES with changes; the digest, and whether it was built or reused."""
        self.kiln.deploy(name, zip_of({**FILES, **changes}))
        log = "\n".join(self.kiln.log_lines(name))
        reused = "reuse an identical image build" in log
        self.assertEqual("RUN echo $WHO" in log, not reused, log)
        digest = self.kiln.manifest(name).headers["Docker-Content-Digest"]
        return digest, reused

    def started(self, act):
        """The names of the programs that Kiln has running while act is done."""
        names = set()

        def look():
            facts = {}
            for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    before, _, after = path.read_text().rpartition(")")
                    pid, _, name = before.partition(" (")
                    facts[int(pid)] = int(after.split()[1]), name
            for pid, (parent, name) in facts.items():
                while parent in facts and parent != self.kiln.serve.popen.pid:
                    parent = facts[parent][0]
                if parent == self.kiln.serve.popen.pid:
                    names.add(name)

        with Watching(look):
            act()
        return names

    def test_what_is_known_is_found_without_buildah(self):
        files = {"Dockerfile": "FROM busybox:latest\nRUN echo $WHO >/who; sleep 0.5\n"}
        first = self.started(lambda: self.build("first", **files))
        self.assertLessEqual({"buildah", "runc"}, first)
        again = self.started(lambda: self.build("other", **files))  # it is built, with the cache
        self.assertRegex("\n".join(self.kiln.log_lines("other")), "#[0-9]+ CACHED")
        self.assertFalse({"buildah", "runc"} & again, again)

    def events(self, name):
        return [e["message"] for e in self.kiln.get(f"/images/sandbox/{name}").json
                ["metadata"]["events"] if e["type"].endswith("buildimage.succeeded")]

    def test_the_same_again_gets_a_new_tag_and_no_build(self):
        first, reused = self.build("same")
        self.assertFalse(reused)
        second, reused = self.build("same", **{"ignored.log": "not seen by the build"})
        self.assertTrue(reused)
        self.assertEqual(first, second)
        tags = self.kiln.tags("same")
        self.assertEqual(len(tags), 3, tags)
        for tag in tags:
            self.assertEqual(self.kiln.manifest("same", tag).headers["Docker-Content-Digest"], first)
        self.assertEqual(self.events("same"),
                         ["Build image succeeded", "Reused an identical image build"])

    def test_a_change_of_anything_that_decides_the_image_makes_a_build(self):
        self.build("changes")
        for change in ({"b.txt": "new"}, {"Dockerfile": FILES["Dockerfile"] + "LABEL a=b\n"},
                       {".env.build": "WHO=me\n"}):
            with self.subTest(change=change):
                self.assertFalse(self.build("changes", **change)[1])
        self.assertTrue(self.build("changes")[1], "the first image is still there")

    def test_another_name_or_workspace_builds_its_own(self):
        self.build("mine")
        self.assertFalse(self.build("yours")[1])

    def test_a_base_that_has_changed_makes_a_build(self):
        self.build("moved")
        url = f"http://127.0.0.1:{self.bases.port}/v2/library/alpine/manifests/"
        kinds = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        old = http_request("GET", url + "3.20", headers=kinds)
        new = http_request("GET", url.replace("alpine", "busybox") + "latest", headers=kinds)
        config = new.json["config"]
        for blob in [config, *new.json["layers"]]:
            answer = http_request(
                "POST", f"http://127.0.0.1:{self.bases.port}/v2/library/alpine/blobs/uploads/"
                f"?mount={blob['digest']}&from=library/busybox")
            self.assertEqual(answer.status, 201, answer)
        sent = {"Content-Type": old.headers["Content-Type"]}
        try:
            self.assertEqual(http_request("PUT", url + "3.20", new.body, sent).status, 201)
            self.assertFalse(self.build("moved")[1])
        finally:
            http_request("PUT", url + "3.20", old.body, sent)

    def test_an_image_that_the_registry_has_lost_is_built_anew(self):
        digest, _ = self.build("lost")
        answer = http_request("DELETE", self.kiln.repository("lost") + f"/manifests/{digest}")
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(self.build("lost")[1], False)


if __name__ == "__main__":
    kiln_server.main()
