"""What the tests of templates and volumes through the API share: a Kiln, deploys as `bl` makes them,
and trees to be compared with volumes."""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import types
import unittest

import kiln_server
from kiln_server import Kiln, WORKSPACE, free_port, http_request, wait_until

os.environ.setdefault("KILN", kiln_server.KILN)
sys.path.append(str(pathlib.Path(__file__).parents[1] / "templates"))
import an_image_holds_what_the_archive_holds as images

AUTO = {"x-blaxel-auto-generated": "true"}


def tar_of(root):
    """As bl packs a folder (PROTOCOL 2.7): no root entry, no ./, links as they are.  Times are made
    whole seconds first, as Python's tar has no more."""
    for path in pathlib.Path(root).rglob("*"):
        os.utime(path, (1700000000, 1700000000), follow_symlinks=False)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(pathlib.Path(root).rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False)
    return out.getvalue()


def tar_with(*members):
    """Of (name, type, linkname or content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, what in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(what)
                archive.addfile(member, io.BytesIO(what))
            else:
                member.linkname = what
                archive.addfile(member)
    return out.getvalue()


class VolumeCase(unittest.TestCase):
    workers = 2
    options = ()

    @classmethod
    def setUpClass(cls):
        # Nothing is built here, so no base images are needed.
        cls.kiln = Kiln(types.SimpleNamespace(port=free_port()), cls.workers, cls.options)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()
        cls.work = cls.kiln.directory / "work"
        cls.work.mkdir()

    def announce(self, name, size=None, workspace=WORKSPACE):
        """PUT, and POST where that is 404: the upload URL."""
        body = {"metadata": {"name": name, "labels": AUTO},
                "spec": {"defaultSize": size} if size else {}}
        answer = self.kiln.request("PUT", f"/volume_templates/{name}?upload=true", body, workspace)
        if answer.status == 404:
            answer = self.kiln.request("POST", "/volume_templates?upload=true", body, workspace)
        self.assertEqual(answer.status, 200, answer)
        return answer.headers["X-Blaxel-Upload-Url"]

    def upload(self, url, archive, kind="application/x-tar"):
        answer = http_request("PUT", url, archive, {"Content-Type": kind})
        self.assertEqual(answer.status, 200, answer)

    def template(self, name, workspace=WORKSPACE):
        answer = self.kiln.get(f"/volume_templates/{name}", workspace=workspace)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def wait_for_end(self, name, seconds=120, workspace=WORKSPACE):
        def ended():
            template = self.template(name, workspace)
            return template["status"] in ("DEPLOYED", "FAILED") and template
        return wait_until(f"{name} is packed", ended, seconds)

    def deploy(self, name, archive, size=None, kind="application/x-tar", workspace=WORKSPACE):
        self.upload(self.announce(name, size, workspace), archive, kind)
        template = self.wait_for_end(name, workspace=workspace)
        self.assertEqual(template["status"], "DEPLOYED",
                         "\n".join(self.log(name, workspace=workspace)))
        return template

    def log(self, name, kind="volume_templates", workspace=WORKSPACE):
        return self.kiln.log_lines(name, kind, workspace)

    def make_volume(self, name, template=None, size=None, workspace=WORKSPACE):
        """As the SDKs do; the answer, which may come before the volume is there."""
        spec = {"region": "us-pdx-1"}
        spec |= {"template": template} if template else {}
        spec |= {"size": size} if size else {}
        return self.kiln.request("POST", "/volumes", {
            "metadata": {"name": name, "displayName": name}, "spec": spec}, workspace)

    def made_volume(self, name, *what, **where):
        answer = self.make_volume(name, *what, **where)
        self.assertEqual(answer.status, 200, answer)
        volume = self.volume(name, **where)
        self.assertEqual(volume["status"], "DEPLOYED", volume)
        return volume

    def volume(self, name, workspace=WORKSPACE):
        """Once it is there."""
        def ended():
            found = self.kiln.get(f"/volumes/{name}", workspace=workspace)
            self.assertEqual(found.status, 200, found)
            return found.json["status"] != "BUILDING" and found.json
        return wait_until(f"{name} is made", ended, 120)

    def volume_file(self, name, workspace=WORKSPACE):
        return self.kiln.data / "volumes" / workspace / f"{name}.img"

    def assert_volume_is(self, path, tree):
        """The file system is sound, and holds the tree."""
        images.run("e2fsck", "-fn", path)
        copy = tempfile.mktemp(suffix=".img", dir=self.work)
        images.run("cp", "--sparse=always", path, copy)
        with images.Mounted(copy, self.work) as mounted:
            images.compare(images.describe(tree), images.describe(mounted))
        os.unlink(copy)

    def store(self, workspace=WORKSPACE):
        return self.kiln.data / "templates" / workspace

    def verify(self, workspace=WORKSPACE):
        done = self.kiln.run("template", "verify", "--images", "--json", "--workspace", workspace,
                             "--data-dir", self.kiln.data)
        self.assertTrue(json.loads(done.stdout)["whole"], done.stdout)


def make_tree(root, revision=1):
    """A small tree with all that a tar of Go's carries."""
    root = pathlib.Path(root)
    (root / "bin").mkdir(parents=True)
    (root / "deep/er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin/run").write_text("#!/bin/sh\necho run\n")
    (root / "bin/run").chmod(0o755)
    (root / ".hidden").write_text("dot\n")
    (root / "deep/er/noise").write_bytes(images.hashlib.shake_128(b"noise").digest(900000))
    (root / "deep/revision").write_text(f"revision {revision}\n")
    (root / ("n" * 255)).write_text("a long name\n")
    (root / "deep/ünï").write_text("not ascii\n")
    (root / "link").symlink_to("deep/er/noise")
    (root / "deep/up").symlink_to("../bin")
    return root


def main():
    kiln_server.main()
