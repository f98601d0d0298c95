"""Builds of several workspaces on two workers while workers and their children are killed at random:
none is lost, each ends right and once, nothing stays behind, and the disk stays within its budget.

    tests/chaos/builds_under_kills.py --builds 200 --seed 7

Every project of every workspace is built again and again, each time with another file, always one
build of it at a time; some builds must fail.  Meanwhile a thread kills, with SIGKILL, a worker or
anything that it has started, but for what runs inside the container of a RUN: who kills the user's
command makes the user's command fail.  The same seed gives the same projects and pauses; what is hit
depends on the moment.
"""
import argparse
import collections
import contextlib
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import kiln_server  # noqa: E402
from kiln_server import Bases, Kiln, Watching, wait_until, zip_of  # noqa: E402

MIB = 1 << 20
WORKERS = 2
PROJECTS = ("plain", "stages", "caching", "failing")
WORKSPACES = ("acme", "umbra", "zephyr")
EVENTS_KEPT = 20
NOISE = MIB  # bytes that do not compress, in the result of each build


# ---- what is built ----

def dockerfile(kind):
    """With COPY token, whose content is another one each time."""
    noise = f"RUN head -c {NOISE} /dev/urandom >/noise\n"
    token = "COPY token /token\n"
    return {
        "plain": f"FROM alpine:3.20\nRUN echo kept >/kept\n{token}{noise}",
        "stages": f"FROM alpine:3.20 AS one\n{token}{noise}FROM alpine:3.20\nRUN echo kept >/kept\n"
                  "COPY --from=one /token /noise /\n",
        "caching": f"FROM alpine:3.20\n{token}RUN --mount=type=cache,target=/c "
                   f"cat /token >>/c/all && rm -f /c/big && head -c {NOISE} /dev/urandom >/c/big\n"
                   + noise,
        "failing": f"FROM alpine:3.20\n{token}{noise}RUN cat /token; exit 42\n",
    }[kind]


class Project:
    """One name in one workspace, whose builds follow one another."""

    def __init__(self, kiln, workspace, kind):
        self.kiln, self.workspace, self.kind = kiln, workspace, kind
        self.name = f"chaos-{kind}"
        self.fails = kind == "failing"
        self.built = 0
        self.token = None

    def submit(self, token):
        self.token = token
        archive = zip_of({"Dockerfile": dockerfile(self.kind), "token": token})
        self.kiln.submit(self.name, archive, self.workspace)

    def status(self):
        return self.kiln.status(self.name, self.workspace)

    def check(self, status):
        """Of the build that has just ended."""
        log = self.kiln.log_lines(self.name, workspace=self.workspace)
        said = "\n".join(log)
        if self.fails:
            assert status == "FAILED" and "exit code: 42" in said, (status, said)
            return
        assert status == "DEPLOYED", (status, said)
        self.built += 1
        files = self.kiln.image(self.name, workspace=self.workspace)[1]
        assert files["/token"] == self.token.encode(), (files["/token"], self.token)
        assert len(files["/noise"]) == NOISE

    def check_all(self):
        """Each build that succeeded has pushed one tag, and those that failed none."""
        tags = self.kiln.tags(self.name, workspace=self.workspace)
        assert len(tags) == self.built + (self.built > 0), (self.name, self.built, tags)
        if self.built:
            image = self.kiln.get(f"/images/sandbox/{self.name}", workspace=self.workspace).json
            ends = [e["revision"] for e in image["metadata"]["events"]
                    if e["type"].endswith(("succeeded", "failed"))]
            assert len(ends) == len(set(ends)) == min(self.built, EVENTS_KEPT), (self.name, ends)


# ---- who is killed ----

def facts_of(pid):
    """The parent, the start time and the depth of pid namespaces of a process; None: it is gone."""
    with contextlib.suppress(OSError, AttributeError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        parent = int(re.search(r"(?m)^PPid:\t(\d+)", status).group(1))
        return parent, stat[19], len(re.search(r"(?m)^NSpid:\t(.*)", status).group(1).split())
    return None


class Family:
    """The workers and all that they have started, also what has left them by now."""

    def __init__(self):
        self.workers = {}  # number: Process
        self.seen = {}  # pid: start time
        self.groups = set()  # directories of control groups
        self.lock = threading.Lock()

    def look(self, data):
        """Descendants of the workers, each with its depth of pid namespaces."""
        facts = {int(e.name): facts_of(e.name) for e in pathlib.Path("/proc").iterdir()
                 if e.name.isdigit()}
        with self.lock:
            ours = {w.popen.pid for w in self.workers.values()}
        workers, found = set(ours), {}
        children = collections.defaultdict(list)
        for pid, fact in facts.items():
            if fact:
                children[fact[0]].append(pid)
        while ours:
            pid = ours.pop()
            for child in children[pid]:
                found[child] = facts[child][2]
                ours.add(child)
        with self.lock:
            self.seen.update((pid, facts[pid][1]) for pid in [*workers, *found] if facts.get(pid))
            for listed in data.glob("builder/jobs/*/groups"):
                with contextlib.suppress(OSError):
                    self.groups.update(listed.read_text().split())
        return found

    def alive(self):
        return {pid for pid, start in self.seen.items()
                if (fact := facts_of(pid)) and fact[1] == start}


class Killer:
    """Kills at random moments until it is stopped; brings workers back."""

    def __init__(self, chaos):
        self.chaos, self.random = chaos, random.Random(chaos.options.seed + 1)
        self.kills = collections.Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.ended.wait(self.random.uniform(0.1, 2 * self.chaos.options.pause)):
            self.strike()

    def strike(self):
        family, number = self.chaos.family, self.random.randrange(WORKERS)
        worker = family.workers[number]
        started = [p for p, depth in family.look(self.chaos.kiln.data).items() if depth < 3]
        victim = self.random.choice(started) if started and self.random.random() < 0.5 \
            else worker.popen.pid
        kind = "worker" if victim == worker.popen.pid else self.kind_of(victim)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            self.kills[kind] += 1
        if victim == worker.popen.pid:
            worker.kill()
            self.ended.wait(self.random.uniform(0, 0.5))
            self.chaos.start_worker(number)

    def kind_of(self, pid):
        """The name of its program; "exe" is Kiln's own, in a jail or on the way there."""
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        return "gone"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()


# ---- the run ----

def bytes_below(directory):
    """Of the disk, a file with several names once."""
    files = {}
    for at, folders, names in os.walk(directory):
        for name in [*folders, *names]:
            with contextlib.suppress(OSError):
                st = os.lstat(os.path.join(at, name))
                files[st.st_dev, st.st_ino] = st.st_blocks * 512
    return sum(files.values())


def foreign_mounts():
    """Network namespaces that are kept by a mount."""
    return {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
            .splitlines() if " - nsfs " in line}


class Chaos:
    def __init__(self, options, bases):
        self.options, self.random = options, random.Random(options.seed)
        self.kiln = Kiln(bases, workers=0, options=self.bounds())
        self.family = Family()
        self.peak = 0

    def bounds(self):
        return ["--cache-max", f"{self.options.cache_mib}MiB", "--bases-max",
                f"{self.options.bases_mib}MiB", "--caches-max", f"{self.options.caches_mib}MiB",
                "--attempts", 50]

    def start_worker(self, number):
        worker = self.kiln.spawn("worker", *self.kiln.common(), "--workers", 1, *self.bounds())
        with self.family.lock:
            self.family.workers[number] = worker

    def build_all(self):
        """Each project has one build on its way, until there were enough."""
        idle = [Project(self.kiln, w, k) for w in WORKSPACES for k in PROJECTS]
        busy, all_of_them, begun = [], list(idle), 0
        quiet_since = time.monotonic()
        while busy or begun < self.options.builds:
            while idle and begun < self.options.builds and len(busy) < self.options.at_once:
                project = idle.pop(self.random.randrange(len(idle)))
                project.submit(f"token-{self.options.seed}-{begun}")
                busy.append(project)
                begun += 1
            for project in list(busy):
                status = project.status()
                if status in ("DEPLOYED", "FAILED"):
                    project.check(status)
                    busy.remove(project)
                    idle.append(project)
                    quiet_since = time.monotonic()
            assert time.monotonic() - quiet_since < self.options.patience, \
                f"lost: {[(p.workspace, p.name, p.status()) for p in busy]}"
            self.peak = max(self.peak, self.disk())
            time.sleep(0.2)
        for project in all_of_them:
            project.check_all()
        return sum(p.built for p in all_of_them)

    def disk(self):
        return sum(bytes_below(self.kiln.data / "builder" / part) for part in ("cache", "bases"))

    def run(self):
        mounts = foreign_mounts()
        self.kiln.start()
        for workspace in WORKSPACES:
            self.kiln.key(workspace)
        for number in range(WORKERS):
            self.start_worker(number)
        begun = time.monotonic()
        with Watching(lambda: self.family.look(self.kiln.data), every=0.1), Killer(self) as killer:
            built = self.build_all()
        print(f"seed {self.options.seed}: {self.options.builds} builds, {built} of them images, in "
              f"{time.monotonic() - begun:.0f} s; killed {dict(killer.kills.most_common())}")
        self.end(mounts)
        print(f"{len(self.family.groups)} control groups seen; on disk at most "
              f"{self.peak / MIB:.1f} MiB while it ran, {self.disk() / MIB:.1f} MiB in the end, of "
              f"{self.options.caches_mib}")

    def end(self, mounts):
        """A worker that starts sweeps; then all stop."""
        for worker in self.family.workers.values():
            worker.stop()
        last = self.kiln.spawn("worker", *self.kiln.common(), "--workers", 1, *self.bounds())
        try:
            wait_until("the last worker has swept",
                       lambda: not self.directories_left() and not self.over_budget(), 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.directories_left() + self.over_budget()}") from None
        last.stop()
        self.kiln.stop()
        left = self.kiln.leftovers() + self.directories_left()
        left += [f"process {p} that a worker had started" for p in self.family.alive()]
        left += [f"control group {g}" for g in self.family.groups if os.path.exists(g)]
        left += [f"network namespace {m}" for m in foreign_mounts() - mounts]
        assert not left, "\n".join(left)
        assert not self.over_budget(), self.over_budget()

    def directories_left(self):
        builder = self.kiln.data / "builder"
        return [str(p) for d in (builder / "jobs", *builder.glob("cache/*/tmp"))
                for p in d.iterdir()] + [str(p) for p in builder.glob("probe-*")]

    def over_budget(self):
        """What is larger than it may be, of each workspace and of all together."""
        builder, limits = self.kiln.data / "builder", self.options
        sizes = {(part, workspace, most): sum(map(bytes_below, (builder / part).glob(f"{workspace}*")))
                 for workspace in WORKSPACES
                 for part, most in (("cache", limits.cache_mib), ("bases", limits.bases_mib))}
        over = [f"{part} of {workspace}: {size} bytes, limit {most} MiB"
                for (part, workspace, most), size in sizes.items() if size > most * MIB]
        if self.disk() > limits.caches_mib * MIB:
            over.append(f"together: {self.disk()} bytes, limit {limits.caches_mib} MiB")
        return over


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keep", nargs="?", type=pathlib.Path, default=kiln_server.KEEP,
                        help="where base images are kept between runs")
    parser.add_argument("--builds", type=int, default=14)
    parser.add_argument("--at-once", type=int, default=6, help="builds on their way at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between kills, on average")
    parser.add_argument("--patience", type=float, default=180,
                        help="seconds without an end of a build after which one counts as lost")
    # The budget: what cache_max, bases_max and caches_max are set to.
    parser.add_argument("--cache-mib", type=int, default=12)
    parser.add_argument("--bases-mib", type=int, default=20)
    parser.add_argument("--caches-mib", type=int, default=32)
    options = parser.parse_args()
    bases = Bases(options.keep.resolve() / "bases")
    chaos = Chaos(options, bases)
    try:
        chaos.run()
    except BaseException:
        for process in chaos.kiln.processes[-6:]:
            print(f"---- {process.log.name} ----\n{process.text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        chaos.kiln.remove()
        bases.stop()


if __name__ == "__main__":
    main()
