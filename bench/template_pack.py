#!/usr/bin/env python3
"""Packing volume templates, side by side with casync, borg, restic, unzip and cp.

    bench/template_pack.py DIRECTORY --all              everything of docs/benchmarks.md
    bench/template_pack.py DIRECTORY [--rounds N] [--trees KIND,KIND] [--work WORK,WORK]
                           [--against WHO,WHO] [--loop] [--reflink DIR] [--growth N,N]
    bench/template_pack.py DIRECTORY --report

DIRECTORY gets the trees (see pack_trees.py; kept for the next run), the stores of the round that runs,
and results.jsonl, to which each run adds.  It wants 15 GB, a file system with a
journal, and root (owners are kept).  --loop makes an ext4 and an XFS there, on loop devices with direct
I/O, for as long as it runs, and works on these; their files, bench.ext4 and bench.xfs, are kept.
--reflink names a directory on XFS or Btrfs for volumes that share blocks; --loop has one.  --growth: so
many GB, files of one kind, for the peak of memory (2.5 times that is wanted).  --report only prints the
table of results.jsonl.  --all is --loop --growth 1,10.  Who fails is told and left out of the round.

Reduced: --work is of tar, zip and tenth (of the files), --against of casync, borg and restic, for the
tar.  On 2 quiet cores `--trees usr --against casync,borg --rounds 3` should take some 4 minutes once the
trees are there, and --trees node_modules some 7; restic takes more than both others.

Each round begins with another contender, from empty stores: revision 1, then revision 2 beside it.
Wall clock, processor time (user and system, of all that was started) and peak resident memory are
the kernel's (wait4).  What is read was read before.  Extraction is in unzip + casync alone.
Needs casync, borgbackup, restic, zip, unzip, npm, and xfsprogs for --loop; says what is not there
before it begins.  $KILN: default build/release.
"""
import argparse
import contextlib
import io
import json
import math
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from pack_trees import MAKERS, MB, Tree, files_of, run  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[1]
KILN = os.environ.get("KILN", str(SOURCE / "build/release/programs/kiln"))


def measure(*argv, cwd=None, env=None):
    """{wall, cpu in seconds, peak in KiB}"""
    os.sync()  # what ran before must not be paid for here
    began = time.monotonic()
    child = subprocess.Popen([str(a) for a in argv], cwd=cwd, env={**os.environ, **(env or {})},
                             stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, [str(a) for a in argv])
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss}


def one_after_the_other(first, second):
    return {"wall": first["wall"] + second["wall"], "cpu": first["cpu"] + second["cpu"],
            "peak": max(first["peak"], second["peak"])}


def remove(path):
    run("rm", "-rf", path)


# ---- who packs ----

class Packer:
    """One store, from empty; the archive or the tree of a revision goes in."""

    def __init__(self, work):
        self.store = work / f"store-{self.name}"
        remove(self.store)
        self.store.mkdir(parents=True)
        self.prepare()

    def prepare(self):
        pass

    def stored(self):
        """Bytes of files, not of blocks, which would count against casync's small ones."""
        return sum(p.stat().st_size for part in self.parts for p in files_of(self.store / part))

    def remove(self):
        remove(self.store)


class Kiln(Packer):
    name, parts = "kiln", ["templates"]

    def pack(self, tree, revision, kind=".tar"):
        return self.kiln("template", "pack", "t", tree.path(revision, kind), "--quiet")

    def kiln(self, *words):
        return measure(KILN, *words, "--data-dir", self.store)


class Casync(Packer):
    name, parts = "casync", ["."]

    def pack(self, tree, revision):
        return self.make(tree.path(revision), revision)

    def make(self, path, revision):
        return measure("casync", "make", f"--store={self.store}/store.castr",
                       f"{self.store}/{revision}.caidx", path)


class Borg(Packer):
    name, parts = "borg", ["repository"]

    def prepare(self):
        self.environment = {"BORG_BASE_DIR": str(self.store / "base"),
                            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        self.repository = self.store / "repository"
        run("borg", "init", "-e", "none", self.repository,
            env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL)

    def pack(self, tree, revision):
        return measure("borg", "create", "-C", "zstd,3", f"{self.repository}::{revision}", ".",
                       cwd=tree.path(revision), env=self.environment)


class Restic(Packer):
    name, parts = "restic", ["repository"]

    def prepare(self):
        self.environment = {"RESTIC_PASSWORD": "x", "RESTIC_CACHE_DIR": str(self.store / "cache"),
                            "RESTIC_REPOSITORY": str(self.store / "repository")}
        run("restic", "-q", "init", env={**os.environ, **self.environment})

    def pack(self, tree, revision):
        return measure("restic", "-q", "backup", ".", cwd=tree.path(revision), env=self.environment)


# ---- what is measured ----

class Bench:
    def __init__(self, directory, results, against):
        self.work = directory / "work"
        self.packers = [Kiln, *(kind for kind in (Casync, Borg, Restic) if kind.name in against)]
        self.failed = False
        remove(self.work)
        self.work.mkdir()
        self.results = open(results, "a", buffering=1, encoding="ascii")

    def note(self, tree, work, who, figures, **more):
        figures = {**figures, **more}
        print(f"{tree:13} {work:10} {who:14} " + " ".join(f"{k} {v:.2f}" for k, v in figures.items()),
              f" load {os.getloadavg()[0]:.1f}", flush=True)
        self.results.write(json.dumps({"tree": tree, "work": work, "who": who, **figures}) + "\n")

    @contextlib.contextmanager
    def told(self):
        """One that fails does not take the others' round along."""
        try:
            yield
        except subprocess.CalledProcessError as e:
            self.failed = True
            print(f"FAILED with {e.returncode}: {' '.join(map(str, e.cmd))}", file=sys.stderr, flush=True)

    def both_revisions(self, tree, kind):
        packer = kind(self.work)
        figures = packer.pack(tree, 1)
        cold = packer.stored()
        self.note(tree.kind, "cold", packer.name, figures, bytes=cold)
        figures = packer.pack(tree, 2)
        self.note(tree.kind, "second", packer.name, figures, bytes=packer.stored() - cold)
        return packer

    def tar(self, tree, turn):
        first = turn % len(self.packers)
        for kind in self.packers[first:] + self.packers[:first]:
            with self.told():
                packer = self.both_revisions(tree, kind)
                if kind is Kiln:
                    self.volume(tree, packer)
            remove(self.work / f"store-{kind.name}")

    def zip(self, tree, turn):
        jobs = [self.zip_by_kiln, self.zip_by_hand, self.zip_test]
        for job in jobs[turn % 3:] + jobs[:turn % 3]:
            with self.told():
                job(tree)

    def zip_by_kiln(self, tree):
        packer = Kiln(self.work)
        self.note(tree.kind, "zip", "kiln", packer.pack(tree, 1, ".zip"))
        packer.remove()

    def zip_by_hand(self, tree):
        packer, out = Casync(self.work), self.work / "unzipped"
        unzip = measure("unzip", "-q", tree.path(1, ".zip"), "-d", out)
        figures = one_after_the_other(unzip, packer.make(out, 1))
        self.note(tree.kind, "zip", "unzip + casync", figures)
        packer.remove()
        remove(out)

    def zip_test(self, tree):
        self.note(tree.kind, "zip", "unzip -t", measure("unzip", "-qq", "-t", tree.path(1, ".zip")))

    def volume(self, tree, packer):
        image, copy = self.work / "volume.img", self.work / "copy"
        figures = packer.kiln("volume", "create", "v", "--template", "t:1", "--out", image)
        self.note(tree.kind, "volume", "kiln", figures, bytes=image.stat().st_blocks * 512)
        self.check(tree, image)
        image.unlink()
        self.note(tree.kind, "volume", "cp -r", measure("cp", "-r", tree.path(1), copy))
        remove(copy)

    def check(self, tree, image):
        """Once for a tree: it is all there, and the kernel reads it."""
        mark = tree.path("verified")
        if mark.exists():
            return
        there = self.work / "there"
        there.mkdir()
        run("e2fsck", "-fn", image, stdout=subprocess.DEVNULL)
        run("mount", "-o", "loop,ro,noload", image, there)
        try:
            run("diff", "-r", "--no-dereference", "--exclude=lost+found", tree.path(1), there)
        finally:
            run("umount", there)
            there.rmdir()
        mark.touch()

    def reflink(self, tree, place):
        """The first volume makes the image to share from; the second is the usual case."""
        packer, image = Kiln(place), place / "volume.img"
        name = next(iter(files_of(tree.path(1)))).relative_to(tree.path(1))
        packer.pack(tree, 1)
        for who in ["kiln, first", *["kiln"] * 3]:
            image.unlink(missing_ok=True)
            figures = packer.kiln("volume", "create", "v", "--template", "t:1", "--out", image)
            read = measure("debugfs", "-R", f'cat "/{name}"', image)
            self.note(tree.kind, "reflink", who, one_after_the_other(figures, read))
        image.unlink()
        packer.remove()

    def tenth(self, tree, _turn):
        packer = Kiln(self.work)
        self.note(tree.kind, "tenth", "kiln", packer.pack(tree, 1, ".tenth.tar"))
        packer.remove()

    def growth(self, gigabytes):
        archive = self.work / "growth.tar"
        write_growth(archive, gigabytes)
        packer = Kiln(self.work)
        figures = packer.kiln("template", "pack", "t", archive, "--quiet")
        self.note(f"{gigabytes} GB", "growth", "kiln", figures)
        packer.remove()
        archive.unlink()


def write_growth(path, gigabytes):
    """For each GB 1,000 files of 512 KiB and 64,000 of 8 KiB, no two alike, half of each random."""
    choice = random.Random(gigabytes)
    with tarfile.open(path, "w") as archive:
        for i in range(gigabytes * 65_000):
            size = (512 if i % 65 == 0 else 8) << 10
            info = tarfile.TarInfo(f"{i // 65_000}/{i // 500}/{i}")
            info.size = size
            archive.addfile(info, io.BytesIO(choice.randbytes(size // 4).hex().encode()
                                             + b"kiln 8 b" * (size // 16)))
            archive.members.clear()


# ---- the report ----

class Results:
    def __init__(self, path):
        self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def all(self, tree, work, who, what="wall"):
        return [r[what] for r in self.rows
                if (r["tree"], r["work"], r["who"]) == (tree, work, who) and what in r]

    def median(self, *key):
        values = self.all(*key)
        return statistics.median(values) if values else float("nan")

    def table(self):
        print("| tree | work | who | wall s (least to most) | cpu s | peak MiB | MB stored | by Kiln's "
              "wall | cpu |\n|---|---|---|---|---|---|---|---|---|")
        for tree, work, who in dict.fromkeys((r["tree"], r["work"], r["who"]) for r in self.rows):
            wall, cpu, peak, stored = (self.median(tree, work, who, w)
                                       for w in ("wall", "cpu", "peak", "bytes"))
            spread = self.all(tree, work, who)
            kiln = self.median(tree, work, "kiln"), self.median(tree, work, "kiln", "cpu")
            print(f"| {tree} | {work} | {who} | {wall:.2f} ({min(spread):.2f} to {max(spread):.2f}; "
                  f"{len(spread)}) | {cpu:.2f} | {peak / 1024:.0f} | {stored / 1e6:.1f} | "
                  f"{wall / kiln[0]:.2f} | {cpu / kiln[1]:.2f} |")

    def targets(self, tree, time):
        """What is asked for, what it is, and whether it has to be at least or at most that."""
        def by(key, other, what=time):
            return self.median(tree, *key, what) / self.median(tree, *other, what)
        cold, second, kiln_zip, volume = (
            (work, "kiln") for work in ("cold", "second", "zip", "volume"))
        node = tree == "node_modules"
        for who, aim in (("casync", 3.5), ("borg", 2), ("restic", 2)):
            yield f"tar, cold: {who} takes", by(("cold", who), cold), ">=", aim
        yield "ZIP, cold: unzip and casync take", by(("zip", "unzip + casync"), kiln_zip), ">=", 4
        yield ("ZIP, cold, by unzip -t on all cores",
               by(kiln_zip, ("zip", "unzip -t")) * (os.cpu_count() if time == "wall" else 1),
               "<=", 2)
        yield "cold by revision 2", by(cold, second), ">=", 2
        for who, aim in (("casync", 0.5 if node else 0.8), ("borg", 1), ("restic", 1)):
            yield f"bytes of revision 2 by {who}'s", by(second, ("second", who), "bytes"), "<=", aim
        yield "bytes by casync's", by(cold, ("cold", "casync"), "bytes"), "<=", 1
        yield ("bytes by the better of borg's and restic's",
               max(by(cold, ("cold", who), "bytes") for who in ("borg", "restic")), "<=", 1.05)
        yield "a volume: cp -r takes", by(("volume", "cp -r"), volume), ">=", 8 if node else 2.5
        yield ("by reflink, first file read: cp -r takes", by(("volume", "cp -r"), ("reflink", "kiln")),
               ">=", 200)
        yield "peak, MiB", max(self.all(tree, *cold, "peak"), default=0) / 1024, "<=", 128
        yield "10 times the files: times the time", by(cold, ("tenth", "kiln")), "<=", 11

    def print(self):
        self.table()
        self.verdicts()

    def growth(self, tree, _time):
        """Of trees that are called by their size."""
        yield ("peak, MiB", max(self.all(tree, "growth", "kiln", "peak"), default=0) / 1024, "<=",
               128 if tree == "1 GB" else 160)

    def verdicts(self):
        """What was not measured is left out.  Processor time: of whoever worked, on all cores."""
        print("\n| tree | what | is | by processor time | has to be | |\n|---|---|---|---|---|---|")
        for tree in dict.fromkeys(r["tree"] for r in self.rows):
            both = self.growth if tree.endswith(" GB") else self.targets
            for wall, cpu in zip(both(tree, "wall"), both(tree, "cpu")):
                text, value, sign, aim = wall
                if math.isnan(value) or value == 0:
                    continue
                met = value >= aim if sign == ">=" else value <= aim
                also = f"{cpu[1]:.2f}" if cpu[1] != value else ""
                print(f"| {tree} | {text} | {value:.2f} | {also} | {sign} {aim} | "
                      f"{'' if met else 'missed'} |")


def read_once(*paths):
    for path in paths:
        if path.is_dir():
            run("sh", "-c", 'find "$1" -type f -print0 | xargs -0 cat >/dev/null', "sh", path)
        else:
            run("sh", "-c", 'cat "$1" >/dev/null', "sh", path)


# ---- where it runs ----

PACKAGES = {"borg": "borgbackup", "mkfs.xfs": "xfsprogs", "mkfs.ext4": "e2fsprogs", "losetup": "mount"}


def check_programs(given):
    wanted = [*given.against.split(","), "zip", "unzip", "debugfs", "e2fsck"]
    if given.loop:
        wanted += ["losetup", "mkfs.ext4", "mkfs.xfs"]
    if "node_modules" in given.trees:
        wanted.append("npm")
    missing = [name for name in wanted if not shutil.which(name)]
    if not os.access(KILN, os.X_OK):
        raise SystemExit(f"{KILN} is not there: cmake --preset release && cmake --build build/release")
    if missing:
        raise SystemExit("not installed: apt-get install "
                         + " ".join(PACKAGES.get(name, name) for name in missing))


@contextlib.contextmanager
def mounted(image, gigabytes, *mkfs):
    """A file system of its own beside the image, as long as it is asked for."""
    place = image.with_name("on-" + image.name)
    place.mkdir(exist_ok=True)
    if not image.exists():
        new = image.with_name("new-" + image.name)
        with open(new, "wb") as file:
            file.truncate(gigabytes << 30)
        run(*mkfs, new, stdout=subprocess.DEVNULL)
        new.rename(image)
    device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", image], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        run("mount", device, place)
        try:
            yield place
        finally:
            run("umount", place)
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def places(given):
    """The directory to work in, and one for reflinks or None."""
    directory = given.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if not given.loop:
        yield directory, given.reflink
        return
    with mounted(directory / "bench.ext4", 64, "mkfs.ext4", "-q", "-F") as ext4, \
            mounted(directory / "bench.xfs", 16, "mkfs.xfs", "-q", "-m", "reflink=1") as xfs:
        yield ext4, xfs


def measure_all(given, directory, reflink):
    bench = Bench(directory, given.directory / "results.jsonl", given.against.split(","))
    trees = [Tree(directory, kind) for kind in given.trees.split(",")]
    for tree in trees:
        print(f"{tree.kind}: {tree.describe()}", flush=True)
        read_once(*(tree.path(n, kind) for n in (1, 2) for kind in ("", ".tar", ".zip")))
    for turn in range(given.rounds):
        for tree in trees:
            for work in given.work.split(","):
                {"tar": bench.tar, "zip": bench.zip, "tenth": bench.tenth}[work](tree, turn)
    for tree in trees if reflink else []:
        with bench.told():
            bench.reflink(tree, reflink)
    for size in given.growth.split(",") if given.growth else []:
        with bench.told():
            bench.growth(int(size))
    remove(bench.work)
    return bench.failed


def main():
    words = argparse.ArgumentParser(description="see the head of this file")
    words.add_argument("directory", type=pathlib.Path)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--trees", default=",".join(MAKERS))
    words.add_argument("--work", default="tar,zip,tenth")
    words.add_argument("--against", default="casync,borg,restic")
    words.add_argument("--reflink", type=pathlib.Path)
    words.add_argument("--growth", default="")
    words.add_argument("--loop", action="store_true")
    words.add_argument("--all", action="store_true")
    words.add_argument("--report", action="store_true")
    given = words.parse_args()
    if given.all:
        given.loop, given.growth = True, given.growth or "1,10"
    failed, results = False, given.directory / "results.jsonl"
    if not given.report:
        check_programs(given)
        with places(given) as (directory, reflink):
            failed = measure_all(given, directory, reflink)
    Results(results).print()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
