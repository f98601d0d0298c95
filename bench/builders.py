#!/usr/bin/env python3
"""From the end of an upload to an image in a registry: Kiln beside BuildKit and buildah.

    bench/builders.py [RUNS] [SCENARIO]...      (default 5, all; as root; $KILN: default build/release)

Each contender gets the same ZIP archive and pushes to the same docker-registry:

    kiln      `kiln serve`, an agent uploaded over HTTP; the build's own times, uploaded to finished
    buildkit  unzip, `docker build` by Debian's dockerd (its BuildKit), docker push
    buildah   unzip, `buildah build --layers` in chroot isolation, buildah push: one store

The base images were fetched by each before.  What Kiln does besides is counted: the jail, the
queue, the question whether the base is still current (the others do not ask), reading the image
back, the log.  The contenders take turns in every round, and the order changes, so that what else
the machine does strikes all; the figures are medians, "cpu" is user and system time of everything
that a contender started, without the registry.  A ratio is Kiln's median by the other's.
Without dockerd it compares with buildah alone.
"""
import concurrent.futures
import os
import pathlib
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("KILN", str(SOURCE / "build/release/programs/kiln"))
sys.path.insert(0, str(SOURCE / "tests/e2e"))
import kiln_server  # noqa: E402
from kiln_server import Bases, Kiln, Process, Registry, wait_until  # noqa: E402

DOCKERFILE = """FROM {base}
WORKDIR /app-{world}
COPY package.json ./
RUN cp package.json lock.json
COPY . .
RUN ls | wc -l > count.txt
CMD ["/bin/sh"]
"""


def run(words, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, f"{words}:\n{done.stdout[-3000:]}"


class Project:
    """Files that compress about as source code does.  Two of different worlds share no step."""

    def __init__(self, n_files, world):
        self.world, self.generator = world, random.Random(world)
        self.words = [self.generator.randbytes(4).hex() for _ in range(200)]
        self.files = {f"src/{i % 100}/f{i}.js": self.text(8000) for i in range(n_files)}

    def text(self, size):
        return " ".join(self.generator.choices(self.words, k=size // 9))

    def edit(self):
        self.files[next(iter(self.files))] = self.text(8000)

    def move(self, world):
        """To where no step is known, with other layers."""
        self.world = world
        self.edit()

    def dockerfile(self, base):
        return DOCKERFILE.format(base=base, world=self.world)

    def write(self, path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("Dockerfile", self.dockerfile("alpine:3.20"))
            archive.writestr("package.json", f'{{"name": "p{self.world}"}}\n')
            for name, content in self.files.items():
                archive.writestr(name, content)


def processor_seconds(pid):
    """Of a process and of all that it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(f) for f in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def own_children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class ByKiln:
    name = "kiln"

    def __init__(self, kiln):
        self.kiln = kiln
        self.db = f"file:{kiln.data}/kiln.db?mode=ro"

    def cpu(self):
        return processor_seconds(self.kiln.serve.popen.pid)

    def build(self, project, archive, name):
        url = self.announce(name)
        answer = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "-T",
                                 str(archive), url], capture_output=True, text=True, check=True)
        assert answer.stdout == "200", answer
        row = wait_until(f"{name} is built", lambda: self.finished(name), 900, 0.05)
        assert row["phase"] == 3, row["message"]
        return (row["finished"] - row["uploaded"]) / 1e9

    def remark(self):
        status = pathlib.Path(f"/proc/{self.kiln.serve.popen.pid}/status").read_text()
        return f"largest so far: {int(status.split('VmHWM:')[1].split()[0]) / 1024:.0f} MiB resident"

    def announce(self, name):
        body = {"metadata": {"name": name}, "spec": {"runtime": {"memory": 2048}}}
        answer = self.kiln.request("PUT", f"/agents/{name}?upload=true", body)
        if answer.status == 404:
            answer = self.kiln.request("POST", "/agents?upload=true", body)
        assert answer.status in (200, 201), answer
        return answer.headers["X-Blaxel-Upload-Url"]

    def newest(self, name):
        db = sqlite3.connect(self.db, uri=True, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            return db.execute("select * from builds where name = ? order by created desc limit 1",
                              (name,)).fetchone()
        finally:
            db.close()

    def finished(self, name):
        row = self.newest(name)
        return row if row and row["finished"] else None

    def show_log(self, name):
        """With the milliseconds since the upload: where the time goes."""
        build = self.newest(name)
        db = sqlite3.connect(self.db, uri=True)
        for line in db.execute("select time, text from log_lines where build = ? order by seq",
                               (build["id"],)):
            print(f"{(line[0] - build['uploaded']) / 1e6:9.1f} ms  {line[1]}")
        print(f"{(build['finished'] - build['uploaded']) / 1e6:9.1f} ms  (finished)")
        db.close()

    def stop(self):
        self.kiln.stop()
        self.kiln.remove()


class ByHand:
    """unzip, build, push.  The archive is unpacked by unzip, as a service would have to do."""

    def __init__(self, work, registry, bases):
        self.work, self.registry = work, registry
        self.base = f"127.0.0.1:{bases.port}/library/alpine:3.20"
        self.tags, self.unzipping = 0, []

    def build(self, project, archive, name):
        self.tags += 1
        context = self.work / name
        image = f"{self.registry}/{self.name}/{name}:{self.tags}"
        started = time.monotonic()
        run(["unzip", "-q", archive, "-d", context])
        self.unzipping.append(time.monotonic() - started)
        (context / "Dockerfile").write_text(project.dockerfile(self.base))
        for command in self.commands(image, context):
            run(command, env=self.environment())
        took = time.monotonic() - started
        shutil.rmtree(context)
        return took

    def remark(self):
        unzipping, self.unzipping = self.unzipping, []
        return f"of which unzip {statistics.median(unzipping):.2f} s"

    def environment(self):
        return os.environ


class ByBuildah(ByHand):
    name = "buildah"

    def __init__(self, work, registry, bases):
        super().__init__(work, registry, bases)
        self.buildah = ["buildah", "--root", work / "root", "--runroot", work / "run",
                        "--storage-driver", "overlay"]

    def cpu(self):
        return own_children_seconds()

    def commands(self, image, context):
        yield [*self.buildah, "build", "--tls-verify=false", "--isolation", "chroot",
               "--layers", "-t", image, context]
        yield [*self.buildah, "push", "--tls-verify=false", image, f"docker://{image}"]

    def stop(self):
        run([*self.buildah, "rm", "--all"])
        run([*self.buildah, "rmi", "--all", "--force"])
        subprocess.run(["umount", self.work / "root/overlay"], stderr=subprocess.DEVNULL)


class ByBuildKit(ByHand):
    name = "buildkit"

    def __init__(self, work, registry, bases):
        super().__init__(work, registry, bases)
        self.docker = ["/usr/bin/docker", "--host", f"unix://{work}/sock"]
        self.daemon = Process(
            ["dockerd", "--iptables=false", "--bridge=none", "--data-root", work / "data",
             "--exec-root", work / "exec", "--pidfile", work / "pid",
             "--host", f"unix://{work}/sock"], work / "log")
        wait_until("dockerd answers", self.answers, 60)

    def answers(self):
        assert self.daemon.popen.poll() is None, self.daemon.text()[-2000:]
        return subprocess.run([*self.docker, "version"], capture_output=True).returncode == 0

    def environment(self):
        return {**os.environ, "DOCKER_BUILDKIT": "1"}

    def cpu(self):
        pid = self.daemon.popen.pid
        return own_children_seconds() + sum(
            processor_seconds(p) for p in (pid, *children_of(pid)))

    def commands(self, image, context):
        yield [*self.docker, "build", "--network=none", "--quiet", "-t", image, context]
        yield [*self.docker, "push", "--quiet", image]

    def stop(self):
        self.daemon.stop()


class Bench:
    def __init__(self, contenders, work, runs):
        self.contenders, self.work, self.runs = contenders, work, runs
        self.worlds = 0

    def project(self, n_files=500):
        self.worlds += 1
        return Project(n_files, self.worlds)

    def archive(self, project, name):
        path = self.work / f"{name}.zip"
        project.write(path)
        return path

    def measure(self, contender, act):
        """(seconds as act tells them, processor seconds)"""
        os.sync()  # what ran before must not be paid for here
        before = contender.cpu()
        took = act(contender)
        time.sleep(0.5)  # what is tidied up afterwards counts
        return took, contender.cpu() - before

    def rounds(self, title, prepare, act, without=None):
        """prepare(round) before each; act(contender) is measured."""
        contenders = [c for c in self.contenders if c.name != without]
        figures = {c.name: [] for c in contenders}
        for i in range(self.runs):
            prepare(i)
            turn = i % len(contenders)
            for c in contenders[turn:] + contenders[:turn]:
                self.keep(title, c, act, figures[c.name])
        self.show(title, figures)

    def keep(self, title, contender, act, figures):
        """A failure of another's is told and left out; a failure of Kiln's ends the bench."""
        try:
            figures.append(self.measure(contender, act))
            print(f"{title}: {contender.name} {figures[-1][0]:.2f} s", file=sys.stderr, flush=True)
        except AssertionError as failure:
            if contender.name == "kiln":
                raise
            print(f"{title:26} {contender.name:9} failed: {str(failure)[-200:]!r}", flush=True)

    def show(self, title, figures):
        medians = {name: [statistics.median(column) for column in zip(*rows)]
                   for name, rows in figures.items() if rows}
        kiln = medians["kiln"]
        for name, (took, cpu) in medians.items():
            spread = [row[0] for row in figures[name]]
            print(f"{title:26} {name:9} {took:7.2f} s ({min(spread):.2f} to {max(spread):.2f}) "
                  f"cpu {cpu:6.2f} s   kiln/it {kiln[0] / took:5.2f}  cpu {kiln[1] / cpu:5.2f}",
                  flush=True)
        for c in self.contenders:
            if figures.get(c.name):
                print(f"{'':26} {c.name:9} {c.remark()}", flush=True)

    # ---- scenarios ----

    def no_change(self):
        project = self.project()
        archive = self.archive(project, "same")
        for c in self.contenders:
            c.build(project, archive, "same")
        self.rounds("no change", lambda i: None, lambda c: c.build(project, archive, "same"))

    def new_name(self):
        """Every step is cached, but nothing of that name was built before."""
        project = self.project()
        archive = self.archive(project, "known")
        for c in self.contenders:
            c.build(project, archive, "known")
        name = {}
        self.rounds("no change, a new name", lambda i: name.update(now=f"known-{i}"),
                    lambda c: c.build(project, archive, name["now"]))

    def one_file(self):
        project = self.project()
        archive = self.archive(project, "edited")
        for c in self.contenders:
            c.build(project, archive, "edited")

        def edit(i):
            project.edit()
            project.write(archive)

        self.rounds("one file changed", edit, lambda c: c.build(project, archive, "edited"))

    def cold(self, title="cold", n_files=500):
        now = {"project": self.project(n_files)}

        def another(i):
            self.worlds += 1
            name = f"cold-{self.worlds}"
            now["project"].move(self.worlds)
            now.update(name=name, archive=self.archive(now["project"], name))

        self.rounds(title, another, lambda c: c.build(now["project"], now["archive"], now["name"]))

    def large(self):
        self.cold("20,000 files, 160 MB", 20000)

    def eight(self):
        """From the first upload to the end of the last build; each from nothing.  Without BuildKit,
        which has no aim here, and of which one in a few fails (docker.io 20.10)."""
        now = {}

        def another(i):
            now["projects"] = [self.project() for _ in range(8)]
            now["archives"] = [self.archive(p, f"eight-{p.world}") for p in now["projects"]]

        def all_at_once(c):
            started = time.time()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                names = [f"eight-{p.world}" for p in now["projects"]]
                list(pool.map(c.build, now["projects"], now["archives"], names))
            if c.name == "kiln":  # by its own clock, not by when it was asked
                return max(c.newest(n)["finished"] for n in names) / 1e9 - started
            return time.time() - started

        self.rounds("8 at once, each cold", another, all_at_once, without="buildkit")


SCENARIOS = {"no-change": Bench.no_change, "new-name": Bench.new_name, "one-file": Bench.one_file,
             "cold": Bench.cold, "large": Bench.large, "eight": Bench.eight}


def start(work):
    """The contenders that this machine has, Kiln first."""
    bases = Bases(kiln_server.KEEP / "bases")
    yield bases.stop, None
    registry = Registry(work / "registry")  # wants no tokens, as the others bring none
    yield registry.stop, None
    address = f"127.0.0.1:{registry.port}"
    kiln = Kiln(bases, workers=8, options=("--registry-url", f"http://{address}"))
    contender = ByKiln(kiln)
    yield contender.stop, contender
    kiln.start()
    for kind in (ByBuildKit, ByBuildah):
        directory = work / kind.name
        directory.mkdir()
        if kind is ByBuildKit and not shutil.which("dockerd"):
            print("no dockerd: apt-get install docker.io; compared with buildah alone")
            continue
        contender = kind(directory, address, bases)
        yield contender.stop, contender


def main():
    words = sys.argv[1:]
    runs = int(words.pop(0)) if words and words[0].isdigit() else 5
    kiln_server.KEEP = SOURCE / "build/e2e"
    kiln_server.KEEP.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="kiln-bench-"))
    ends, contenders = [], []
    try:
        for end, contender in start(work):
            ends.append(end)
            contenders += [contender] if contender else []
        bench = Bench(contenders, work, runs)
        for word in words or SCENARIOS:
            SCENARIOS[word](bench)
        if os.environ.get("SHOW_LOG"):
            contenders[0].show_log(os.environ["SHOW_LOG"])
    finally:
        for end in reversed(ends):
            end()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
