"""The image is mounted by the kernel (else read by debugfs) and compared with what bsdtar extracts:
content, type, mode, owner, time, attributes, ACLs, links; debugfs and 7-Zip read the same.  e2fsck
finds nothing to say, before and after resize2fs to ten times the size.  As root, since owners are
compared.
"""
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

KILN = os.environ["KILN"]
MANY = 200000


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, timeout=300, **more).stdout


def kiln(work, *words, fails=False):
    done = subprocess.run([KILN, *words, "--data-dir", f"{work}/data"], capture_output=True,
                          text=True, timeout=300)
    if (done.returncode != 0) != fails:
        raise AssertionError(f"kiln {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr if fails else done.stdout


def digest(path, size):
    """Of a file's content; of the blocks that are not zero, where holes make it too long to read."""
    with open(path, "rb") as file:
        if size < 1 << 30:
            return hashlib.file_digest(file, "sha256").hexdigest()
        sha, at = hashlib.sha256(), 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:
                break
            block = os.pread(file.fileno(), 4096, at)
            if block.strip(b"\0"):
                sha.update(b"%d:" % at + block)
            at += 4096
        return sha.hexdigest()


def describe(root, by_debugfs=False):
    """Every entry below root as a line; names of one file are told by the first of them.  debugfs
    writes no attributes, no set-user-ID bits, no fractions of seconds, and a copy for each name."""
    first, lines = {}, {}
    for directory, folders, files in os.walk(os.fsencode(root)):
        for name in folders + files + [b"."]:
            path = os.path.join(directory, name)
            at = os.path.relpath(path, os.fsencode(root))
            if at.split(b"/")[0] == b"lost+found":
                continue
            info = os.lstat(path)
            link = stat.S_ISLNK(info.st_mode)
            what = [stat.S_IFMT(info.st_mode), info.st_uid, info.st_gid]
            if not link:
                what += [stat.S_IMODE(info.st_mode) & (0o777 if by_debugfs else 0o7777)]
                what += [info.st_mtime_ns // (10 ** 9 if by_debugfs else 1) if at != b"." else 0]
            if not link and not by_debugfs:
                what += [(k, os.getxattr(path, k)) for k in sorted(os.listxattr(path))]
            if stat.S_ISREG(info.st_mode):
                what += [info.st_size, digest(path, info.st_size)]
            if link:
                what.append(os.readlink(path))
            if not stat.S_ISDIR(info.st_mode) and not by_debugfs:
                what.append(info.st_nlink)
                first[info.st_ino] = min(at, first.get(info.st_ino, at))
            lines[at] = (what, info.st_ino)
    return {at: what + [first.get(inode)] for at, (what, inode) in lines.items()}


def compare(one, other):
    for at in sorted(set(one) | set(other)):
        if at != b"." and one.get(at) != other.get(at):
            raise AssertionError(f"{at!r}:\n  {one.get(at)}\n  {other.get(at)}")


class Mounted:
    """Where the kernel has no loop devices, debugfs writes the tree out."""

    def __init__(self, image, work):
        self.image, self.path = image, tempfile.mkdtemp(dir=work)
        self.by_kernel = False

    def __enter__(self):
        done = subprocess.run(["mount", "-o", "loop,ro,noload", self.image, self.path],
                              capture_output=True, timeout=60)
        self.by_kernel = done.returncode == 0
        if not self.by_kernel:
            run("debugfs", "-R", f"rdump / {self.path}", self.image)
        return self.path

    def __exit__(self, *_):
        if self.by_kernel:
            run("umount", self.path)


def check_image(image):
    run("e2fsck", "-fn", image)


def acl(*rules):
    """The kernel's form: a tag, permissions, and who."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *rule) for rule in rules)


NOBODY = 0xFFFFFFFF
ACL = acl((1, 6, NOBODY), (2, 7, 4242), (2, 0, 5000), (4, 4, NOBODY), (8, 5, 77), (0x10, 5, NOBODY),
          (0x20, 0, NOBODY))


def make_tree(root):
    os.makedirs(f"{root}/deep/er/still")
    os.makedirs(f"{root}/empty")
    os.makedirs(f"{root}/sticky")
    os.chmod(f"{root}/sticky", 0o1777)
    with open(f"{root}/small", "w") as file:
        file.write("small\n")
    with open(f"{root}/nothing", "w"):
        pass
    for size in (1, 4095, 4096, 4097, 65536, 262144, 262145, 3000001):
        with open(f"{root}/deep/random-{size}", "wb") as file:
            file.write(hashlib.shake_128(str(size).encode()).digest(size))
    with open(f"{root}/deep/zeros", "wb") as file:
        file.write(bytes(1000000))
    with open(f"{root}/deep/sparse", "wb") as file:
        file.write(b"begin")
        for at in (5000, 10 << 20, (10 << 20) + 8192, 4500000000):
            file.seek(at)
            file.write(b"island")
        file.truncate(5 << 30)
    with open(f"{root}/deep/er/setuid", "w") as file:
        file.write("#!\n")
    os.chown(f"{root}/deep/er/setuid", 4242, 100000)
    os.chmod(f"{root}/deep/er/setuid", 0o4751)
    os.setxattr(f"{root}/small", "user.colour", b"blue\x00green")
    os.setxattr(f"{root}/deep", "user.large", bytes(range(1, 200)) * 5)
    os.setxattr(f"{root}/nothing", "trusted.kiln", b"")
    os.setxattr(f"{root}/nothing", "security.kiln", b"only root sees the other")
    os.setxattr(f"{root}/small", "system.posix_acl_access", ACL)
    os.setxattr(f"{root}/sticky", "system.posix_acl_access", ACL)
    os.setxattr(f"{root}/sticky", "system.posix_acl_default", ACL)
    os.link(f"{root}/small", f"{root}/deep/er/same")
    os.link(f"{root}/small", f"{root}/another")
    os.symlink("deep/er/same", f"{root}/link")
    os.symlink("../../small", f"{root}/deep/er/up")
    os.symlink("no/such/" + "x" * 200, f"{root}/long-link")
    for name in ("n" * 255, "ü" * 127, "with blank", "-dash", "new\nline", "\"quoted\""):
        with open(f"{root}/{name}", "w") as file:
            file.write(name)
    for i in range(3000):
        with open(f"{root}/deep/er/still/{i:04d}", "w") as file:
            file.write(f"{i}\n" * (i % 50))
    os.utime(f"{root}/small", ns=(0, 1234567890_123456789))
    os.utime(f"{root}/empty", ns=(0, -86400_000000000))
    os.utime(f"{root}/deep", ns=(0, 5000000000_000000001))


def make_tar(root, path):
    run("bsdtar", "-c", "--format=pax", "--xattrs", "--acls", "--read-sparse", "-f", path, "-C",
        root, ".")


def extract(archive, to):
    os.mkdir(to)
    run("bsdtar", "-x", "--xattrs", "--acls", "-p", "-f", archive, "-C", to)


def compare_image(work, image, expected):
    check_image(image)
    mount = Mounted(image, work)
    with mount as mounted:
        less = not mount.by_kernel
        compare(describe(expected, less), describe(mounted, less))


def pack_and_compare(work, name, source, expected):
    image = f"{work}/{name}.img"
    kiln(work, "template", "pack", name, source)
    kiln(work, "volume", "create", name, "--template", name, "--out", image)
    compare_image(work, image, expected)
    return image


def test_a_tar_comes_back_as_bsdtar_extracts_it(work):
    make_tree(f"{work}/tree")
    make_tar(f"{work}/tree", f"{work}/t.tar")
    extract(f"{work}/t.tar", f"{work}/extracted")
    compare(describe(f"{work}/tree"), describe(f"{work}/extracted"))  # nothing is lost before
    image = pack_and_compare(work, "tar", f"{work}/t.tar", f"{work}/extracted")
    run("cp", "--sparse=always", image, f"{work}/grown.img")
    run("truncate", "-s", str(os.path.getsize(image) * 10), f"{work}/grown.img")
    run("resize2fs", "-f", f"{work}/grown.img")
    compare_image(work, f"{work}/grown.img", f"{work}/extracted")
    os.remove(f"{work}/grown.img")


def test_a_tar_by_gnu_tar_comes_back_as_well(work):
    run("tar", "--format=pax", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls",
        "--sparse", "-cf", f"{work}/gnu.tar", "-C", f"{work}/tree", ".")
    pack_and_compare(work, "gnu", f"{work}/gnu.tar", f"{work}/tree")


def test_a_store_with_a_hash_of_8_bits_gives_the_same(work):
    store = f"{work}/narrow/data/templates/local"
    os.makedirs(store)
    with open(f"{store}/secret", "wb") as file:
        file.write(os.urandom(192))
    with open(f"{store}/format", "w") as file:
        file.write("kiln-store 1\nhash-bits 8\n")
    pack_and_compare(f"{work}/narrow", "narrow", f"{work}/t.tar", f"{work}/extracted")
    digest = [json.loads(kiln(where, "template", "ls", name, "--json"))[0]["digest"]
              for where, name in ((work, "tar"), (f"{work}/narrow", "narrow"))]
    assert digest[0] == digest[1], digest


def test_debugfs_and_7zip_read_the_same(work):
    image = f"{work}/tar.img"
    os.mkdir(f"{work}/debugfs")
    run("debugfs", "-R", f"rdump /deep/er /empty /sticky {work}/debugfs", image)
    for name, below in (("er", "deep/er"), ("empty", "empty"), ("sticky", "sticky")):
        compare(describe(f"{work}/extracted/{below}", True),
                describe(f"{work}/debugfs/{name}", True))
    assert b"Size: 5368709120" in run("debugfs", "-R", "stat /deep/sparse", image)
    assert b"user.colour" in run("debugfs", "-R", "ea_list /small", image)
    links = ("link", "long-link", "deep/er/up")  # it does not trust all of them
    run("7z", "x", f"-o{work}/7zip", "-x!deep/sparse", *(f"-x!{link}" for link in links), image)
    for directory, _, files in os.walk(os.fsencode(f"{work}/extracted")):
        for name in files:
            path = os.path.join(directory, name)
            at = os.path.relpath(path, os.fsencode(f"{work}/extracted"))
            other = os.path.join(os.fsencode(f"{work}/7zip"), at)
            if at == b"deep/sparse" or os.fsdecode(at) in links:
                continue
            with open(path, "rb") as a, open(other, "rb") as b:
                assert a.read() == b.read(), at
    shutil.rmtree(f"{work}/7zip")


def test_an_acl_that_cannot_be_kept_is_refused_plainly(work):
    for key, text, told in (
            ("access", "user::rw-,user:bob:r--,group::r--,mask::r--,other::r--", "numeric-owner"),
            ("access", "user::rw-,user:7:r--,group::r--,other::r--", "not complete"),
            ("ace", "owner@:rwxpdDaARWcCos:-------:allow", "NFSv4")):
        with tarfile.open(f"{work}/acl.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("here")
            info.pax_headers = {f"SCHILY.acl.{key}": text}
            tar.addfile(info)
        said = kiln(work, "template", "pack", "acl", f"{work}/acl.tar", fails=True)
        assert '"here"' in said and told in said, said


def test_a_directory_and_compressed_tars_give_the_same_content(work):
    pack_and_compare(work, "directory", f"{work}/tree", f"{work}/tree")
    for flag, suffix in (("-z", "gz"), ("--zstd", "zst")):
        run("bsdtar", flag, "-c", "--format=pax", "-f", f"{work}/t.{suffix}", "-C",
            f"{work}/tree/deep/er", "still", "setuid")
        os.mkdir(f"{work}/{suffix}")
        run("bsdtar", "-x", "-p", "-f", f"{work}/t.{suffix}", "-C", f"{work}/{suffix}")
        pack_and_compare(work, f"c-{suffix}", f"{work}/t.{suffix}", f"{work}/{suffix}")


def test_equal_content_in_another_order_is_an_equal_image(work):
    names = [f"d{i % 7}/f{i}" for i in range(500)]
    for turn, order in enumerate((names, sorted(names), list(reversed(names)))):
        with tarfile.open(f"{work}/o{turn}.tar", "w") as tar:
            for name in order:
                info = tarfile.TarInfo(name)
                info.size = len(name)
                tar.addfile(info, io.BytesIO(name.encode()))
        kiln(work, "template", "pack", "order", f"{work}/o{turn}.tar")
    digests = {r["digest"] for r in json.loads(kiln(work, "template", "ls", "order", "--json"))}
    assert len(digests) == 1, digests


def test_what_comes_again_is_stored_once_however_far_apart(work):
    """By each kind of source: so far apart that it is no longer in memory, then in a second revision."""
    tree, once = f"{work}/again", 300_001
    for name, size in ("a/first", once), ("b/between", 24_000_000), ("c/again", once):
        os.makedirs(os.path.dirname(f"{tree}/{name}"))
        with open(f"{tree}/{name}", "wb") as file:
            file.write(hashlib.shake_128(str(size).encode()).digest(size))
    run("tar", "-cf", f"{work}/again.tar", "-C", tree, ".")
    run("zip", "-q", "-r", "../again.zip", ".", cwd=tree)
    for source in f"{work}/again.tar", f"{work}/again.zip", tree:
        place = f"{work}/data-{os.path.basename(source)}"
        for most in 24_000_000 + once + 100_000, 20_000:
            packed = json.loads(kiln(place, "template", "pack", "again", source, "--json"))
            assert packed["bytesAdded"] < most, (source, packed)
        assert "all is whole" in kiln(place, "template", "verify", "--images")


def test_zips_in_their_dialects_come_back(work):
    os.mkdir(f"{work}/zip")
    for i in range(300):
        os.makedirs(f"{work}/zip/{i % 5}", exist_ok=True)
        with open(f"{work}/zip/{i % 5}/{i}", "w") as file:
            file.write(f"content {i}\n" * i)
    with open(f"{work}/zip/large", "wb") as file:
        file.write(hashlib.shake_128(b"large").digest(12000000) + bytes(12000000))
    os.symlink("0/0", f"{work}/zip/link")
    names = [os.path.relpath(os.path.join(d, f), f"{work}/zip")
             for d, _, files in os.walk(f"{work}/zip") for f in files]

    class Unseekable(io.RawIOBase):  # so that sizes follow the data
        def __init__(self, path):
            self.file = open(path, "wb")

        def writable(self):
            return True

        def write(self, data):
            return self.file.write(data)

        def flush(self):
            self.file.flush()

    for kind in ("plain", "streamed", "reversed"):
        target = f"{work}/{kind}.zip"
        out = Unseekable(target) if kind == "streamed" else open(target, "wb")
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(names, reverse=kind == "reversed"):
                if os.path.islink(f"{work}/zip/{name}"):
                    info = zipfile.ZipInfo(name)
                    info.create_system = 3
                    info.external_attr = 0o120777 << 16
                    archive.writestr(info, os.readlink(f"{work}/zip/{name}"))
                else:
                    archive.write(f"{work}/zip/{name}", name)
        (out.file if kind == "streamed" else out).close()
        image = f"{work}/{kind}.img"
        kiln(work, "template", "pack", kind, target)
        kiln(work, "volume", "create", kind, "--template", kind, "--out", image)
        check_image(image)
        with Mounted(image, work) as mounted:
            for name in names:
                if os.path.islink(f"{work}/zip/{name}"):
                    assert os.readlink(f"{mounted}/{name}") == "0/0"
                    continue
                with open(f"{work}/zip/{name}", "rb") as a, open(f"{mounted}/{name}", "rb") as b:
                    assert a.read() == b.read(), name


def tar_of(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)


def test_what_leads_out_is_refused_by_name_with_a_remedy(work):
    bad = [
        ("absolute link", [("l", tarfile.SYMTYPE, "/etc/hosts")], '"l"', "relative"),
        ("link up", [("a/l", tarfile.SYMTYPE, "../../x")], '"a/l"', "relative"),
        ("link through a link", [("r", tarfile.SYMTYPE, "."), ("l", tarfile.SYMTYPE, "r/r/../x")],
         '"l"', "relative"),
        ("dots", [("a/../../x", tarfile.REGTYPE, "")], '"a/../../x"', "rename"),
        ("absolute", [("/x", tarfile.REGTYPE, "")], '"/x"', "within the folder"),
        ("hard link out", [("h", tarfile.LNKTYPE, "../x")], '"h"', "rename"),
        ("hard link to nothing", [("h", tarfile.LNKTYPE, "x")], '"h"', "copy"),
        ("device", [("d", tarfile.CHRTYPE, "")], '"d"', "leave it out"),
        ("through a link", [("s", tarfile.SYMTYPE, "d"), ("s/f", tarfile.REGTYPE, "")], '"s/f"',
         "remove one"),
    ]
    for what, members, name, remedy in bad:
        tar_of(f"{work}/bad.tar", *members)
        said = kiln(work, "template", "pack", "bad", f"{work}/bad.tar", fails=True)
        assert name in said and remedy in said, f"{what}: {said}"
    assert "bad" not in kiln(work, "template", "ls")


def test_sizes_and_names_that_are_taken_are_told(work):
    said = kiln(work, "volume", "create", "x", "--template", "tar", "--size", "1", "--out",
                f"{work}/x.img", fails=True)
    assert "too small" in said and "needs" in said, said
    kiln(work, "volume", "create", "x", "--template", "order:1", "--size", "200", "--out",
         f"{work}/x.img")
    assert os.path.getsize(f"{work}/x.img") == 200 << 20
    check_image(f"{work}/x.img")
    said = kiln(work, "volume", "create", "x", "--template", "order", "--out", f"{work}/x.img",
                fails=True)
    assert "there already" in said, said


def test_a_folder_of_very_many_entries_is_whole_and_indexed(work):
    """Names so long that the index has two levels; e2fsck checks its order."""
    with tarfile.open(f"{work}/many.tar", "w") as tar:
        for i in range(MANY):
            info = tarfile.TarInfo(f"many/entry-{i * 7919 % MANY:056d}")
            info.type = tarfile.DIRTYPE if i % 100 == 0 else tarfile.REGTYPE
            tar.addfile(info)
    kiln(work, "template", "pack", "many", f"{work}/many.tar")
    kiln(work, "volume", "create", "many", "--template", "many", "--out", f"{work}/many.img")
    check_image(f"{work}/many.img")
    listed = run("debugfs", "-R", "ls -p /many", f"{work}/many.img").decode().split("\n")
    assert sum("/entry-" in line for line in listed) == MANY
    tree = run("debugfs", "-R", "htree /many", f"{work}/many.img").decode()
    assert "Indirect levels: 1" in tree, tree[:400]
    with Mounted(f"{work}/many.img", work) as mounted:
        for i in range(0, MANY, 100):
            assert os.path.lexists(f"{mounted}/many/entry-{i:056d}"), i


def fill_up_and_make_room(full, work):
    """Not a byte is left; what nobody needs can be removed all the same, and then there is room."""
    with tarfile.open(f"{work}/small.tar", "w") as tar:
        info = tarfile.TarInfo("small")
        info.size = 2000000
        tar.addfile(info, io.BytesIO(hashlib.shake_128(b"y").digest(info.size)))
    kiln(full, "template", "pack", "small", f"{work}/small.tar")
    with open(f"{full}/filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
    for words in (("template", "pack", "more", f"{work}/t.tar"),
                  ("volume", "create", "v", "--template", "order", "--out", f"{full}/v.img"),
                  ("volume", "export", "--template", "order", "--out", f"{full}/v.img")):
        said = kiln(full, *words, fails=True)
        assert "No space left" in said, said
    assert sorted(os.listdir(full)) == ["data", "filler"], os.listdir(full)
    assert "all is whole" in kiln(full, "template", "verify", "--images")
    kiln(full, "template", "rm", "small")
    assert "freed 2.0 MB" in kiln(full, "template", "gc")
    kiln(full, "template", "pack", "order", f"{work}/o1.tar")


def test_a_full_disk_is_told_and_leaves_a_clean_store(work):
    os.mkdir(f"{work}/full")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", f"{work}/full"],
                      capture_output=True).returncode:
        return
    try:
        kiln(f"{work}/full", "template", "pack", "order", f"{work}/o0.tar")
        with tarfile.open(f"{work}/large.tar", "w") as tar:
            info = tarfile.TarInfo("large")
            info.size = 20000000
            tar.addfile(info, io.BytesIO(hashlib.shake_128(b"x").digest(info.size)))
        said = kiln(f"{work}/full", "template", "pack", "large", f"{work}/large.tar", fails=True)
        assert "No space left" in said, said
        kiln(f"{work}/full", "template", "gc")
        assert "all is whole" in kiln(f"{work}/full", "template", "verify", "--images")
        assert os.listdir(f"{work}/full/data/templates/local/tmp") == []
        fill_up_and_make_room(f"{work}/full", work)
    finally:
        run("umount", f"{work}/full")


def main():
    if os.geteuid() != 0:
        print("skipped: owners can only be compared by root")
        sys.exit(77)
    work = tempfile.mkdtemp(prefix="kiln-templates-")
    try:
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(work)
                print("ok", name)
        assert "all is whole" in kiln(work, "template", "verify", "--images")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
