"""The labels of images that were made of uploads: commit, base, moment, and never against the user.

The labels of git sources are in a_git_source_is_built_from_its_commit.py."""
import datetime
import pathlib
import unittest

import kiln_server
from git_server import Repository
from kiln_server import KilnCase, zip_of

LABEL = "org.opencontainers.image."
DOCKERFILE = "FROM alpine:3.20\nCOPY . /src/\n"


class Labels(KilnCase):
    def labels(self, name, files):
        self.kiln.deploy(name, zip_of(files))
        config, seen = self.kiln.image(name)
        self.seen = {path for path in seen if path.startswith("/src/")}
        return config["config"].get("Labels") or {}

    def repository(self, name):
        return Repository(self.kiln.directory / f"{name}.git", self.kiln.directory / name)

    def git_files(self, repository):
        root = pathlib.Path(repository.tree)
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def test_the_commit_of_an_uploaded_git_directory_is_told(self):
        r = self.repository("uploaded")
        commit = r.commit({"Dockerfile": DOCKERFILE, ".dockerignore": ".git\n"})
        labels = self.labels("uploaded", self.git_files(r))
        self.assertEqual(labels[LABEL + "revision"], commit)
        self.assertNotIn(LABEL + "source", labels)  # the .git could name anything
        self.assertFalse([p for p in self.seen if ".git/" in p])

        r.git("gc", "--quiet")  # packed refs and objects
        r.git("pack-refs", "--all")
        second = r.commit()
        r.git("checkout", "--quiet", "--detach")
        labels = self.labels("uploaded", self.git_files(r))
        self.assertEqual(labels[LABEL + "revision"], second, "built anew for its label")

    def test_a_git_directory_that_git_did_not_make_is_none(self):
        for i, head in enumerate(("ref: ../../../etc/passwd", "x" * 40, "")):
            labels = self.labels(f"odd{i}", {"Dockerfile": DOCKERFILE, ".git/HEAD": head,
                                             ".git/config": "[include]\n\tpath = /etc/passwd\n",
                                             ".git/objects/x": "", ".git/refs/x": ""})
            self.assertNotIn(LABEL + "revision", labels)
            self.assertIn("/src/.git/HEAD", self.seen)

    def test_the_moment_is_when_the_build_began(self):
        before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        created = datetime.datetime.fromisoformat(
            self.labels("moment", {"Dockerfile": DOCKERFILE})[LABEL + "created"])
        self.assertLessEqual(before, created)
        self.assertLessEqual(created, datetime.datetime.now(datetime.timezone.utc))

    def test_the_moment_is_source_date_epoch_where_that_is_given(self):
        labels = self.labels("epoch", {"Dockerfile": "FROM alpine:3.20\nARG SOURCE_DATE_EPOCH\n",
                                       ".env.build": "SOURCE_DATE_EPOCH=1700000000\n"})
        self.assertEqual(labels[LABEL + "created"], "2023-11-14T22:13:20Z")

    def test_the_base_is_the_one_that_the_last_stage_stands_on(self):
        labels = self.labels("staged", {
            "Dockerfile": "FROM busybox AS tools\nFROM alpine:3.20 AS under\nFROM under\n"
                          "COPY --from=tools /bin/busybox /tool\n"})
        self.assertEqual(labels[LABEL + "base.name"], "docker.io/library/alpine:3.20")
        answer = kiln_server.http_request(
            "GET", f"http://127.0.0.1:{self.bases.port}/v2/library/alpine/manifests/3.20",
            headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"})
        self.assertEqual(labels[LABEL + "base.digest"], answer.headers["Docker-Content-Digest"])

    def test_nothing_stands_below_scratch(self):
        labels = self.labels("scratched", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
        self.assertFalse([k for k in labels if ".base." in k])
        self.assertIn("dev.kiln.version", labels)

    def test_what_the_dockerfile_says_stays(self):
        labels = self.labels("own", {
            "Dockerfile": "FROM alpine:3.20 AS under\nLABEL org.opencontainers.image.created=mine\n"
                          "FROM under\nARG V=1\nLABEL dev.kiln.version=\"v$V\" other=x\n"})
        self.assertEqual(labels[LABEL + "created"], "mine")
        self.assertEqual(labels["dev.kiln.version"], "v1")
        self.assertEqual(labels["other"], "x")
        self.assertIn(LABEL + "base.name", labels)


if __name__ == "__main__":
    kiln_server.main()
