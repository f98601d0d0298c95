"""Five workspaces upload to a Kiln of eight hosts while workers are killed, the network is cut, servers are
restarted and disks fill: every accepted upload ends right and once, and nothing stays behind.

    python3 -B tests/chaos/a_fleet_under_faults.py --uploads 300 --seed 7

The hosts (a front, three workers, PostgreSQL, S3, a registry, and one with base images) are namespaces
with addresses of their own (fleet.py), set up by the example in docs/operations.md (fleet_kiln.py).
fleet_work.py says what is uploaded and how it must end, fleet_faults.py what is done meanwhile.  The same
seed gives the same uploads and faults; what these hit depends on the moment.  Every line tells its time,
what happened and to whom; after a failure the last words of all concerned follow, and --keep-logs DIR
leaves everything that was said.  Needs root.
"""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import fleet  # noqa: E402
import kiln_server  # noqa: E402
from fleet_faults import Faults  # noqa: E402
from fleet_kiln import BUCKET, DRAIN_SECONDS, HOOK_PORT, WORKERS, Fleet  # noqa: E402
from fleet_work import WORKSPACES, ImageProject, Receiver, Work  # noqa: E402
from kiln_server import Bases, Watching, wait_until  # noqa: E402

HOUR_AND_MORE = 4000  # seconds, for what is swept by its age
PHASES = ("UPLOADING", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")


class Chaos:
    def __init__(self, options, directory):
        self.options, self.begun = options, time.monotonic()
        self.fleet = Fleet(directory, options.keep, options.disk_mib)
        self.work = Work(self.fleet.kiln, options, self.tell)
        self.receiver = Receiver(options.seed, (self.fleet.clients.address, HOOK_PORT))
        self.groups = set()  # directories of control groups that jobs had
        self.wrong = []

    def tell(self, what, whom):
        print(f"{time.monotonic() - self.begun:8.1f} s  {what:<10} {whom}", flush=True)

    def check(self, problems):
        problems = list(problems)
        self.wrong += problems
        for problem in problems:
            self.tell("WRONG", problem)

    def look(self):
        """Control groups are named in the jobs' directories, while these are there."""
        for name in WORKERS:
            with contextlib.suppress(OSError):
                for listed in (self.fleet.hosts[name].disk / "kiln/builder/jobs").glob("*/groups"):
                    self.groups.update(listed.read_text().split())

    # ---- the run ----

    def run(self):
        self.fleet.start(self.options.keep / "bases/data")
        for workspace in WORKSPACES:
            self.fleet.kiln.key(workspace)
        self.tell("ready", "front, workers, postgres, s3 and registry")
        with Watching(self.look, every=0.2):
            with Faults(self.fleet, self.options, self.tell) as faults:
                self.work.run()
            self.fleet.heal()
            self.tell("worked", f"{self.work.ended} uploads have ended; done to the fleet: "
                                + ", ".join(f"{n} × {kind}" for kind, n in faults.counts.most_common()))
            self.check(faults.problems)
            self.check_results()
            self.end()
        self.check_leftovers()
        self.check(crash for s in self.fleet.kilns for crash in s.crashes)
        self.report(faults)

    # ---- what came of the uploads ----

    def check_results(self):
        rows = self.fleet.postgres.query(
            "select id, workspace, type, name, purpose, phase, attempts, tag, digest, fault, message, "
            "uploaded, started, finished, worker from builds")
        self.builds = {row["id"]: row for row in rows}
        for project in self.work.projects:
            self.check(project.faults(self.builds))
            self.check(project.results(self.builds))
        accepted = {u.build for p in self.work.projects for u in p.uploads}
        self.check(f"build {r['id']} of {r['workspace']}/{r['name']} is {PHASES[r['phase']]}, and "
                   f"nobody knows of it: {r['message']}" for r in rows
                   if r["id"] not in accepted and r["phase"] != 5 and r["purpose"] < 3)
        self.check_events()
        self.check_webhooks()
        self.check_queue()
        self.check_revisions()

    def check_events(self):
        """Each build tells all that it has to tell, in that order and once."""
        told = {}
        for row in self.fleet.postgres.query("select build, kind, time from events order by id"):
            told.setdefault(row["build"], []).append(row)
        for upload in (u for p in self.work.projects for u in p.uploads):
            events = told.get(upload.build, [])
            kinds = tuple(e["kind"].removeprefix("ai.blaxel.controlplane.") for e in events)
            times = [e["time"] for e in events]
            if kinds != upload.project.events or times != sorted(times):
                self.check([f"{upload}: its events are {events}"])

    def check_webhooks(self):
        wanted = {u.build: u for p in self.work.projects if isinstance(p, ImageProject)
                  for u in p.uploads}
        wait_until("the cluster was told of everything", lambda: {
            b["data"]["build"] for b in list(self.receiver.messages.values())} >= set(wanted), 120)
        for number, body in self.receiver.messages.items():
            build = body["data"]["build"]
            upload = wanted.pop(build, None)
            if not upload:
                self.check([f"message {number}: build {build} was told twice, or was none"])
            elif body["data"]["status"] != upload.status:
                self.check([f"message {number}: {upload} is told as {body['data']['status']}"])

    def check_queue(self):
        query = self.fleet.postgres.query
        self.check(f"a build is {PHASES[r['phase']]} yet: {r}" for r in query(
            "select id, workspace, name, phase, worker from builds where phase < 3"))
        self.check(f"a lock stays: {r}" for r in query(
            "select l.pid, l.mode, a.state, a.query from pg_locks l join pg_stat_activity a using (pid) "
            "where l.locktype = 'advisory' and a.state <> 'active'"))
        self.check(f"a transaction stays open: {r}" for r in query(
            "select pid, state, query from pg_stat_activity where state like 'idle in transaction%' "
            "and now() - state_change > interval '20 seconds'"))
        self.check(f"a webhook waits: {r}" for r in query(
            "select id, build, attempts, answer from webhook_messages where delivered = 0"))

    def check_revisions(self):
        for workspace in WORKSPACES:
            done = self.fleet.kiln_on("worker-1", "template", "verify", "--images", "--json",
                                      "--workspace", workspace, check=False)
            if done.returncode or '"whole":true' not in done.stdout.replace(" ", ""):
                self.check([f"the templates of {workspace}: {done.stdout}{done.stderr}"])

    # ---- what stays ----

    def end(self):
        """Every worker starts once more, which sweeps, and is drained; then all stop."""
        for name in WORKERS:
            service = self.fleet.services[name]
            service.stop(DRAIN_SECONDS)
        self.fleet.s3_faults({"later": HOUR_AND_MORE, "count": 10**9})
        for name in WORKERS:
            self.fleet.services[name].start()
        with contextlib.suppress(AssertionError):  # check_leftovers tells
            wait_until("the workers have swept", lambda: not list(self.directories()), 60)
        for workspace in WORKSPACES:
            for _ in range(2):
                self.check(self.said_on_failure("template", "gc", "--workspace", workspace))
        self.check_bucket()
        for name in (*WORKERS, "front"):
            end = self.fleet.services[name].stop(DRAIN_SECONDS)
            if not end or end[0] != 0:
                self.check([f"{name} ended with {end} at the end"])

    def said_on_failure(self, *words):
        done = self.fleet.kiln_on("worker-2", *words, check=False)
        return [f"kiln {' '.join(words)}: {done.stdout}{done.stderr}"] if done.returncode else []

    def check_bucket(self):
        client = self.fleet.s3.client()
        with contextlib.suppress(AssertionError):
            wait_until("uploads are swept", lambda: not [
                k for k in self.fleet.s3.keys(BUCKET) if k.startswith("uploads/")], 30)
        keys = self.fleet.s3.keys(BUCKET)
        stay = r"templates/[a-z]+/(format|secret|packs/.*|revisions/.*|templates/.*)"
        self.check(f"in the bucket: {k}" for k in keys if not re.fullmatch(stay, k))
        parts = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        self.check(f"in the bucket, begun and never ended: {u['Key']}" for u in parts)
        self.keys = keys

    def directories(self):
        """What jobs, uploads and reads from the store leave on a disk."""
        for name in ("front", *WORKERS):
            data = self.fleet.hosts[name].disk / "kiln"
            for parent in (*data.glob("builder/jobs"), *data.glob("builder/cache/*/tmp"),
                           *data.glob("uploads"), *data.glob("templates/.lent")):
                yield from (str(p) for p in parent.iterdir() if p.name != ".incoming")
            yield from (str(p) for p in data.glob("builder/probe-*"))
            yield from (str(p) for p in data.glob("uploads/.incoming/*"))

    def check_leftovers(self):
        for service in self.fleet.services.values():
            if service not in self.fleet.kilns:
                service.stop(20, signal.SIGINT if service.name == "postgres" else signal.SIGTERM)
        self.check(f"process {pid}: {words}" for pid, words in fleet.processes().items())
        disks = [str(h.disk) for h in self.fleet.hosts.values()]
        self.check(f"mount: {line}" for line in pathlib.Path("/proc/self/mountinfo").read_text()
                   .splitlines() if any(d in line for d in disks) and line.split()[4] not in disks)
        self.check(f"network namespace: {line}" for line in pathlib.Path("/proc/self/mountinfo")
                   .read_text().splitlines() if " - nsfs " in line and str(self.fleet.directory) in line)
        self.check(f"on the disk: {path}" for path in self.directories())
        self.check(f"control group {g}" for g in self.groups if os.path.exists(g))

    # ---- what is told in the end ----

    def report(self, faults):
        rows = list(self.builds.values())
        print(f"\n{'workspace':<12}{'builds':>7}{'tries':>7}{'median wait':>13}{'9 in 10':>9}{'longest':>9}"
              "   (s in the queue, to the first start)")
        for workspace in WORKSPACES:
            mine = [r for r in rows if r["workspace"] == workspace and r["uploaded"] and r["started"]]
            waits = sorted((r["started"] - r["uploaded"]) / 1e9 for r in mine)
            if waits:
                print(f"{workspace:<12}{len(mine):>7}{sum(r['attempts'] for r in mine):>7}"
                      f"{statistics.median(waits):>13.1f}{waits[int(len(waits) * .9)]:>9.1f}"
                      f"{waits[-1]:>9.1f}")
        tries = sum(r["attempts"] for r in rows)
        if faults.drains:
            held = sum(d[1] or 0 for d in faults.drains)
            print(f"\n{len(faults.drains)} drains, the longest of {max(d[0] for d in faults.drains):.1f} "
                  f"s; {held} builds were not handed back and waited for their leases")
        print(f"{len(self.groups)} control groups seen; webhooks: {len(self.receiver.messages)} messages, "
              f"{self.receiver.refused} refused, {self.receiver.again} came again; "
              f"{len(self.keys)} objects in the bucket")
        print(f"seed {self.options.seed}: {self.work.accepted} uploads accepted, "
              f"{sum(r['phase'] == 3 for r in rows)} succeeded and {sum(r['phase'] == 4 for r in rows)} "
              f"failed as they must, in {tries} tries, {max(r['attempts'] for r in rows)} at most of one "
              f"build, {sum(faults.counts.values())} faults and "
              f"{time.monotonic() - self.begun:.0f} s")
        assert not self.wrong, f"{len(self.wrong)} things are wrong:\n" + "\n".join(self.wrong)

    def last_words(self):
        builds = set(re.findall(r"\b[0-9a-f]{32}\b", "\n".join(self.wrong)))
        builds |= {u.build for u in self.work.unended()}
        for service in self.fleet.services.values():
            lines = service.text().splitlines()
            about = [line for line in lines if any(b in line for b in builds)]
            print(f"---- {service.name}: its last lines, and of the builds that went wrong ----",
                  *lines[-25:], "....", *about[-60:], sep="\n", file=sys.stderr)
        for build in sorted(builds):
            with contextlib.suppress(Exception):
                row = self.fleet.postgres.query(f"select * from builds where id = '{build}'")
                log = self.fleet.postgres.query(
                    f"select seq, text from log_lines where build = '{build}' order by seq")
                print(f"---- build {build} ----", row, *(r["text"] for r in log[-40:]), sep="\n",
                      file=sys.stderr)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keep", nargs="?", type=pathlib.Path, default=kiln_server.KEEP,
                        help="where base images and moto are kept between runs")
    parser.add_argument("--uploads", type=int, default=300, help="of all workspaces together")
    parser.add_argument("--at-once", type=int, default=15, help="uploads on their way at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=3, help="seconds between faults, on average")
    parser.add_argument("--longest", type=float, default=20,
                        help="seconds that a cut or a full disk lasts at most; leases are of 8")
    parser.add_argument("--patience", type=float, default=300,
                        help="seconds without any progress after which what has not ended is lost")
    parser.add_argument("--disk-mib", type=int, default=700, help="the size of a worker's disk")
    parser.add_argument("--every", type=float, default=10, help="seconds between lines of progress")
    parser.add_argument("--keep-logs", type=pathlib.Path, help="leave the logs of all services there")
    options = parser.parse_args()
    options.keep = options.keep.resolve()
    return options


def main():
    options = arguments()
    if not os.environ.get(fleet.INSIDE):
        # What has to be fetched or made is so before the world is left behind.
        kiln_server.KEEP = options.keep
        options.keep.mkdir(parents=True, exist_ok=True)
        sys.path.insert(0, str(kiln_server.SOURCE / "tests/objects"))
        import s3_server  # pylint: disable=import-outside-toplevel
        s3_server.packages(options.keep)
        Bases(options.keep / "bases").stop()
        fleet.enter()
    kiln_server.PATIENCE = 15
    sys.stdout.reconfigure(line_buffering=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kiln-fleet-", dir="/var/tmp"))
    chaos = None
    try:
        chaos = Chaos(options, directory)
        chaos.run()
    except BaseException:
        if chaos:
            chaos.last_words()
        raise
    finally:
        if chaos:
            chaos.fleet.end()
            if options.keep_logs:
                shutil.copytree(directory / "logs", options.keep_logs, dirs_exist_ok=True)
        for disk in reversed(list((directory / "disks").glob("*"))):
            if disk.is_mount():
                fleet.run("umount", "--lazy", disk, check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
