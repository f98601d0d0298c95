"""A volume of a template in a bucket, served on a machine that has nothing of it: only what is read
is fetched, verified, and kept within bounds; what is written stays here.  Needs an S3 server: moto.
"""
import os
import pathlib
import random
import signal
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "objects")]
import nbd  # noqa: E402
import s3_server  # noqa: E402
from nbd import Served, kiln, run  # noqa: E402

KEEP = os.environ.get("KILN_E2E_KEEP", str(HERE.parents[2] / "build/e2e"))
EIO = 5
MIB = 1 << 20
LARGE = 24 * MIB


class Bucket:
    """The words with which kiln finds it; two machines are two data directories."""

    def __init__(self, work):
        self.server = s3_server.S3Server(KEEP).start()
        self.server.create_bucket()
        pathlib.Path(f"{work}/credentials").write_text(
            f"aws_access_key_id = {s3_server.ACCESS}\naws_secret_access_key = {s3_server.SECRET}\n",
            encoding="ascii")
        self.words = ("--templates", f"s3://{s3_server.BUCKET}/t", "--s3-endpoint", self.server.url,
                      "--s3-region", s3_server.REGION, "--s3-credentials", f"{work}/credentials")
        self.faults = self.server.application.faults

    def packs(self):
        return [k for k in self.server.keys() if "/packs/" in k]


def cached(machine):
    """Bytes that are kept of packs."""
    objects = pathlib.Path(machine, "data/objects")
    return sum(p.stat().st_blocks * 512 for p in objects.iterdir() if len(p.name) == 64)


def make_tree(root, extra=b""):
    os.makedirs(root)
    large = random.Random(1).randbytes(LARGE)
    pathlib.Path(root, "large").write_bytes(large)
    pathlib.Path(root, "extra").write_bytes(extra or b"one")


def machine(work, name):
    os.makedirs(f"{work}/{name}", exist_ok=True)
    return f"{work}/{name}"


def test_only_what_is_read_is_fetched_and_all_of_it_is_right(work, bucket):
    here = machine(work, "first")
    plain = pathlib.Path(work, "plain.img").read_bytes()
    with Served(here, "--template", "t", *bucket.words) as s:
        assert s.client.read(0, 4096) == plain[:4096]
        assert s.client.read(1024, 64) == plain[1024:1088]
        assert cached(here) < LARGE / 2, cached(here)
        bucket.faults[:] = [{"status": 503, "retry_after": 0}, {"flip": 70000, "method": "GET",
                                                                "path": "/packs/"}]
        run("nbdcopy", s.uri, f"{work}/copy.img")
        assert bucket.faults == []
        run("cmp", f"{work}/copy.img", f"{work}/plain.img")


def test_what_is_kept_has_a_bound(work, bucket):
    here = machine(work, "bounded")
    with Served(here, "--template", "t", *bucket.words, "--s3-cache-max", "4MiB") as s:
        run("nbdcopy", "--connections=1", s.uri, f"{work}/copy2.img")
        run("cmp", f"{work}/copy2.img", f"{work}/plain.img")
        assert cached(here) <= 14 * MIB, cached(here)


def test_writes_stay_here_and_outlive_the_server(work, bucket):
    here = machine(work, "writer")
    with Served(here, "v", "--template", "t", *bucket.words) as s:
        s.client.write(8192, b"w" * 4096)
        s.process.send_signal(signal.SIGTERM)  # with the client attached
        s.output = s.process.communicate(timeout=120)
        assert s.process.returncode == 0, s.output
    assert [k for k in bucket.server.keys() if "/holds/" in k]
    with Served(here, "v", *bucket.words) as s:
        assert s.client.read(8192, 4096) == b"w" * 4096
    kiln(here, "volume", "export", "v", "--out", f"{work}/exported.img", *bucket.words)
    assert pathlib.Path(work, "exported.img").read_bytes()[8192:12288] == b"w" * 4096
    kiln(here, "volume", "rm", "v", *bucket.words)
    assert not [k for k in bucket.server.keys() if "/holds/" in k]


def test_nothing_stays_when_it_is_killed(work, bucket):
    here = machine(work, "killed")
    before = set(os.listdir("/tmp"))
    with Served(here, "k", "--template", "t", *bucket.words) as s:
        mine = [d for d in set(os.listdir("/tmp")) - before if d.startswith("kiln-volume-")]
        s.client.write(0, b"k" * 4096)
        s.client.flush()
        s.kill()
        end = time.monotonic() + 60
        while os.path.exists(s.path) and time.monotonic() < end:
            time.sleep(0.05)
        assert not os.path.exists(s.path), "nbdkit outlives the one that lends it the store"
    for name in mine:
        shutil.rmtree(f"/tmp/{name}", ignore_errors=True)
    with Served(here, "k", *bucket.words) as s:
        assert s.client.read(0, 4096) == b"k" * 4096


def test_a_pack_that_a_collector_replaced_is_found_in_its_new_place(work, bucket):
    """Of the pack of g:1 only what g:2 shares with it stays, in a pack that is new."""
    here, there = machine(work, "reader"), machine(work, "packer")
    make_tree(f"{work}/g1", random.Random(7).randbytes(20 * MIB))
    os.unlink(f"{work}/g1/large")
    pathlib.Path(f"{work}/g1/kept").write_bytes(random.Random(8).randbytes(8 * MIB))
    os.makedirs(f"{work}/g2")
    shutil.copy2(f"{work}/g1/kept", f"{work}/g2/kept")
    for n in (1, 2):
        kiln(there, "template", "pack", "g", f"{work}/g{n}", *bucket.words)
    kiln(there, "volume", "create", "g", "--template", "g:2", "--out", f"{work}/g.img", *bucket.words)
    plain = pathlib.Path(work, "g.img").read_bytes()
    with Served(here, "--template", "g:2", *bucket.words) as s:
        assert s.client.read(0, 4096) == plain[:4096]
        old = set(bucket.packs())
        kiln(there, "template", "rm", "g:1", *bucket.words)
        kiln(there, "template", "gc", *bucket.words)
        bucket.faults[:] = [{"later": 3700, "path": "condemned/", "count": 1000}]
        kiln(there, "template", "gc", *bucket.words)
        bucket.faults.clear()
        assert old - set(bucket.packs()), "the collector took no pack"
        assert b"".join(s.client.read(at, min(MIB, len(plain) - at))
                        for at in range(0, len(plain), MIB)) == plain


def test_damage_in_the_bucket_is_an_error_and_is_never_served(work, bucket):
    here = machine(work, "damaged")
    client, (key,) = bucket.server.client(), [k for k in bucket.packs() if bucket.of_t(k)]
    data = bytearray(client.get_object(Bucket=s3_server.BUCKET, Key=key)["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(Bucket=s3_server.BUCKET, Key=key, Body=bytes(data))
    plain = pathlib.Path(work, "plain.img").read_bytes()
    refused = 0
    with Served(here, "--template", "t", *bucket.words) as s:
        for at in range(0, len(plain), 65536):
            n = min(65536, len(plain) - at)
            try:
                assert s.client.read(at, n) == plain[at:at + n], at
            except nbd.Refused as error:
                assert error.args[0] == EIO
                refused += 1
    assert 0 < refused < 20, refused


def main():
    work = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        bucket = Bucket(work)
        there = machine(work, "packer")
        make_tree(f"{work}/tree")
        kiln(there, "template", "pack", "t", f"{work}/tree", *bucket.words)
        first = set(bucket.packs())
        bucket.of_t = first.__contains__
        kiln(there, "volume", "create", "plain", "--template", "t", "--out", f"{work}/plain.img",
             *bucket.words)
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                began = time.monotonic()
                test(work, bucket)
                print(f"ok {name[5:].replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
        bucket.server.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
