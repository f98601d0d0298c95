"""A real `kiln serve`, with a worker beside it, under requests that are nearly right, then under many
that are, then under builds: nothing answers 500, crashes, hangs or leaks, and memory stays flat.

    tests/soak/malformed_requests.py --malformed 20000 --requests 10000 --builds 100 --seed 7 [--postgres]

The same seed makes the same requests.  Resident memory (RSS), and the part of it that is the process's
own (PSS), are shown of both processes as it goes.  With $KILN of a build with ASan memory is not
judged; what it reports, leaks at the end among it, fails the run.
"""
import argparse
import collections
import contextlib
import http.client
import os
import pathlib
import queue
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import answers  # noqa: E402
import kiln_server  # noqa: E402
import mutate  # noqa: E402
from kiln_server import Bases, Kiln, wait_until, zip_of  # noqa: E402
from own_cluster import OwnCluster  # noqa: E402

CLIENTS = 8
PATIENCE = 60  # seconds for an answer: the machine may be busy
WARM = 0.3  # of a phase: what was allocated by then is not counted as growth
REQUESTS_KB = 1024  # by which memory may grow after that, over all requests…
BUILDS_KB = 3072  # …and all builds
# What is tried is what becomes of requests, not how many are taken.
LIMITS = ("key_rate", "workspace_rate", "address_rate", "address_connections_max", "failed_logins_max")
WITHOUT = {"/v0/{kind}/{name}/build-logs"}  # follows, if it is asked to


class Process:
    """What is measured of one."""

    def __init__(self, name, pid):
        self.name, self.pid = name, pid
        self.sanitized = "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text() or b"__asan_init" in (
            pathlib.Path(f"/proc/{pid}/exe").read_bytes())

    def memory(self):
        """RSS and PSS in kB."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return tuple(int(re.search(rf"(?m)^{key}: +(\d+)", text)[1]) for key in ("Rss", "Pss"))

    def handles(self):
        """Open descriptors, and threads."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return (len(list(pathlib.Path(f"/proc/{self.pid}/fd").iterdir())),
                int(re.search(r"Threads:\s+(\d+)", status)[1]))


class Soak:
    def __init__(self, kiln, worker, seed):
        self.kiln, self.seed = kiln, seed
        self.processes = [Process("serve", kiln.serve.popen.pid), Process("worker", worker.popen.pid)]
        self.statuses = collections.Counter()
        self.wrong = []
        self.account = self.account_key().encode()
        self.key = kiln.key().encode()
        self.url = self.old = b"/"

    def account_key(self):
        """It opens everything, so that as much as can be is reached."""
        kiln = self.kiln
        kiln.run("account", "create", "wheel", "--data-dir", kiln.data)
        kiln.run("workspace", "create", kiln_server.WORKSPACE, "--account", "wheel", "--data-dir", kiln.data)
        return kiln.run("key", "create", "--account", "wheel", "--data-dir", kiln.data).stdout.strip()

    # ---- what is watched ----

    def alive(self):
        for process in self.kiln.processes:
            assert process.popen.poll() is None, f"it ended with {process.popen.returncode}:\n" + (
                process.text()[-6000:])

    def show(self, phase, done):
        sizes = []
        for p in self.processes:
            rss, pss = p.memory()
            fds, threads = p.handles()
            sizes.append(f"{p.name}: rss {rss:6} pss {pss:6} kB, {fds:3} fds, {threads:2} threads")
        print(f"{phase:9} {done:6}   " + "   ".join(sizes), flush=True)

    def judge_growth(self, phase, samples, allowed):
        """samples: for each moment, the memory of each process."""
        warm = samples[int(len(samples) * WARM)]
        for i, p in enumerate(self.processes):
            grown = [samples[-1][i][k] - warm[i][k] for k in (0, 1)]
            print(f"{phase}: {p.name} grew by {grown[0]} kB (rss), {grown[1]} kB (pss) after warming up")
            assert p.sanitized or min(grown) <= allowed, (
                f"{p.name} grew by {grown} kB in {phase}, {allowed} are allowed: "
                f"{[s[i] for s in samples]}")

    def settle(self, before):
        """Descriptors and threads of connections go when these do."""
        def back():
            return all(now[k] <= then[k] for now, then in zip(
                (p.handles() for p in self.processes), before) for k in (0, 1))
        wait_until("descriptors and threads are as many as before", back, 90)

    # ---- phases ----

    def fill(self, raw):
        return (raw.replace(b"@KEY@", self.key).replace(b"@ACCOUNT@", self.account)
                .replace(b"@URL@", self.url).replace(b"@OLD@", self.old))

    def new_url(self):
        """For an upload that is waited for; the one before it will do for one that is over."""
        answer = self.kiln.request("POST", "/images?upload=true", {"name": "soak", "resourceType": "job"})
        assert answer.status in (200, 201), answer
        path = re.sub(r"^https?://[^/]+", "", answer.headers["X-Blaxel-Upload-Url"])
        self.old, self.url = self.url, path.encode()

    def one(self, request):
        try:
            got = answers.send(self.kiln.port, request, PATIENCE)
        except (OSError, answers.Wrong) as error:
            self.wrong.append((request, repr(error)))
            return
        for status, _ in got:
            self.statuses[status] += 1
            if status >= 500 and status not in (501, 505):
                self.wrong.append((request, f"HTTP {got}"))
        if not got:
            self.statuses["none"] += 1

    def in_threads(self, jobs):
        todo = queue.SimpleQueue()
        for job in jobs:
            todo.put(job)

        def work():
            with contextlib.suppress(queue.Empty):
                while True:
                    todo.get_nowait()()
        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def judge_wrong(self):
        for request, why in self.wrong[:10]:
            print(f"---- {request.what}, {request.way}: {why}\n{request.data[:2000]!r}")
        assert not self.wrong, f"{len(self.wrong)} requests went wrong"

    def malformed(self, count):
        whole = mutate.whole(self.kiln.get("/openapi.json").json, WITHOUT)
        assert len(whole) > 60, whole
        for kind in ("sandboxes", "agents", "jobs"):
            self.kiln.request("POST", f"/{kind}", {"metadata": {"name": "demo"}})
        self.new_url()
        before = [p.handles() for p in self.processes]
        mutation = mutate.Mutation(self.seed, mutate.corpus(), whole)
        step = max(count // 10, 1)
        for done in range(0, count, step):
            self.new_url()
            requests = [mutation.next() for _ in range(min(step, count - done))]
            for request in requests:
                request.data = self.fill(request.data)
            self.in_threads([lambda r=r: self.one(r) for r in requests])
            self.alive()
            assert self.kiln.is_ready(), "it does not answer any more"
            self.show("malformed", done + len(requests))
            self.judge_wrong()
        self.settle(before)
        print("answers:", dict(sorted(self.statuses.items(), key=str)))

    def requests(self, count):
        """Many that are right, on connections that stay open."""
        paths = ["/sandboxes", "/sandboxes/soaked", "/images", "/builds?limit=5", "/volumes", "/openapi.json",
                 "/sandboxes/none", "/observability/logs?workloadIds=soaked&resourceType=sandboxes"]
        answer = self.kiln.request("POST", "/sandboxes", {"metadata": {"name": "soaked"}})
        assert answer.status in (200, 201, 409), answer
        before = [p.handles() for p in self.processes]
        samples, step = [], max(count // 20, CLIENTS)

        def ask(n):
            connection = http.client.HTTPConnection("127.0.0.1", self.kiln.port, timeout=PATIENCE)
            with contextlib.closing(connection):
                for i in range(n):
                    body = b'{"metadata":{"name":"soaked"},"spec":{"runtime":{"memory":%d}}}' % (i + 1)
                    put = i % 10 == 9
                    connection.request(
                        "PUT" if put else "GET", "/v0/sandboxes/soaked" if put else
                        "/v0" + paths[i % len(paths)], body if put else None,
                        {"Authorization": "Bearer " + self.key.decode(),
                         "Content-Type": "application/json"})
                    got = connection.getresponse()
                    got.read()
                    if got.status >= 500 or (put and got.status != 200):
                        self.wrong.append((answers, f"HTTP {got.status}"))
                    self.statuses[got.status] += 1

        for done in range(0, count, step):
            self.in_threads([lambda: ask(step // CLIENTS) for _ in range(CLIENTS)])
            self.alive()
            samples.append([p.memory() for p in self.processes])
            self.show("requests", done + step)
        assert not self.wrong, self.wrong[:3]
        self.settle(before)
        self.judge_growth("requests", samples, REQUESTS_KB)

    def builds(self, count):
        samples, step = [], max(count // 20, 1)
        before = [p.handles() for p in self.processes]
        for done in range(count):
            name = f"built-{done % 4}"
            self.kiln.submit(name, zip_of({
                "Dockerfile": "FROM alpine:3.20\nCOPY token /\nRUN cat /token\n", "token": f"{done}"}))
            status = self.kiln.wait_for_end(name, 300, 0.2)
            assert status == "DEPLOYED", (status, self.kiln.log_lines(name))
            if (done + 1) % step == 0:
                samples.append([p.memory() for p in self.processes])
                self.show("builds", done + 1)
        self.alive()
        self.settle([tuple(n + 2 for n in handles) for handles in before])
        self.judge_growth("builds", samples, BUILDS_KB)


@contextlib.contextmanager
def postgres():
    """A server that every Kiln keeps its state on."""
    cluster = OwnCluster()
    os.environ["KILN_DATABASE"] = cluster.url
    try:
        yield
    finally:
        cluster.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keep", nargs="?", help="a directory for base images")
    parser.add_argument("--malformed", type=int, default=600, help="requests that are not right")
    parser.add_argument("--requests", type=int, default=0, help="requests that are")
    parser.add_argument("--builds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="keep the state on PostgreSQL")
    args = parser.parse_args()
    if args.keep:
        kiln_server.KEEP = pathlib.Path(args.keep).resolve()
        kiln_server.KEEP.mkdir(parents=True, exist_ok=True)

    with postgres() if args.postgres else contextlib.nullcontext():
        run(args)


def run(args):
    bases = Bases(kiln_server.KEEP / "bases")
    kiln = Kiln(bases, workers=0, options=["--upload-max", "1MiB"])
    keys = {line.split()[0] for line in kiln.run("config").stdout.splitlines() if line}
    for key in keys.intersection(LIMITS):
        kiln.options += [f"--{key.replace('_', '-')}", "0"]
    try:
        kiln.start()
        worker = kiln.spawn("worker", *kiln.common(), "--workers", 2)
        wait_until("the worker lives", lambda: "ready" in worker.text() or worker.popen.poll() is None)
        time.sleep(1)
        soak = Soak(kiln, worker, args.seed)
        for phase in ("malformed", "requests", "builds"):
            if getattr(args, phase):
                getattr(soak, phase)(getattr(args, phase))
        for process in reversed(kiln.processes):
            code = process.stop()
            assert code == 0, f"exit code {code}:\n{process.text()[-6000:]}"
            assert "Sanitizer" not in process.text(), process.text()[-6000:]
        print("ok")
    except BaseException:
        for process in kiln.processes:
            print(f"---- {process.log} ----\n{process.text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        kiln.remove()
        bases.stop()


if __name__ == "__main__":
    main()
