#!/usr/bin/env python3
"""What a fleet does in a second, and what each build asks of the database, the store and the registry.

    bench/fleet_throughput.py [--builds N] [--workers 1,2,4] [--queued N] [--idle SECONDS] [--no-queue]

First bench/queue_claims, on SQLite and on a PostgreSQL server of its own, with --queued (100,000) builds.
Then `kiln serve` without workers, and 1, 2 and 4 `kiln worker` that build one at a time, each in a data
directory of its own as on a machine of its own, with PostgreSQL (pg_stat_statements counts), moto's S3
server and a docker-registry, all on this machine.  Each round has --builds (24) small builds of two steps,
none of them like another, that are queued before its workers start: what is counted lies between the first
one's start and the last one's end.  What idle processes ask for is measured apart, and taken off.

Prints docs/scale.md's tables.  $KILN: default build/release; queue_claims is that of the same build.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("KILN", str(SOURCE / "build/release/programs/kiln"))
sys.path[:0] = [str(SOURCE / "tests/e2e"), str(SOURCE / "tests/objects")]
import kiln_server  # noqa: E402
import s3_server  # noqa: E402
from kiln_server import Bases, Kiln, Registry, free_port, wait_until, zip_of  # noqa: E402
from own_cluster import OwnCluster  # noqa: E402

QUEUE_CLAIMS = pathlib.Path(os.environ["KILN"]).resolve().parents[1] / "bench/queue_claims"
DOCKERFILE = "FROM alpine:3.20\nCOPY name /name\nRUN cat /name /name >/twice\n"
TICK = os.sysconf("SC_CLK_TCK")


class Cluster(OwnCluster):
    """That counts statements; `bench` asks, so that its own are told apart."""

    def __init__(self, stack):
        super().__init__()
        stack.callback(self.remove)
        self.ask("create role bench superuser login", "kiln")
        self.ask("alter system set shared_preload_libraries = 'pg_stat_statements'")
        self.run("halt")
        self.run("resume")
        self.ask("create extension pg_stat_statements")

    def pid(self):
        return int((self.directory / "data/postmaster.pid").read_text().split("\n")[0])

    def ask(self, sql, user="bench"):
        done = subprocess.run(["psql", "-qAtX", "-h", self.directory, "-U", user, "-c", sql, "kiln"],
                              check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return [line.split("|") for line in done.stdout.splitlines()]

    def calls(self):
        """How often each statement of Kiln's was run."""
        return {" ".join(query[:90].split()): int(n) for n, query in (row[:2] for row in self.ask(
            "select calls, replace(replace(query, '|', ' '), e'\\n', ' ') from pg_stat_statements"
            " join pg_roles r on r.oid = userid where rolname = 'kiln'"))}

    def counts(self):
        """Since the server was started: statements by their kind, and bytes of the log."""
        of_kiln = ("select coalesce(sum(calls), 0) from pg_stat_statements join pg_roles r on"
                   " r.oid = userid where rolname = 'kiln' and query ")
        what = {"statements": "not ilike 'set %'", "transactions": "ilike 'begin%'",
                "unsynced": "ilike 'set local synchronous_commit%'",
                "writes": "~* '^(insert|update|delete)'", "notify": "ilike 'notify%'"}
        found = {key: int(self.ask(of_kiln + test)[0][0]) for key, test in what.items()}
        found["WAL bytes"] = int(self.ask("select wal_bytes from pg_stat_wal")[0][0])
        return found


class CountedRegistry(Registry):
    """Says in its log what was asked."""

    extra = {"log": {"level": "error", "accesslog": {"disabled": False}}}

    def requests(self):
        return [m.groups() for m in re.finditer(r'"(GET|HEAD|POST|PATCH|PUT|DELETE) (\S+) HTTP',
                                                self.process.text())]


# ---- processor time ----

def seconds_of(pid):
    """Its own and that of the children that it has waited for."""
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(f) for f in fields[11:15]) / TICK
    return 0.0


def seconds_of_family(pid):
    """Its own and its children's that live."""
    total = seconds_of(pid)
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                total += seconds_of(stat.parent.name)
    return total


def machine_seconds():
    """Busy, and all of them."""
    numbers = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / TICK, sum(numbers) / TICK


# ---- the fleet ----

class Fleet:
    def __init__(self, stack):
        self.cluster = Cluster(stack)
        self.s3 = s3_server.S3Server(kiln_server.KEEP).start()
        stack.callback(self.s3.stop)
        self.s3.create_bucket()
        bases = Bases(kiln_server.KEEP / "bases")
        stack.callback(bases.stop)
        self.directory = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kiln-fleet-")))
        self.registry = CountedRegistry(self.directory / "registry")
        stack.callback(self.registry.stop)
        credentials = self.directory / "s3"
        credentials.write_text(f"[default]\naws_access_key_id = {s3_server.ACCESS}\n"
                               f"aws_secret_access_key = {s3_server.SECRET}\n")
        os.environ.update({
            "KILN_DATABASE": self.cluster.url, "KILN_S3_ENDPOINT": self.s3.url,
            "KILN_UPLOADS": f"s3://{s3_server.BUCKET}/up", "KILN_S3_REGION": s3_server.REGION,
            "KILN_S3_CREDENTIALS": str(credentials), "KILN_REGISTRY_AUTH": "none",
            "KILN_REGISTRY_URL": f"http://127.0.0.1:{self.registry.port}"})
        self.operators = free_port()
        self.kiln = Kiln(bases, workers=0,
                         options=("--operator-listen", f"127.0.0.1:{self.operators}"))
        stack.callback(self.kiln.remove)
        self.kiln.start()
        self.n = 0

    def queue(self, n):
        before = self.phases()
        for _ in range(n):
            self.n += 1
            self.kiln.submit(f"fleet-{self.n}", zip_of({"Dockerfile": DOCKERFILE,
                                                       "name": secrets.token_hex(16)}))
        wait_until("all are queued", lambda: self.phases().get(1, 0) == before.get(1, 0) + n, 300, 1)

    def phases(self):
        return {int(p): int(n) for p, n in self.cluster.ask(
            "select phase, count(*) from builds group by phase")}

    def start_workers(self, n):
        return [self.kiln.spawn("worker", "--data-dir", self.directory / f"worker-{i}", "--mirrors",
                                self.kiln.mirrors, "--workers", 1) for i in range(n)]

    def api_requests(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.operators, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum(int(v) for v in re.findall(r"^kiln_http_requests_total\{.*\} (\d+)", text, re.M))

    def counts(self):
        asked = [method for method, _ in self.registry.requests()]
        return {**self.cluster.counts(), "S3": len(self.s3.log), "registry": len(asked),
                **{m: asked.count(m) for m in ("GET", "HEAD", "POST", "PATCH", "PUT")}}

    def idle(self, seconds, workers):
        """A second of serve, and of one worker more."""
        rates = []
        for n in (0, workers):
            processes = self.start_workers(n)
            time.sleep(5)
            before, begun = self.counts(), time.monotonic()
            time.sleep(seconds)
            lasted, after = time.monotonic() - begun, self.counts()
            rates.append({k: (after[k] - before[k]) / lasted for k in after})
            for p in processes:
                p.stop()
        return rates[0], {k: max(0.0, (rates[1][k] - rates[0][k]) / workers) for k in rates[0]}

    def round(self, workers, builds, rates):
        self.queue(builds)
        calls = self.cluster.calls()
        before, cpu_before = self.counts(), resource.getrusage(resource.RUSAGE_CHILDREN)
        own, busy = time.process_time(), machine_seconds()
        others = {"PostgreSQL": lambda: seconds_of_family(self.cluster.pid()),
                  "registry": lambda: seconds_of(self.registry.process.popen.pid),
                  "kiln serve": lambda: seconds_of(self.kiln.serve.popen.pid)}
        used = {name: f() for name, f in others.items()}
        begun = time.monotonic()
        processes = self.start_workers(workers)
        wait_until("all are built", lambda: not {1, 2} & set(self.phases()), 3600, 0.5)
        used = {name: f() - used[name] for name, f in others.items()}
        lasted = time.monotonic() - begun
        after, busy_after = self.counts(), machine_seconds()
        calls = {q: n - calls.get(q, 0) for q, n in self.cluster.calls().items()}
        for p in processes:
            p.stop()
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        used["kiln worker and its builds"] = (cpu.ru_utime + cpu.ru_stime - cpu_before.ru_utime
                                              - cpu_before.ru_stime)
        used["S3 (moto) and this bench"] = time.process_time() - own
        took = float(self.cluster.ask(
            "select (max(finished) - min(started)) / 1e9 from (select * from builds where phase = 3"
            f" order by finished desc limit {builds}) b")[0][0])
        idle = {k: 0 if k == "WAL bytes" else rates[0][k] + workers * rates[1][k] for k in after}
        each = {k: max(0.0, after[k] - before[k] - lasted * idle[k]) / builds for k in after}
        return {"builds a minute": 60 * builds / took,
                "cores busy": (busy_after[0] - busy[0]) / (busy_after[1] - busy[1]) * os.cpu_count(),
                "each": each, "calls": {q: n / builds for q, n in calls.items()}, "used": {k: v / builds for k, v in used.items()}}


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in row) + " |")


def measure_queue(queued):
    print("## The queue alone\n\n### SQLite\n", flush=True)
    subprocess.run([QUEUE_CLAIMS, str(queued)], check=True)
    print("\n### PostgreSQL\n", flush=True)
    with contextlib.ExitStack() as stack:
        subprocess.run([QUEUE_CLAIMS, str(queued), Cluster(stack).url], check=True)


def measure_api(fleet):
    """What the requests of a build ask of the database, a status poll among them."""
    said = {}
    for what, f in (("a build is asked for and uploaded, and noticed", lambda: fleet.queue(1)),
                    ("100 status polls", lambda: [fleet.kiln.status("fleet-1") for _ in range(100)])):
        fleet.kiln.key()
        before = fleet.counts()
        f()
        after = fleet.counts()
        said[what] = {k: after[k] - before[k] for k in after}
    return said


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--builds", type=int, default=24)
    p.add_argument("--workers", default="1,2,4")
    p.add_argument("--queued", type=int, default=100000)
    p.add_argument("--idle", type=int, default=20)
    p.add_argument("--no-queue", action="store_true")
    args = p.parse_args()
    counts = [int(n) for n in args.workers.split(",")]
    if not args.no_queue:
        measure_queue(args.queued)
    with contextlib.ExitStack() as stack:
        fleet = Fleet(stack)
        fleet.queue(2 * max(counts))  # every worker has its bases then
        workers = fleet.start_workers(max(counts))
        wait_until("all are built", lambda: not {1, 2} & set(fleet.phases()), 600, 0.5)
        for w in workers:
            w.stop()
        api = measure_api(fleet)
        rates = fleet.idle(args.idle, max(counts))
        rounds = {n: fleet.round(n, args.builds, rates) for n in counts}
        failed = fleet.phases()
    print("\n## Workers")
    table(["workers", "builds a minute", "times one worker", "cores busy, of " + str(os.cpu_count())],
          [[n, r["builds a minute"], r["builds a minute"] / rounds[counts[0]]["builds a minute"],
            r["cores busy"]] for n, r in rounds.items()])
    print("\n## What a build costs: processor seconds")
    table(["workers", *rounds[counts[0]]["used"]],
          [[n, *(float(v) for v in r["used"].values())] for n, r in rounds.items()])
    print("\n## What it asks for")
    keys = list(rates[0])
    table(["", *keys],
          [*[[f"a build, {n} workers", *(r["each"][k] for k in keys)] for n, r in rounds.items()],
           *[[what, *(float(c[k]) for k in keys)] for what, c in api.items()],
           ["a second of kiln serve, idle", *(rates[0][k] for k in keys)],
           ["a second of a worker, idle", *(rates[1][k] for k in keys)]])
    print("\n## Its most frequent statements")
    table(["a build", "statement"], [[n, f"`{q}`"] for q, n in sorted(
        rounds[counts[-1]]["calls"].items(), key=lambda item: -item[1])[:12]])
    print(f"\nEnds of builds: {json.dumps(failed)} (3: succeeded); load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
