#!/usr/bin/env python3
"""What the cache in the registry gains a worker with an empty disk, and what it costs the one that
fills it: bench/cache_export.py [ROUNDS].  $KILN is the program, build/release/programs/kiln without.

Each round builds one project with `kiln build`, each time with a data directory of its own: without
the cache, with it for the first time, once more, and with one file changed."""
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("KILN", str(ROOT / "build/release/programs/kiln"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import kiln_server  # noqa: E402  pylint: disable=wrong-import-position

# 30 MB of dependencies that do not compress, in many files, and some seconds of work on them.
DOCKERFILE = r"""FROM alpine:3.20 AS build
WORKDIR /app
COPY package.json ./
RUN --mount=type=cache,target=/root/.cache \
    mkdir deps; \
    i=0; while [ $i -lt 600 ]; do head -c 50000 /dev/urandom >deps/$i; i=$((i+1)); done; \
    i=0; while [ $i -lt 40 ]; do cat deps/* | sha256sum >>sums; i=$((i+1)); done; \
    head -c 20000000 /dev/urandom >/root/.cache/fetched
COPY src src
RUN cat deps/* src/* | sha256sum >out
FROM alpine:3.20
COPY --from=build /app/deps /app/deps
COPY --from=build /app/out /app/out
"""
WAYS = (("off", "without it"), ("first", "with it, the first worker"),
        ("again", "with it, an empty worker, nothing changed"),
        ("changed", "with it, an empty worker, one file changed"))


def write_project(path, content):
    (path / "src").mkdir(exist_ok=True)
    (path / "Dockerfile").write_text(DOCKERFILE)
    (path / "package.json").write_text("{}\n")
    (path / "src/main.js").write_text(content)


def build(bases, registry, project, way):
    """Seconds of the build, and until all was done."""
    with tempfile.TemporaryDirectory(prefix="kiln-bench-") as data:
        kiln = kiln_server.Kiln(bases)
        began = time.monotonic()
        done = kiln.run("build", project, "--type", "job", "--name", "bench", "--data-dir", data,
                        "--mirrors", kiln.mirrors,
                        "--registry-url", f"http://127.0.0.1:{registry.port}",
                        "--cache-export", "off" if way == "off" else "max")
        wall = time.monotonic() - began
        kiln.remove()
    return float(re.search(r" in ([0-9.]+) s", done.stdout).group(1)), wall


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    kiln_server.KEEP.mkdir(parents=True, exist_ok=True)
    bases = kiln_server.Bases(kiln_server.KEEP / "bases")
    times = {way: [] for way, _ in WAYS}
    try:
        for n in range(rounds):
            with tempfile.TemporaryDirectory(prefix="kiln-bench-") as at:
                project = pathlib.Path(at) / "project"
                project.mkdir()
                registry = kiln_server.Registry(pathlib.Path(at) / "registry")
                try:
                    for way, _ in WAYS:
                        write_project(project, f"{n} {way == 'changed'}")
                        times[way].append(build(bases, registry, project, way))
                finally:
                    registry.stop()
    finally:
        bases.stop()
    for way, title in WAYS:
        print(f"{title:45} build {statistics.median(t[0] for t in times[way]):5.1f} s, "
              f"all {statistics.median(t[1] for t in times[way]):5.1f} s")


if __name__ == "__main__":
    main()
