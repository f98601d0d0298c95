#!/usr/bin/env python3
"""Served volumes beside a copied tree and beside nbdkit's file plugin.

    bench/volume_serve.py [TREE]     (default /usr/lib/python3, /usr/include and the like, 600 MB;
                                      as root; $TMPDIR, else /var/tmp, wants 4 GB; $KILN: default
                                      build/release; says what is not installed before it begins)

  first file   from `kiln volume serve` to the bytes of one file in hand (debugfs reads it through
               nbdfuse), against `cp -r` of the tree; page cache warm for both
  reads        the same volume by kiln-volume and, as a plain file, by nbdkit's file plugin: nbdcopy
               to null:, and 4 KiB reads at random places by one client on one connection
"""
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("KILN", str(SOURCE / "build/release/programs/kiln"))
sys.path.insert(0, str(SOURCE / "tests/volumes"))
from nbd import Client, Served, kiln, run  # noqa: E402

RUNS = 5
READS = 20000


def check_programs():
    packages = {"nbdkit": "nbdkit", "nbdcopy": "libnbd-bin", "nbdfuse": "libnbd-bin fuse3",
                "debugfs": "e2fsprogs"}
    missing = {package for name, package in packages.items() if not shutil.which(name)}
    if missing:
        raise SystemExit(f"not installed: apt-get install {' '.join(sorted(missing))}")
    if not os.access(os.environ["KILN"], os.X_OK):
        raise SystemExit(f"{os.environ['KILN']} is not there: cmake --preset release && "
                         "cmake --build build/release")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise SystemExit("/dev/fuse cannot be opened: nbdfuse wants it")


def wait_for(path, process, seconds=60):
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{process.args[0]} has not made {path}")
        time.sleep(0.0005)


def unmount(place, process):
    """Whoever looks at every new mount may hold this one for a moment."""
    for _ in range(100):
        if subprocess.run(["umount", place], stderr=subprocess.DEVNULL).returncode == 0:
            break
        time.sleep(0.1)
    else:
        run("umount", "--lazy", place)
    process.wait(timeout=60)


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def make_tree(root, size=600 << 20):
    """Copies of what /usr has, without links, up to about so many bytes."""
    total = 0
    for folder in ("/usr/lib/python3", "/usr/include", "/usr/share/doc", "/usr/lib/x86_64-linux-gnu",
                   "/usr/bin", "/usr/lib"):
        for directory, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(directory, name)
                if not os.path.isfile(path) or os.path.islink(path) or total > size:
                    continue
                target = root + directory
                os.makedirs(target, exist_ok=True)
                shutil.copyfile(path, os.path.join(target, name))
                total += os.path.getsize(path)


def a_file(tree):
    """Its path in the tree, and its content."""
    for directory, folders, files in os.walk(tree):
        folders.sort()
        for path in sorted(os.path.join(directory, name) for name in files):
            if os.path.isfile(path) and not os.path.islink(path) and '"' not in path:
                return path[len(tree.rstrip("/")):], pathlib.Path(path).read_bytes()
    raise SystemExit(f"{tree} has no file")


def first_file(work, path, content):
    """Attach and read; what ends it is not counted."""
    os.makedirs(f"{work}/fuse", exist_ok=True)
    began = time.monotonic()
    with Served(work, "--template", "t") as s:
        attached = time.monotonic() - began
        fuse = subprocess.Popen(["nbdfuse", f"{work}/fuse/v.img", s.uri])
        try:
            wait_for(f"{work}/fuse/v.img", fuse)
            assert run("debugfs", "-R", f'cat "{path}"', f"{work}/fuse/v.img") == content
            took = time.monotonic() - began
        finally:
            unmount(f"{work}/fuse", fuse)
    return attached, took


def random_reads(client):
    choice = random.Random(1)
    places = [choice.randrange(client.size // 4096) * 4096 for _ in range(READS)]
    return timed(lambda: [client.read(at, 4096) for at in places])


def measure(client, uri):
    cold = timed(lambda: run("nbdcopy", uri, "null:"))
    copies = [timed(lambda: run("nbdcopy", uri, "null:")) for _ in range(RUNS)]
    reads = [random_reads(client) for _ in range(RUNS)]
    return cold, statistics.median(copies), statistics.median(reads)


def by_file_plugin(work):
    path = f"{work}/file-socket"
    server = subprocess.Popen(["nbdkit", "-f", "-r", "-U", path, "file", f"{work}/plain.img"])
    try:
        wait_for(path, server)
        client = Client(path)
        result = measure(client, f"nbd+unix:///?socket={path}")
        client.socket.close()
        return result
    finally:
        server.terminate()
        server.wait(timeout=60)


def main():
    check_programs()
    work = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/var/tmp"))
    try:
        tree = sys.argv[1] if len(sys.argv) > 1 else f"{work}/tree"
        if len(sys.argv) < 2:
            make_tree(tree)
        kiln(work, "template", "pack", "t", tree)
        kiln(work, "volume", "create", "plain", "--template", "t", "--out", f"{work}/plain.img")
        size = os.path.getsize(f"{work}/plain.img") / 1e6
        files = sum(len(f) for _, _, f in os.walk(tree))
        print(f"{files} files, an image of {size:.0f} MB; medians of {RUNS}\n")
        copies = []
        for i in range(3):
            copies.append(timed(lambda: run("cp", "-r", tree, f"{work}/copy")))
            shutil.rmtree(f"{work}/copy")
        firsts = [first_file(work, *a_file(tree)) for _ in range(RUNS)]
        copy = statistics.median(copies)
        attached, first = (statistics.median(f[i] for f in firsts) for i in (0, 1))
        print("| | seconds (least to most) | cp -r takes | aim |\n|---|---|---|---|")
        print(f"| cp -r of the tree | {copy:.2f} ({min(copies):.2f} to {max(copies):.2f}) | 1 | |")
        print(f"| served, a client is connected | {attached:.3f} | {copy / attached:.0f} × | |")
        print(f"| served, first file read | {first:.3f} | {copy / first:.0f} × | ≥ 200 × |\n")
        file = by_file_plugin(work)
        with Served(work, "--template", "t") as s:
            ours = measure(s.client, s.uri)
        print("| read | kiln-volume | file plugin | ratio of rates | aim |\n|---|---|---|---|---|")
        for name, scale, unit, i, aim in (("sequential, cold", size, "MB/s", 0, ""),
                                          ("sequential, warm", size, "MB/s", 1, "≥ 0.5"),
                                          ("random 4 KiB, warm", READS, "a second", 2, "≥ 0.5")):
            print(f"| {name} | {scale / ours[i]:.0f} {unit} | {scale / file[i]:.0f} {unit} | "
                  f"{file[i] / ours[i]:.2f} | {aim} |")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
