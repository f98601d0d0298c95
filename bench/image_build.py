#!/usr/bin/env python3
"""From the end of an upload to an image in the registry: Kiln beside the same work by hand.

    bench/image_build.py [RUNS]          (default 5; as root; $KILN: default build/release)

By hand is `unzip`, `buildah build` and `buildah push`, one after the other, with buildah's fastest
settings here (native overlay, chroot isolation, one layer) and the base image fetched before.  Kiln's
base store is warm as well: one build of each input is made first and not counted.  Both push to the
same docker-registry, into repositories that are new each time.  Runs alternate.  Two times are
given for Kiln: to the image being in the registry and read back (the event), and to the moment a
client that polls every 0.2 s is told DEPLOYED, which the clients' habits hold back on short builds
(worker/status.c).  CPU and memory are those of the kiln process itself and of the kiln that
unpacks in a jail; the largest resident size seen counts.
"""
import contextlib
import datetime
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("KILN", str(SOURCE / "build/release/programs/kiln"))
sys.path.insert(0, str(SOURCE / "tests/e2e"))
import kiln_server  # noqa: E402
from kiln_server import Bases, Kiln  # noqa: E402

DOCKERFILE = "FROM alpine:3.20\nCOPY . /app/\nRUN true\nCMD [\"/bin/sh\"]\n"


def write_archive(path, files):
    """files: (name, bytes) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("Dockerfile", DOCKERFILE)
        for name, content in files:
            archive.writestr(name, content)


def text(generator, size):
    """Compresses about as source code does."""
    words = [generator.randbytes(4).hex() for _ in range(200)]
    return " ".join(generator.choice(words) for _ in range(size // 9)).encode()


def inputs(directory):
    g = random.Random(2)
    sizes = {
        "one file, 1 kB": [("app.txt", text(g, 1000))],
        "500 files, 4 MB": [(f"src/{i % 20}/f{i}.js", text(g, 8000)) for i in range(500)],
        "20,000 files, 160 MB": [(f"node_modules/p{i % 400}/lib/f{i}.js", text(g, 8000))
                                 for i in range(20000)],
        "20 files, 500 MB that do not compress": [(f"models/{i}.bin", g.randbytes(25 << 20))
                                                  for i in range(20)],
    }
    for i, (name, files) in enumerate(sizes.items()):
        path = directory / f"{i}.zip"
        write_archive(path, files)
        yield name, path


class Usage:
    """CPU seconds and peak resident MiB of the kiln processes of one Kiln, but not of buildah."""

    def __init__(self, pid):
        self.pid, self.peak, self.peak_child = pid, 0, 0
        self.ended = threading.Event()

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, pid):
        with contextlib.suppress(OSError, IndexError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) / 1024
        return 0

    def look(self):
        while not self.ended.wait(0.02):
            self.peak = max(self.peak, self.resident(self.pid))
            for entry in pathlib.Path("/proc").iterdir():
                with contextlib.suppress(OSError):
                    if entry.name.isdigit() and int(entry.name) != self.pid and \
                            os.readlink(entry / "exe") == os.path.realpath(os.environ["KILN"]):
                        self.peak_child = max(self.peak_child, self.resident(entry.name))

    def __enter__(self):
        # VmHWM counts from here on (proc(5), clear_refs).
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.before = self.cpu()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.seconds = self.cpu() - self.before
        self.ended.set()
        self.thread.join()


def seconds_of(moment):
    return datetime.datetime.strptime(moment[:26], "%Y-%m-%dT%H:%M:%S.%f").replace(
        tzinfo=datetime.timezone.utc).timestamp()


def by_kiln(kiln, name, archive):
    os.sync()  # what ran before must not be paid for here
    url = kiln.announce(name)
    # The server writes the archive while it comes; the clock starts at its answer.
    answer = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T",
                             str(archive), url], capture_output=True, text=True, check=True)
    assert answer.stdout == "200", answer
    uploaded = time.time()
    with Usage(kiln.serve.popen.pid) as usage:
        status = kiln.wait_for_end(name, 600, every=0.2)
    told = time.time()
    assert status == "DEPLOYED", kiln.log_lines(name)
    events = kiln.get(f"/sandboxes/{name}").json["events"]
    done = max(seconds_of(e["time"]) for e in events if e["type"].endswith("succeeded"))
    return done - uploaded, told - uploaded, usage


def by_hand(kiln, bases, storage, name, archive):
    buildah = ["buildah", "--root", storage / "root", "--runroot", storage / "run",
               "--storage-driver", "overlay"]
    context = storage / "context"
    run = dict(check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
               stderr=subprocess.PIPE)
    registries = storage / "registries.conf"
    registries.write_text('[[registry]]\nprefix = "docker.io"\n'
                          f'location = "127.0.0.1:{bases.port}"\ninsecure = true\n')
    (storage / "Dockerfile").write_text(DOCKERFILE.replace("alpine", "docker.io/library/alpine"))
    shutil.rmtree(context, ignore_errors=True)
    os.sync()
    started = time.time()
    subprocess.run(["unzip", "-q", archive, "-d", context], **run)
    subprocess.run([*buildah, "--registries-conf", registries, "build", "--isolation", "chroot",
                    "--layers=false", "-t", name, "-f", storage / "Dockerfile", context], **run)
    subprocess.run([*buildah, "push", "--tls-verify=false", name,
                    f"docker://{kiln.registry}/hand/{name}:1"], **run)
    took = time.time() - started
    subprocess.run([*buildah, "rmi", name], **run)
    return took


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    kiln_server.KEEP = SOURCE / "build/e2e"
    bases = Bases(kiln_server.KEEP / "bases")
    kiln = Kiln(bases, workers=1)
    work = pathlib.Path(tempfile.mkdtemp(prefix="kiln-bench-"))
    try:
        kiln.start()
        print(f"{'input':40} {'by hand':>8} {'kiln':>8} {'ratio':>6} {'told':>8} "
              f"{'cpu':>7} {'MiB':>5} {'MiB jailed':>10}")
        for number, (title, archive) in enumerate(inputs(work)):
            rows = []
            by_kiln(kiln, f"warm-{number}", archive)
            by_hand(kiln, bases, work, f"warm-{number}", archive)
            for run in range(runs):
                hand = by_hand(kiln, bases, work, f"b{number}-{run}", archive)
                done, told, usage = by_kiln(kiln, f"b{number}-{run}", archive)
                rows.append((hand, done, done / hand, told, usage.seconds, usage.peak,
                             usage.peak_child))
            hand, done, ratio, told, cpu, peak, child = (
                statistics.median(column) for column in zip(*rows))
            print(f"{title:40} {hand:7.2f}s {done:7.2f}s {ratio:6.2f} {told:7.2f}s "
                  f"{cpu:6.2f}s {peak:5.0f} {child:10.0f}", flush=True)
    finally:
        kiln.stop()
        kiln.remove()
        bases.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
