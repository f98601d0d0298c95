"""Through the nbdkit plugin a volume has the bytes of the plain file; damage is an error; what is
written is there after a restart, and after kill -9 if it was flushed; e2fsck finds nothing.
"""
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nbd  # noqa: E402
from nbd import Served, kiln, run  # noqa: E402

EIO, EPERM, ENOSPC = 5, 1, 28


def make_tree(root):
    for d in range(20):
        os.makedirs(f"{root}/{d}")
        for i in range(60):
            with open(f"{root}/{d}/{i}", "w") as file:
                file.write(f"{d} {i}\n" * (i * 7))
    with open(f"{root}/large", "wb") as file:
        file.write(hashlib.shake_128(b"large").digest(9000001))
    with open(f"{root}/hole", "wb") as file:
        file.truncate(50000000)
        file.seek(30000000)
        file.write(b"island")


def test_every_way_of_reading_gives_the_bytes_of_the_plain_file(work):
    plain = open(f"{work}/plain.img", "rb").read()
    with Served(work, "--template", "t") as s:
        assert s.client.size == len(plain) and not s.client.can_write()
        run("nbdcopy", s.uri, f"{work}/copy.img")  # cold, four connections at once
        run("cmp", f"{work}/copy.img", f"{work}/plain.img")
        assert os.stat(f"{work}/copy.img").st_blocks * 512 < len(plain) / 2, "holes are told"
        choice = random.Random(5)
        for _ in range(500):
            at = choice.randrange(len(plain))
            n = min(choice.choice((1, 511, 4096, 4097, 300000)), len(plain) - at)
            assert s.client.read(at, n) == plain[at:at + n], (at, n)
        try:
            s.client.write(0, b"x" * 4096)
        except nbd.Refused as refused:
            assert refused.args[0] == EPERM
        else:
            raise AssertionError("a volume without an overlay was written")


def test_it_can_be_reached_by_address(work):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen([nbd.KILN, "volume", "serve", "--template", "t", "--listen", address,
                               "--data-dir", f"{work}/data"], stdout=subprocess.PIPE)
    try:
        for _ in range(2400):
            if subprocess.run(["nbdinfo", f"nbd://{address}"], capture_output=True,
                              timeout=120).returncode == 0:
                break
            time.sleep(0.05)
        run("nbdcopy", f"nbd://{address}", f"{work}/tcp.img")
    finally:
        server.terminate()
        assert server.wait(timeout=120) == 0
    assert f"nbd://{address}".encode() in server.stdout.read()
    run("cmp", f"{work}/tcp.img", f"{work}/plain.img")


def test_a_small_cache_and_none_give_the_same_bytes(work):
    plugin = os.path.join(os.path.dirname(nbd.KILN), "nbdkit-kiln-volume-plugin.so")
    for cache in ("0", "1M"):
        run("nbdkit", "-U", "-", plugin, f"{work}/data/templates/local", "template=t",
            f"cache={cache}", "--run", f"nbdcopy $uri {work}/copy-{cache}.img")
        run("cmp", f"{work}/copy-{cache}.img", f"{work}/plain.img")


def test_writes_win_and_are_there_after_a_restart(work):
    expected = bytearray(open(f"{work}/plain.img", "rb").read())
    choice = random.Random(7)
    for turn in range(3):
        with Served(work, "v", *(["--template", "t"] if turn == 0 else [])) as s:
            assert s.client.can_write()
            for _ in range(300):
                at = choice.randrange(len(expected))
                n = min(choice.choice((1, 513, 4096, 8192, 100000)), len(expected) - at)
                if choice.random() < 0.5:
                    at = at // 4096 * 4096
                what = choice.randrange(3)
                if what == 0:
                    expected[at:at + n] = bytes(n)
                    s.client.zero(at, n, choice.choice((nbd.ZEROES, nbd.TRIM)))
                else:
                    data = choice.randbytes(n)
                    expected[at:at + n] = data
                    s.client.write(at, data)
                assert s.client.read(max(at - 100, 0), 200 + n if at + n + 100 < len(expected)
                                     else n) == expected[max(at - 100, 0):][:200 + n if at + n + 100
                                                                            < len(expected) else n]
            run("nbdcopy", s.uri, f"{work}/copy-{turn}.img")
        assert open(f"{work}/copy-{turn}.img", "rb").read() == expected
    assert kiln(work, "volume", "export", "v", "--out", "-") == expected
    kiln(work, "volume", "export", "v", "--out", f"{work}/exported.img")
    assert open(f"{work}/exported.img", "rb").read() == expected


def test_writers_at_once_do_not_undo_each_other(work):
    with Served(work, "many", "--template", "t") as s:
        def fill(k):
            client = s.connect()
            for block in range(200):  # eight writers share each block
                client.write(block * 4096 + k * 512, bytes([k + 1]) * 512)

        threads = [threading.Thread(target=fill, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        block = b"".join(bytes([k + 1]) * 512 for k in range(8))
        assert s.client.read(0, 200 * 4096) == block * 200


def test_what_was_flushed_survives_a_kill(work):
    choice = random.Random(9)
    flushed = {}
    for turn in range(6):
        with Served(work, "killed", *(["--template", "t"] if turn == 0 else [])) as s:
            for block, data in flushed.items():
                assert s.client.read(block * 4096, 4096) == data, (turn, block)
            fresh = {choice.randrange(s.client.size // 4096): choice.randbytes(4096)
                     for _ in range(50)}
            for block, data in fresh.items():
                s.client.write(block * 4096, data, nbd.FUA if turn % 2 else 0)
            if turn % 2 == 0:
                s.client.flush()
            flushed.update(fresh)
            unflushed = choice.randrange(s.client.size // 4096)
            if unflushed not in flushed:
                before = s.client.read(unflushed * 4096, 4096)
                after = choice.randbytes(4096)
                s.client.write(unflushed * 4096, after)
                s.kill()
                with Served(work, "killed") as again:
                    assert again.client.read(unflushed * 4096, 4096) in (before, after)
            else:
                s.kill()


def test_a_file_system_that_was_written_through_it_is_whole(work):
    os.mkdir(f"{work}/fuse")
    with open(f"{work}/new", "wb") as file:
        file.write(hashlib.shake_128(b"new").digest(200000))
    with Served(work, "fs", "--template", "t", "--size", "200") as s:
        fuse = subprocess.Popen(["nbdfuse", f"{work}/fuse/v.img", s.uri])
        try:
            while not os.path.exists(f"{work}/fuse/v.img"):
                assert fuse.poll() is None
                time.sleep(0.05)
            image = f"{work}/fuse/v.img"
            run("e2fsck", "-fn", image)
            run("resize2fs", "-f", image)
            run("debugfs", "-w", "-R", f"write {work}/new new", image)
            run("debugfs", "-w", "-R", "rm large", image)
            run("e2fsck", "-fn", image)
        finally:
            subprocess.run(["umount", f"{work}/fuse"], timeout=120, check=False)
            fuse.wait(timeout=120)
    kiln(work, "volume", "export", "fs", "--out", f"{work}/fs.img")
    run("e2fsck", "-fn", f"{work}/fs.img")
    assert os.path.getsize(f"{work}/fs.img") == 200 << 20
    assert run("debugfs", "-R", "cat new", f"{work}/fs.img") == open(f"{work}/new", "rb").read()
    names = run("tar", "-t", input=kiln(work, "volume", "export", "fs", "--format", "tar", "--out",
                                        "-")).decode().split()
    assert "new" in names and "hole" in names and "large" not in names


def test_one_overlay_has_one_server_and_one_revision(work):
    with Served(work, "v"):
        for words in (("serve", "v", "--socket", f"{work}/other"),
                      ("export", "v", "--out", "-"), ("rm", "v")):
            assert "in use" in kiln(work, "volume", *words, fails=True)
    kiln(work, "template", "pack", "u", f"{work}/tree/1")
    assert "lies over t:1" in kiln(work, "volume", "serve", "v", "--template", "u", fails=True)
    with open(f"{work}/not", "wb") as file:
        file.write(bytes(1 << 20))
    said = kiln(work, "volume", "serve", "--overlay", f"{work}/not", fails=True)
    assert "is not the overlay" in said, said
    assert "no volume" in kiln(work, "volume", "serve", "nosuch", fails=True)


def test_a_volume_keeps_its_revision_until_it_is_removed(work):
    kiln(work, "template", "pack", "gone", f"{work}/tree/2")
    kiln(work, "volume", "create", "gone", "--template", "gone", "--out", f"{work}/gone.img")
    with Served(work, "held", "--template", "gone"):
        pass
    kiln(work, "template", "rm", "gone")
    kiln(work, "template", "gc")
    expected = open(f"{work}/gone.img", "rb").read()
    assert kiln(work, "volume", "export", "held", "--out", "-") == expected
    kiln(work, "volume", "rm", "held")
    assert "no volume" in kiln(work, "volume", "rm", "held", fails=True)
    assert not os.listdir(f"{work}/data/templates/local/holds") or all(
        not name.startswith("gone") for name in os.listdir(f"{work}/data/templates/local/holds"))


def test_a_flipped_bit_is_an_error_and_is_never_served(work):
    plain = open(f"{work}/plain.img", "rb").read()
    where = plain.index(hashlib.shake_128(b"large").digest(4096))
    packs = f"{work}/data/templates/local/packs"
    copies = f"{work}/packs"
    shutil.copytree(packs, copies)
    refused = 0
    for name in os.listdir(packs):
        with open(f"{packs}/{name}", "r+b") as file:
            data = file.read()
            at = data.find(plain[where + 3000000:where + 3000064])  # random: stored as it is
            if at >= 0:
                file.seek(at)
                file.write(bytes([data[at] ^ 4]))
    with Served(work, "--template", "t:1") as s:
        for at in range(where, where + 9000000, 4096):
            n = min(4096, where + 9000001 - at)
            try:
                assert s.client.read(at, n) == plain[at:at + n], at
            except nbd.Refused as error:
                assert error.args[0] == EIO
                refused += 1
        assert refused > 0, "the damage was not found"
        assert refused < 300, "what is whole is served"
        assert s.client.read(where + 8000000, 1000000) == plain[where + 8000000:][:1000000]
    assert "revision t:1" in kiln(work, "volume", "export", "--template", "t:1", "--out", "-",
                                  fails=True)
    shutil.rmtree(packs)
    shutil.move(copies, packs)


def test_sigterm_ends_it_with_a_client_attached_and_saves_what_was_written(work):
    with Served(work, "term", "--template", "t") as s:
        s.client.write(4096, b"saved" * 100)
        s.process.terminate()
        s.output = s.process.communicate(timeout=120)
        assert s.process.returncode == 0 and s.output[1] == "", (s.process.returncode, s.output)
        assert not os.path.exists(s.path)
    with Served(work, "term") as s:
        assert s.client.read(4096, 500) == b"saved" * 100


def test_words_that_make_no_sense_are_told(work):
    for words, told in ((("serve",), "--template"), (("export", "v"), "--out"),
                        (("export", "v", "--out", "-", "--format", "zip"), "raw or tar"),
                        (("serve", "v", "--listen", "localhost:x"), "address and port"),
                        (("serve", "../v", "--template", "t"), "name"),
                        (("serve", "new", "--template", "t", "--size", "1"), "too small"),
                        (("serve", "--template", "t", "--socket", f"{work}/plain.img"),
                         "is there already")):
        said = kiln(work, "volume", *words, fails=True)
        assert told in said, (words, said)


def main():
    work = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        make_tree(f"{work}/tree")
        kiln(work, "template", "pack", "t", f"{work}/tree")
        kiln(work, "volume", "create", "plain", "--template", "t", "--out", f"{work}/plain.img")
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(work)
                print("ok", name[5:].replace("_", " "), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
