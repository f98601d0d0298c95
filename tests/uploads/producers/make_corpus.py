#!/usr/bin/env python3
"""Writes the archives of tests/uploads/corpus that Python, Info-ZIP and GNU tar make, and the evil
ones that none of them would: make_corpus.py CORPUS

No archive names a place that matters.  Where one would write or read through a link, that is
"outside", the file beside the tree that the tests look after: an extractor that is broken shall be
seen, not do harm to the machine that tests it.

go_archives.go and archiver_archive.js write the rest.  The archives are kept in the repository, so
that the tests need none of these programs."""
import bz2, gzip, io, lzma, os, shutil, struct, subprocess, sys, tarfile, tempfile, zipfile, zlib

CORPUS = sys.argv[1]
WHEN = 1741064767  # 2025-03-04T05:06:07Z
ZIP_WHEN = (2025, 3, 4, 5, 6, 8)


def save(kind, name, data):
    with open(os.path.join(CORPUS, kind, name), "wb") as f:
        f.write(data)


# ---- a ZIP by hand, every field of which may lie ----

class Zip:
    def __init__(self):
        self.body = b""
        self.central = b""
        self.n = 0

    def add(self, name, data=b"", mode=0o100644, system=3, method=0, flags=0, crc=None, dos=0x5A642CC4,
            attr=None, extra=b"", local_extra=b"", local_name=None, size=None, offset=None):
        name = name.encode() if isinstance(name, str) else name
        local_name = name if local_name is None else local_name
        raw = data
        if method == 8:
            c = zlib.compressobj(9, zlib.DEFLATED, -15)
            raw = c.compress(data) + c.flush()
        elif method == 12:
            raw = bz2.compress(data)
        crc = zlib.crc32(data) if crc is None else crc
        size = len(data) if size is None else size
        attr = mode << 16 if attr is None else attr
        offset = len(self.body) if offset is None else offset
        self.body += struct.pack("<IHHHIIIIHH", 0x04034B50, 20, flags, method, dos, crc, len(raw), size,
                                 len(local_name), len(local_extra)) + local_name + local_extra + raw
        self.central += struct.pack("<IBBHHHIIIIHHHHHII", 0x02014B50, 20, system, 20, flags, method, dos, crc,
                                    len(raw), size, len(name), len(extra), 0, 0, 0, attr, offset) + name + extra
        self.n += 1
        return self

    def end(self, zip64=False, comment=b"", entries=None):
        start, size = len(self.body), len(self.central)
        n = self.n if entries is None else entries
        out = self.body + self.central
        if zip64:
            out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, n, n, size, start)
            out += struct.pack("<IIQI", 0x07064B50, 0, start + size, 1)
            n, size, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
        return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, size, start, len(comment)) + comment


# ---- a tar by hand ----

def tar_header(name, size=0, kind=b"0", link=b"", mode=None, mtime=WHEN):
    mode = mode if mode is not None else 0o755 if kind == b"5" else 0o644
    name = name.encode() if isinstance(name, str) else name
    link = link.encode() if isinstance(link, str) else link
    h = bytearray(512)
    h[0:len(name)] = name
    h[100:108] = b"%07o\0" % mode
    h[108:116] = h[116:124] = b"0000000\0"
    h[124:136] = b"%011o\0" % size
    h[136:148] = b"%011o\0" % mtime
    h[156:157] = kind
    h[157:157 + len(link)] = link
    h[257:265] = b"ustar\00000"
    h[148:156] = b"        "
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


def tar_member(name, data=b"", **kw):
    return tar_header(name, len(data), **kw) + data + bytes(-len(data) % 512)


END = bytes(1024)


# ---- real producers ----

def make_tree(root):
    for path, text, mode in [
        ("Dockerfile", "FROM alpine\nCOPY . .\n", 0o644),
        ("run.sh", "#!/bin/sh\n", 0o755),
        ("secret.txt", "s\n", 0o600),
        ("src/main.py", "print(1)\n", 0o644),
        ("src/na\u00efve \u2603.txt", "snow\n", 0o644),
        (".env.build", "A=1\n", 0o600),
        (".docker/config.json", '{"auths":{}}', 0o600),
    ]:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)
        os.chmod(full, mode)
    os.makedirs(os.path.join(root, "empty"))
    os.symlink("src/main.py", os.path.join(root, "link"))
    for d, dirs, files in os.walk(root):
        for n in dirs + files:
            if not os.path.islink(os.path.join(d, n)):
                os.utime(os.path.join(d, n), (WHEN, WHEN))
    os.utime(os.path.join(root, "link"), (WHEN, WHEN), follow_symlinks=False)
    os.utime(root, (WHEN, WHEN))


def run(cwd, *argv):
    subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"})


def real_producers():
    tmp = tempfile.mkdtemp()
    root = os.path.join(tmp, "tree")
    os.mkdir(root)
    make_tree(root)
    out = os.path.abspath(os.path.join(CORPUS, "accept"))
    for name in ["infozip.zip", "infozip_links.zip", "gnu_tar.tar", "gnu_tar.tar.gz", "gnu_tar_sparse.tar"]:
        if os.path.exists(os.path.join(out, name)):
            os.unlink(os.path.join(out, name))
    run(root, "zip", "-q", "-r", out + "/infozip.zip", ".")
    run(root, "zip", "-q", "-r", "-y", out + "/infozip_links.zip", ".")
    tar = ["tar", "--sort=name", "--owner=7:7", "--group=8:8"]
    run(root, *tar, "-czf", out + "/gnu_tar.tar.gz", ".")
    os.link(root + "/run.sh", root + "/src/again.sh")
    os.makedirs(root + "/" + "long-name-" * 12)
    os.utime(root + "/" + "long-name-" * 12, (WHEN, WHEN))
    os.utime(root + "/src", (WHEN, WHEN))
    run(root, *tar, "-b1", "-cf", out + "/gnu_tar.tar", ".")
    with open(tmp + "/sparse", "wb") as f:
        f.seek(300000)
        f.write(b"middle")
        f.truncate(700000)
    os.utime(tmp + "/sparse", (WHEN, WHEN))
    run(tmp, *tar, "-b1", "-S", "--format=posix", "--pax-option=delete=atime,delete=ctime", "-cf",
        out + "/gnu_tar_sparse.tar", "sparse")
    # PROTOCOL.md 3.2: files only, sizes in the local headers.
    with zipfile.ZipFile(out + "/python_zipfile.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for path in ["Dockerfile", "run.sh", "src/main.py", "src/na\u00efve \u2603.txt", ".env.build"]:
            z.write(os.path.join(root, path), path)
    with zipfile.ZipFile(out + "/python_zip64.zip", "w", zipfile.ZIP_DEFLATED) as z:
        with z.open(zipfile.ZipInfo("streamed.txt", ZIP_WHEN), "w", force_zip64=True) as f:
            f.write(b"sizes in a ZIP64 field\n")
    with zipfile.ZipFile(out + "/python_on_windows.zip", "w", zipfile.ZIP_DEFLATED) as z:
        info = zipfile.ZipInfo("run.sh", ZIP_WHEN)
        info.create_system, info.external_attr = 0, 0o100755 << 16
        z.writestr(info, "#!/bin/sh\n")
    with zipfile.ZipFile(out + "/python_writestr_symlink.zip", "w") as z:
        info = zipfile.ZipInfo("link", ZIP_WHEN)
        info.external_attr = 0o120777 << 16
        z.writestr(info, "target")
    with tarfile.open(out + "/python_tarfile.tar", "w", format=tarfile.PAX_FORMAT) as t:
        info = tarfile.TarInfo("\u00fcmlaut")
        info.size, info.mtime = 2, WHEN + 0.25
        t.addfile(info, io.BytesIO(b"u\n"))
    shutil.rmtree(tmp)


def accept():
    save("accept", "empty.zip", Zip().end())
    save("accept", "empty.tar", END)
    save("accept", "comment.zip", Zip().add("a", b"1").end(comment=b"made by hand"))
    save("accept", "zip64_end.zip",
         Zip().add("a", b"1").add("b/c", b"2", method=8).end(zip64=True))
    save("accept", "zip64_offset.zip",
         Zip().add("first", b"1").add("second", b"22", offset=0xFFFFFFFF,
                                      extra=struct.pack("<HHQ", 1, 8, 36)).end(zip64=True))
    save("accept", "duplicates.zip", Zip()
         .add("file_then_link", b"file").add("file_then_link", b"elsewhere", mode=0o120777)
         .add("link_then_file", b"../outside", mode=0o120777).add("link_then_file", b"file")
         .add("thrice", b"1").add("thrice", b"2").add("thrice", b"33", mode=0o100755)
         .add(".env.build", b"A=1").add(".env.build", b"A=2").end())
    save("accept", "no_modes.zip", Zip()
         .add("dir/", attr=0x10, system=0).add("dir/file", b"x", attr=0x20, system=0)
         .add("unix", b"x", attr=0).add("unixdir/", attr=0).add("ntfs", b"x", attr=0, system=11)
         .add("readonly", b"x", attr=0x21, system=0).end())
    save("accept", "invalid_dates.zip", Zip()
         .add("zero", b"x", dos=0).add("month_15", b"x", dos=0x5BEF2CC4).add("ones", b"x", dos=0xFFFFFFFF).end())
    save("accept", "closed_directories.zip", Zip()
         .add("none/", mode=0o040000).add("none/file", b"x").add("readonly/", mode=0o040555)
         .add("readonly/sub/", mode=0o040500).add("readonly/sub/file", b"x").add("sticky/", mode=0o043777).end())
    save("accept", "dots.zip", Zip()
         .add("./", mode=0o040700).add("./a/./b//c", b"x").add("././d/", mode=0o040755).add("...", b"x")
         .add("a..b", b"x").end())
    save("accept", "directory_without_slash.zip", Zip().add("d\u00e9", mode=0o040711).add("d\u00e9/f", b"x").end())
    save("accept", "docker_directory_only.zip", Zip().add(".docker/", mode=0o040700).end())
    save("accept", "docker_directory_with_more.zip", Zip()
         .add(".docker/", mode=0o040700).add(".docker/config.json", b"{}").add(".docker/other", b"x").end())
    save("accept", "secrets_deeper_stay.zip", Zip()
         .add("sub/.env.build", b"A=1").add("sub/.docker/config.json", b"{}").end())
    save("accept", "dockerfile_is_a_link.zip", Zip().add("Dockerfile", b"../outside", mode=0o120777).end())
    save("accept", "dockerfile_is_a_directory.zip", Zip().add("Dockerfile/x", b"x").end())
    save("accept", "unicode_path_field.zip", Zip()
         .add("caf\u00e9".encode("cp437"), b"x", local_extra=(lambda n: struct.pack("<HHBI", 0x7075, 5 + len(n), 1, zlib.crc32("caf\u00e9".encode("cp437"))) + n)("caf\u00e9".encode())).end())
    save("accept", "permissions.zip", Zip()
         .add("setuid", b"x", mode=0o106755).add("sticky", b"x", mode=0o101644).add("all", b"x", mode=0o100777).end())
    save("accept", "permissions.tar", tar_member("setuid", b"x", mode=0o6755) + tar_member("d/", kind=b"5", mode=0o6775) + END)
    save("accept", "link_to_sibling_of_root.zip", Zip()
         .add("a/b/ok", b"../../c", mode=0o120777).add("a/b/out", b"../../../c", mode=0o120777).end())
    save("accept", "hardlinks.tar",
         tar_member("a/file", b"shared", mode=0o755) + tar_member("b/link", kind=b"1", link="a/file") +
         tar_member("./c", kind=b"1", link="./b/link") +
         tar_member("sym", kind=b"2", link="nowhere") + tar_member("symlink_again", kind=b"1", link="sym") +
         tar_member("a/file", b"replaced") + END)
    save("accept", "old_tar.tar", tar_member("v7dir/", kind=b"\0", mode=0o755) + tar_member("v7", b"x", kind=b"\0") + END)
    save("accept", "one_zero_block.tar", tar_member("a", b"x") + bytes(512))
    save("accept", "pax_utf8.tar",
         tar_member("p", pax(path="cafe\u0301/decomposed"), kind=b"x") + tar_member("short", b"x") + END)
    save("accept", "gzip_empty.tar.gz", gzip.compress(END, mtime=0))


def pax(**records):
    out = b""
    for key, value in records.items():
        body = b" " + key.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
        n = len(body) + 1
        while len(str(n)) + len(body) != n:
            n += 1
        out += str(n).encode() + body
    return out


def reject():
    save("reject", "absolute.zip", Zip().add("/nonexistent/evil", b"x").end())
    save("reject", "absolute.tar", tar_member("/nonexistent/evil", b"x") + END)
    save("reject", "dotdot.zip", Zip().add("a/../../evil", b"x").end())
    save("reject", "dotdot_inside.zip", Zip().add("a/../b", b"x").end())
    save("reject", "dotdot.tar", tar_member("../evil", b"x") + END)
    save("reject", "dotdot_directory.zip", Zip().add("../", mode=0o040755).end())
    save("reject", "control.zip", Zip().add("a\x1b[31mb", b"x").end())
    save("reject", "newline.tar", tar_member("a\nb", b"x") + END)
    save("reject", "latin1.zip", Zip().add(b"caf\xe9", b"x").end())
    save("reject", "latin1_flagged.zip", Zip().add(b"caf\xe9", b"x", flags=0x800).end())
    save("reject", "latin1.tar", tar_member(b"caf\xe9", b"x") + END)
    save("reject", "latin1_pax.tar", tar_member("p", pax(path=b"caf\xe9"), kind=b"x") + tar_member("s", b"x") + END)
    save("reject", "nul_in_name.zip", Zip().add(b"a\0b", b"x").end())
    save("reject", "no_name.zip", Zip().add("", b"x").end())
    save("reject", "root_as_file.tar", tar_member(".", b"x") + END)
    save("reject", "device.tar", tar_member("null", kind=b"3", mode=0o666) + END)
    save("reject", "block_device.tar", tar_member("sda", kind=b"4") + END)
    save("reject", "fifo.tar", tar_member("pipe", kind=b"6") + END)
    save("reject", "fifo.zip", Zip().add("pipe", mode=0o010644).end())
    save("reject", "socket.zip", Zip().add("sock", mode=0o140755).end())
    save("reject", "device.zip", Zip().add("null", mode=0o020666).end())
    save("reject", "hardlink_absolute.tar", tar_member("a", kind=b"1", link="/nonexistent/file") + END)
    save("reject", "hardlink_up.tar", tar_member("a", kind=b"1", link="../outside") + END)
    save("reject", "hardlink_missing.tar", tar_member("a", kind=b"1", link="b") + END)
    save("reject", "hardlink_through_link.tar",
         tar_member("up", kind=b"2", link="..") + tar_member("a", kind=b"1", link="up/outside") + END)
    save("reject", "hardlink_to_directory.tar", tar_member("d/", kind=b"5") + tar_member("a", kind=b"1", link="d") + END)
    save("reject", "hardlink_to_itself.tar", tar_member("a", b"x") + tar_member("a", kind=b"1", link="a") + END)
    save("reject", "hardlink_to_secret.tar", tar_member(".env.build", b"A=1") + tar_member("a", kind=b"1", link=".env.build") + END)
    save("reject", "chained.zip", Zip().add("out", b"..", mode=0o120777).add("out/evil", b"x").end())
    save("reject", "chained_inside.zip", Zip().add("real/", mode=0o040755).add("link", b"real", mode=0o120777).add("link/file", b"x").end())
    save("reject", "chained_deep.tar",
         tar_member("a/b/out", kind=b"2", link="../../..") + tar_member("a/b/out/x/y/evil", b"x") + END)
    save("reject", "chained_directory.zip", Zip().add("out", b"..", mode=0o120777).add("out/", mode=0o040777).end())
    save("reject", "chained_to_what_is_there.zip", Zip()
         .add("real/", mode=0o040755).add("dot", b".", mode=0o120777).add("dot/real/file", b"x").end())
    save("reject", "chained_symlink.tar",
         tar_member("out", kind=b"2", link="..") + tar_member("out/evil", kind=b"2", link="x") + END)
    save("reject", "file_then_directory.zip", Zip().add("a", b"x").add("a/b", b"x").end())
    save("reject", "directory_then_file.zip", Zip().add("a/b", b"x").add("a", b"x").end())
    save("reject", "directory_then_link.zip", Zip().add("a/", mode=0o040755).add("a", b"b", mode=0o120777).end())
    save("reject", "file_then_directory_entry.zip", Zip().add("a", b"x").add("a/", mode=0o040755).end())
    save("reject", "env_build_is_a_link.tar", tar_member(".env.build", kind=b"2", link="../outside") + END)
    save("reject", "docker_config_is_a_directory.zip", Zip().add(".docker/config.json/", mode=0o040755).end())
    save("reject", "link_with_control.tar", tar_member("a", kind=b"2", link="b\x07c") + END)
    save("reject", "name_too_long.zip", Zip().add("n" * 256, b"x").end())
    save("reject", "path_too_long.zip", Zip().add("/".join(["p" * 100] * 40), b"x").end())
    save("reject", "too_deep.zip", Zip().add("d/" * 101 + "f", b"x").end())
    save("reject", "bomb.zip", Zip().add("zeros", bytes(80 << 20), method=12).end())
    save("reject", "bomb.tar.gz", gzip.compress(gzip.compress(tar_member("zeros", bytes(80 << 20)) + END, mtime=0), mtime=0))
    save("reject", "bomb_in_a_directory.tar.gz",
         gzip.compress(gzip.compress(tar_header("d/", 80 << 20, kind=b"1", link="x") + bytes(80 << 20) + END, mtime=0), mtime=0))
    headers = tar_member("p", pax(comment="c" * 900000), kind=b"x") + tar_member("f")
    save("reject", "bomb_in_headers.tar.gz", gzip.compress(gzip.compress(headers * 80 + END, mtime=0), mtime=0))
    save("reject", "declares_too_much.tar", tar_header("huge", 8 ** 11 - 1) + END)
    save("reject", "secret_too_large.zip", Zip().add(".env.build", b"#" * (2 << 20), method=8).end())
    save("reject", "zero_bytes", b"")
    save("reject", "text.txt", b"this is no archive\n" * 40)
    save("reject", "short_text.txt", b"hello\n")
    save("reject", "xz.tar.xz", lzma.compress(tar_member("a", b"x") + END))
    save("reject", "gzip_of_nothing.gz", gzip.compress(b"", mtime=0))
    save("reject", "gzip_of_text.gz", gzip.compress(b"not a tar\n" * 100, mtime=0))

    whole = Zip().add("a", b"first file").add("b", b"second" * 50, method=8).end()
    save("reject", "cut_in_data.zip", whole[:60])
    save("reject", "cut_between_members.zip", whole[:41])
    save("reject", "cut_in_directory.zip", whole[:-40])
    save("reject", "cut_in_end.zip", whole[:-1])
    save("reject", "bytes_missing_in_front.zip", whole[:20] + whole[30:])
    save("reject", "bad_crc.zip", Zip().add("ok", b"x").add("broken", b"content", crc=1).end())
    save("reject", "wrong_size.zip", Zip().add("broken", b"content", method=8, size=9).end())
    save("reject", "size_without_data.zip", Zip().add("broken", b"", crc=0, size=9).end())
    save("reject", "broken_deflate.zip", whole.replace(b"\x2b\x4e\x4d", b"\xff\xff\xff"))
    save("reject", "unknown_method.zip", Zip().add("odd", b"content", method=77).end())
    save("reject", "split.zip", whole[:-18] + b"\1\0\1\0" + whole[-14:])
    save("reject", "count_too_small.zip", Zip().add("a", b"1").add("b", b"2").end(entries=1))
    save("reject", "count_too_large.zip", Zip().add("a", b"1").end(entries=2))
    save("reject", "names_differ.zip", Zip().add("safe", b"x", local_name=b"../evil").end())
    tar = tar_member("a", b"x" * 600) + tar_member("b", b"y" * 600) + END
    save("reject", "cut_in_data.tar", tar[:1100])
    save("reject", "cut_in_header.tar", tar[:512 + 1024 + 100])
    save("reject", "cut_between_members.tar", tar[:512 + 1024])
    save("reject", "no_end_marker.tar", tar[:-1024])
    save("reject", "bad_checksum.tar", tar[:1536] + b"c" + tar[1537:])
    save("reject", "cut.tar.gz", gzip.compress(tar_member("a", bytes(i * i % 251 for i in range(3000))) + END, mtime=0)[:-60])
    save("reject", "malformed_pax.tar", tar_member("p", b"nonsense\n", kind=b"x") + tar_member("s", b"x") + END)

    tmp = tempfile.mkdtemp()
    with open(tmp + "/f", "w") as f:
        f.write("content\n")
    run(tmp, "zip", "-q", "-P", "password", "e.zip", "f")
    shutil.copy(tmp + "/e.zip", os.path.join(CORPUS, "reject", "encrypted.zip"))
    shutil.rmtree(tmp)


real_producers()
accept()
reject()
