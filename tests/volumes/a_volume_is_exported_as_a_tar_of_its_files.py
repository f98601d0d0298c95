"""kiln volume export --format tar, extracted by bsdtar, is what the archive that was packed is
extracted by bsdtar: content, type, mode, owner, time, attributes, ACLs, links.  As root, for the
owners.
"""
import os
import subprocess
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../templates"))
from an_image_holds_what_the_archive_holds import (  # noqa: E402
    compare, describe, extract, make_tar, make_tree)
from nbd import Served, kiln, run  # noqa: E402


def test_the_files_are_those_of_the_archive(work):
    make_tree(f"{work}/tree")
    make_tar(f"{work}/tree", f"{work}/t.tar")
    kiln(work, "template", "pack", "t", f"{work}/t.tar")
    kiln(work, "volume", "export", "--template", "t", "--format", "tar", "--out", f"{work}/e.tar")
    extract(f"{work}/t.tar", f"{work}/before")
    extract(f"{work}/e.tar", f"{work}/after")
    compare(describe(f"{work}/before"), describe(f"{work}/after"))
    assert len(describe(f"{work}/after")) > 3000
    assert os.path.getsize(f"{work}/e.tar") < 50 << 20, "holes are holes in the tar"
    sparse = os.stat(f"{work}/after/deep/sparse")
    assert sparse.st_size == 5 << 30 and sparse.st_blocks < 1000


def test_a_pipe_gets_the_same_bytes(work):
    piped = kiln(work, "volume", "export", "--template", "t", "--format", "tar", "--out", "-")
    with open(f"{work}/e.tar", "rb") as file:
        assert file.read() == piped


def test_a_volume_of_the_tar_is_exported_as_the_same_tar(work):
    kiln(work, "template", "pack", "again", f"{work}/e.tar")
    kiln(work, "volume", "export", "--template", "again", "--format", "tar", "--out",
         f"{work}/again.tar")
    run("cmp", f"{work}/e.tar", f"{work}/again.tar")


def test_what_is_no_file_system_or_was_not_unmounted_is_told(work):
    with Served(work, "broken", "--template", "t") as s:
        s.client.zero(0, 65536)
    said = kiln(work, "volume", "export", "broken", "--format", "tar", "--out", "-", fails=True)
    assert "file system" in said, said
    with Served(work, "dirty", "--template", "t") as s:
        feature = s.client.read(1024 + 96, 4)  # s_feature_incompat; 4 is needs_recovery
        s.client.write(1024 + 96, bytes([feature[0] | 4]) + feature[1:])
    said = kiln(work, "volume", "export", "dirty", "--format", "tar", "--out", f"{work}/no.tar",
                fails=True)
    assert "not unmounted" in said and "e2fsck" in said, said
    assert not os.path.exists(f"{work}/no.tar")


def test_a_directory_within_itself_ends_the_export(work):
    kiln(work, "volume", "export", "--template", "t", "--out", f"{work}/loop.img")
    shutil.copyfile(f"{work}/loop.img", f"{work}/t.img")
    run("debugfs", "-w", "-R", "link deep deep/loop", f"{work}/loop.img")
    with open(f"{work}/loop.img", "rb") as changed, open(f"{work}/t.img", "rb") as plain, \
            Served(work, "loop", "--template", "t") as s:
        at = 0
        while block := changed.read(4096):
            if block != plain.read(4096):
                s.client.write(at, block)
            at += 4096
    done = subprocess.run([os.environ["KILN"], "volume", "export", "loop", "--format", "tar", "--out",
                           "-", "--data-dir", f"{work}/data"], capture_output=True, timeout=120)
    assert done.returncode == 1 and b"twice" in done.stderr, done.stderr


def main():
    work = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(work)
                print("ok", name[5:].replace("_", " "), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
