#!/usr/bin/env python3
"""How fast status polls are answered while builds run: wrk, against `kiln serve`.

    bench/status_polls.py [--rate N] [--builds N] [--seconds N] [--rounds N]

--builds (20) builds run all the time, each of a step that computes and writes; meanwhile wrk (Debian's
package) polls their sandboxes, images and logs, as SDKs and `bl push` do, over 100 connections: first at
--rate (1,000) requests a second in all, then as fast as it can.  Prints the median of the rounds: requests
a second, p50 and p99 of the latency, how many answers were not 200, and the processor time that
`kiln serve` itself took for a request, its builds' logs and heartbeats among it.  $KILN: default
build/release.
"""
import argparse
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading

SOURCE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("KILN", str(SOURCE / "build/release/programs/kiln"))
sys.path.insert(0, str(SOURCE / "tests/e2e"))
import kiln_server  # noqa: E402
from kiln_server import Bases, Kiln, WORKSPACE, wait_until, zip_of  # noqa: E402

CONNECTIONS = 100
SCRIPT = """
local paths, pause, n = {{}}, {pause}, 0
for i = 0, {builds} - 1 do
    for _ = 1, 7 do table.insert(paths, "/v0/sandboxes/poll-" .. i) end
    for _ = 1, 2 do table.insert(paths, "/v0/images/sandbox/poll-" .. i) end
    table.insert(paths, "/v0/observability/logs?resourceType=sandboxes&limit=1000&workloadIds=poll-" .. i)
end
local headers = {{["Authorization"] = "Bearer {key}", ["X-Blaxel-Workspace"] = "{workspace}",
                  ["Blaxel-Version"] = "2026-04-28"}}
function request()
    n = n + 1
    return wrk.format("GET", paths[n % #paths + 1], headers)
end
if pause > 0 then
    function delay() return pause end
end
"""
# Runs for as long as is asked: some processor, some lines, some bytes.
BUILD = """FROM alpine:3.20
RUN i=0; while [ $i -lt {seconds} ]; do i=$((i+1)); echo "line $i of build {number}"; \
head -c 2000000 /dev/urandom | sha256sum >/tmp/sum; sleep 1; done
"""


def own_seconds(pid):
    """Processor time of a process, without its children's."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(kiln, seconds, builds, pause):
    before = own_seconds(kiln.serve.popen.pid)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(pause=pause, builds=builds, key=kiln.key(), workspace=WORKSPACE))
        script.flush()
        said = subprocess.run(
            ["wrk", "--threads", "2", "--connections", str(CONNECTIONS), "--duration",
             f"{seconds}s", "--latency", "--script", script.name, f"http://127.0.0.1:{kiln.port}"],
            check=True, capture_output=True, text=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    served = int(re.search(r"(\d+) requests in", said)[1])
    return {"requests/s": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
            "ms of processor each": 1000 * (own_seconds(kiln.serve.popen.pid) - before) / served,
            **{p: milliseconds(re.search(rf"\s{p[1:]}%\s+(\S+)", said)[1]) for p in ("p50", "p99")},
            "not 200": int(refused[1]) if refused else 0}


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def start_builds(kiln, n, seconds):
    """All of them are seen running before it returns."""
    def one(i):
        kiln.submit(f"poll-{i}", zip_of({"Dockerfile": BUILD.format(seconds=seconds, number=i)}))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wait_until("all builds run", lambda: all(
        any("line 1 of" in line for line in kiln.log_lines(f"poll-{i}")) for i in range(n)), 300, 1)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rate", type=int, default=1000)
    p.add_argument("--builds", type=int, default=20)
    p.add_argument("--seconds", type=int, default=15)
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    results = {"at the rate": [], "as fast as it goes": []}
    with contextlib.ExitStack() as stack:
        bases = Bases(kiln_server.KEEP / "bases")
        stack.callback(bases.stop)
        kiln = Kiln(bases, workers=args.builds,
                    options=("--key-rate", "0", "--workspace-rate", "0"))
        stack.callback(kiln.remove)
        kiln.start()
        start_builds(kiln, args.builds, (2 * args.seconds + 5) * args.rounds + 60)
        for _ in range(args.rounds):
            for what, pause in (("at the rate", 1000 * CONNECTIONS // args.rate),
                                ("as fast as it goes", 0)):
                results[what].append(wrk(kiln, args.seconds, args.builds, pause))
        still = sum(kiln.status(f"poll-{i}") == "BUILDING" for i in range(args.builds))
    for what, rounds in results.items():
        print(what + ":", ", ".join(f"{key} {statistics.median(r[key] for r in rounds):.2f}"
                                    for key in rounds[0]))
    print(f"{still} of {args.builds} builds were still running at the end; "
          f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
