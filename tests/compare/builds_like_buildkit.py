#!/usr/bin/env python3
"""Builds real Dockerfiles and holds the images against what BuildKit makes of them.

    builds_like_buildkit.py [--every N] [--buildkit] [--features DIR] [--only WORDS]

The Dockerfiles are those of shared/conformance/corpus, on the stand-in bases of tests/bases under
the names they ask for; files that they copy are made up.  The corpus has what BuildKit makes of each:
configuration and history are compared with that.  With --buildkit the same Dockerfiles are also
built by Debian's dockerd (as root), and then configuration and files are compared with its image:
mode, owner, size, links and the digest of the content.  --features DIR adds the Dockerfiles of the
features suite, which its tests leave there: KILN_KEEP_FEATURES=DIR .../builder_features_copy_test.

cannot.tsv beside this says which Dockerfiles are not built, and why; explained.tsv which differences
are meant.  Exits with 1 when something differs that is not explained.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import image  # noqa: E402
import kiln_server  # noqa: E402
from kiln_server import Bases, Kiln, Process, wait_until  # noqa: E402

HERE = pathlib.Path(__file__).parent
CORPUS = kiln_server.SOURCE.parent / "shared/conformance/corpus/corpus.jsonl"
STAND_IN = ("library/alpine", "3.20")
BUILD_SECONDS = 120
RESOLVER = "/etc/resolv.conf"
ALWAYS_SAID = ("org.opencontainers.image.", "dev.kiln.")  # labels that Kiln adds
# Of the container's configuration; the rest is of no consequence or of the machine.
MEMBERS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
           "StopSignal", "Healthcheck", "Shell", "OnBuild")


# ---- cases ----

class Case:
    def __init__(self, name, dockerfile, context, expected=None, bases=(), args=()):
        self.name, self.dockerfile, self.expected = name, dockerfile, expected
        self.context = context  # {path: text}; a path that ends in "/" is a directory
        self.bases, self.args = bases, args
        self.folder = None

    def write(self, folder):
        self.folder = folder
        for path, text in {**self.context, "Dockerfile": self.dockerfile}.items():
            at = folder / path
            if path.endswith("/"):
                at.mkdir(parents=True, exist_ok=True)
                continue
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(text)
            at.chmod(0o755 if text.startswith("#!") else 0o644)

    def zip(self):
        path = self.folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for at in sorted(self.folder.rglob("*")):
                add_to_zip(archive, at, str(at.relative_to(self.folder)))
        return path.read_bytes()


def add_to_zip(archive, at, name):
    info = zipfile.ZipInfo(name + ("/" if at.is_dir() and not at.is_symlink() else ""))
    info.create_system = 3
    info.external_attr = os.lstat(at).st_mode << 16
    archive.writestr(info, os.readlink(at) if at.is_symlink()
                     else b"" if at.is_dir() else at.read_bytes())


def sources_of(row):
    """What COPY and ADD take from the context."""
    for stage in row["buildkit"]["instructions"]["stages"]:
        for c in stage.get("commands") or []:
            if not c.get("From"):
                yield from c.get("SourcePaths") or []
            for m in re.findall(r"--mount=type=bind,?(\S*)", str(c.get("_cmd"))):
                yield m


def made_up(source):
    """Files that a source may name."""
    path = re.sub(r"\[([^]])[^]]*\]", r"\1", source).replace("**", "any").replace("*", "any")
    path = os.path.normpath("/" + path.replace("?", "x").replace("\\", "")).lstrip("/")
    if not path or path == "Dockerfile" or "$" in path:
        return {"file": "text of file\n", "folder/inner": "text of inner\n"}
    if source.endswith("/") or ("." not in path.rsplit("/", 1)[-1] and "any" not in path
                                and path.islower() and len(path) < 5):
        return {f"{path}/inner": f"text of {path}/inner\n"}
    return {path: f"#!/bin/sh\necho {path}\n"}


def corpus():
    for line in CORPUS.read_text().splitlines():
        row = json.loads(line)
        built = row["buildkit"].get("build") or {}
        if not built.get("ok"):
            continue
        context = {}
        for source in sources_of(row):
            if not re.match(r"[a-z]+://|git@", source):
                context.update(made_up(source))
        paths = set(context)
        context = {p: t for p, t in context.items()
                   if not any(q.startswith(p + "/") for q in paths)}
        yield Case(row["id"], row["dockerfile"], context, built, built.get("bases") or ())


def features(directory):
    for folder in sorted(pathlib.Path(directory).iterdir()):
        case = Case(f"features/{folder.name}", (folder / "Dockerfile").read_text(), {})
        args = folder / ".env.build"
        case.args = args.read_text().splitlines() if args.exists() else ()
        case.folder = folder
        case.write = lambda to, case=case: copy_case(case, to)
        yield case


def copy_case(case, to):
    shutil.copytree(case.folder, to, symlinks=True)
    case.folder = to


def table(name):
    lines = (HERE / name).read_text().splitlines() if (HERE / name).exists() else []
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


# ---- builders ----

class ByKiln:
    def __init__(self, bases, mirrors):
        self.kiln = Kiln(bases, workers=2, options=["--egress", "none", "--registry-auth", "none"])
        self.kiln.mirrors = " ".join(f"{host}=127.0.0.1:{bases.port},insecure" for host in mirrors)
        self.kiln.start()
        self.kiln.key()

    def build(self, number, case):
        """(the image's configuration, a way to its files), or why there is none."""
        name = f"case-{number}"
        answer = self.kiln.request("POST", "/agents?upload=true", {
            "metadata": {"name": name}, "spec": {"runtime": {"memory": 2048}}})
        assert answer.status in (200, 201), answer
        answer = self.kiln.upload(answer.headers["X-Blaxel-Upload-Url"], case.zip())
        if answer.status != 200:
            return None, str(answer)
        status = wait_until(f"{case.name} ends", lambda: next(
            (s for s in (self.kiln.get(f"/agents/{name}").json["status"],)
             if s in ("DEPLOYED", "FAILED")), None), BUILD_SECONDS, 0.2)
        if status != "DEPLOYED":
            return None, "\n".join(self.kiln.log_lines(name, "agents")[-6:])
        return Built(self.kiln.registry, f"{kiln_server.WORKSPACE}/agent/{name}", "latest"), ""

    def stop(self):
        self.kiln.stop()
        self.kiln.remove()


class ByBuildKit:
    """Debian's dockerd; its images go to the registry that the bases came from."""

    def __init__(self, bases, mirrors, work):
        self.bases, self.registry = bases, f"127.0.0.1:{bases.port}"
        self.mirrors = [m for m in mirrors if m != "docker.io"]
        work.mkdir()
        self.docker = ["/usr/bin/docker", "--host", f"unix://{work}/sock"]
        self.daemon = Process(
            ["dockerd", "--iptables=false", "--bridge=none", "--data-root", work / "data",
             "--exec-root", work / "exec", "--pidfile", work / "pid", "--registry-mirror",
             f"http://{self.registry}", "--host", f"unix://{work}/sock"], work / "log")
        wait_until("dockerd answers", self.answers, 60)

    def answers(self):
        assert self.daemon.popen.poll() is None, self.daemon.text()[-2000:]
        return subprocess.run([*self.docker, "version"], capture_output=True).returncode == 0

    def build(self, number, case):
        text = case.dockerfile
        for mirror in self.mirrors:
            text = text.replace(mirror + "/", f"{self.registry}/")
        # The frontend that the line names would have to be fetched.
        text = re.sub(r"(?m)\A\s*#\s*syntax\s*=.*$", "#", text)
        beside = case.folder.with_suffix(".Dockerfile")
        beside.write_text(text)
        tag = f"{self.registry}/compared/case-{number}:latest"
        args = [w for a in case.args for w in ("--build-arg", a)]
        done = self.run("build", "--network=none", "--quiet", "--no-cache", *args, "-t", tag,
                        "-f", str(beside), str(case.folder))
        if done.returncode != 0:
            return None, done.stdout[-1500:]
        assert self.run("push", "--quiet", tag).returncode == 0
        return Built(self.registry, f"compared/case-{number}", "latest"), ""

    def run(self, *words):
        return subprocess.run([*self.docker, *words], env={**os.environ, "DOCKER_BUILDKIT": "1"},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300,
                              stderr=subprocess.STDOUT, text=True)

    def stop(self):
        self.daemon.stop()


class Built:
    def __init__(self, registry, repository, tag):
        self.registry, self.repository = registry, repository
        self.manifest = image.manifest_of(registry, repository, tag)
        self.document = image.config_of(registry, repository, self.manifest)

    def config(self):
        return plain(self.document.get("config") or {})

    def history(self):
        return [h.get("created_by", "") for h in self.document.get("history") or []]

    def files(self):
        return image.files_of(self.registry, self.repository, self.manifest)


# ---- comparing ----

def plain(config):
    """Without what is empty, and without the labels that Kiln adds."""
    config = {k: config[k] for k in MEMBERS if config.get(k)}
    labels = {k: v for k, v in config.pop("Labels", {}).items() if not k.startswith(ALWAYS_SAID)}
    return {**config, **({"Labels": labels} if labels else {})}


def differences(ours, theirs, what):
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            yield f"{what} {key}: kiln {ours.get(key)!r}, buildkit {theirs.get(key)!r}"


def against_corpus(case, built):
    yield from differences(built.config(), plain(case.expected.get("config", {})), "config")
    ours = built.history()
    theirs = [h for h in case.expected.get("history", []) if h != "base"]
    ours = ours[len(ours) - len(theirs):] if theirs else []
    for a, b in zip(map(without_values, ours), map(without_values, theirs)):
        if a != b:
            yield f"history: kiln {a!r}, buildkit {b!r}"


def without_values(line):
    """Of build arguments: Kiln keeps them out of the history."""
    line = re.sub(r"^ARG (.*)$", lambda m: "ARG " + re.sub(r"=\S*.*", "", m[1]), line)
    return re.sub(r"^RUN \|\d+ .*?(?=/bin/|\S+ -c )", "RUN ", line)


def against_buildkit(built, theirs):
    ours, others = built.files(), theirs.files()
    # Debian's BuildKit now and then leaves the file that it has mounted on.
    if RESOLVER not in ours and others.get(RESOLVER, ("", 0, 0, 0, 1))[4] == 0:
        del others[RESOLVER]
    yield from differences(built.config(), theirs.config(), "config")
    yield from differences(ours, others, "file")


class Comparison:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.cannot, self.explained = table("cannot.tsv"), table("explained.tsv")
        self.counts = dict.fromkeys(
            ("built", "cannot", "as the corpus says", "as BuildKit", "not by this BuildKit",
             "by neither", "explained", "wrong"), 0)

    def cases(self):
        """Those that are to be built."""
        found = list(corpus()) if not self.options.features_only else []
        found = found[::self.options.every]
        if self.options.features:
            found += features(self.options.features)
        for case in found:
            if self.options.only and self.options.only not in case.name:
                continue
            if case.name in self.cannot:
                self.counts["cannot"] += 1
            else:
                yield case

    def run(self):
        bases = Bases(self.options.keep.resolve() / "bases-compared")  # it gives them more names
        builders = []
        try:
            cases = list(self.cases())
            mirrors = self.publish_bases(bases, cases)
            builders.append(ByKiln(bases, mirrors))
            if self.options.buildkit:
                builders.append(ByBuildKit(bases, mirrors, self.work / "docker"))
            with concurrent.futures.ThreadPoolExecutor(self.options.at_once) as pool:
                for told in pool.map(lambda c: self.compare(*c, builders), enumerate(cases)):
                    self.tell(*told)
        finally:
            for builder in builders:
                builder.stop()
            bases.stop()
        print(", ".join(f"{n} {what}" for what, n in self.counts.items()))
        return self.counts["wrong"]

    def publish_bases(self, bases, cases):
        """The stand-in under each name that a case asks for; the hosts of those names."""
        hosts, done = {"docker.io", "ghcr.io"}, set()
        for name in {b.partition("@")[0] for c in cases for b in c.bases}:
            host, _, rest = name.partition("/")
            repository, _, tag = rest.partition(":")
            hosts.add(host)
            if (repository, tag) not in done and (repository, tag) != STAND_IN:
                image.tag_anew(f"127.0.0.1:{bases.port}", *STAND_IN, repository, tag or "latest")
                done.add((repository, tag))
        return sorted(hosts)

    def compare(self, number, case, builders):
        """(case, what is wrong, counted as, why Kiln did not build it)"""
        case.dockerfile = re.sub(r"@sha256:[0-9a-f]{64}", "", case.dockerfile)
        case.write(self.work / f"case-{number}")
        # Whole layers, as BuildKit makes them.
        (case.folder / "blaxel.toml").write_text("[build]\nslim = false\n")
        built, why = builders[0].build(number, case)
        first_why, kinds = why, ["built"] if built else []
        wrong = [] if built else [f"not built: {why}"]
        if built and case.expected:
            found = list(against_corpus(case, built))
            kinds += ["as the corpus says"] if not found else []
            wrong += found
        if len(builders) > 1:
            theirs, why = builders[1].build(number, case)
            if not theirs:
                kinds.append("not by this BuildKit" if built else "by neither")
                wrong = wrong if built else []
            elif built:
                found = list(against_buildkit(built, theirs))
                kinds += ["as BuildKit"] if not found else []
                wrong += found
        return case, wrong, kinds, first_why

    def tell(self, case, wrong, kinds, why):
        for kind in kinds:
            self.counts[kind] += 1
        if self.options.results:
            with open(self.options.results, "a") as out:
                out.write(json.dumps({"name": case.name, "kinds": kinds, "wrong": wrong[:12],
                                      "why": why}) + "\n")
        if not wrong:
            return
        explained = case.name in self.explained
        self.counts["explained" if explained else "wrong"] += 1
        if not explained or self.options.show:
            print(f"---- {case.name}\n{case.dockerfile.strip()[:600]}")
            for line in wrong[:12]:
                print(f"  !! {line[:700]}")
            sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keep", nargs="?", type=pathlib.Path, default=kiln_server.KEEP,
                        help="where base images are kept between runs")
    parser.add_argument("--every", type=int, default=1, help="build every Nth of the corpus")
    parser.add_argument("--buildkit", action="store_true", help="build by dockerd, too")
    parser.add_argument("--features", help="the directory of the features suite's Dockerfiles")
    parser.add_argument("--features-only", action="store_true", help="without the corpus")
    parser.add_argument("--only", help="only cases with this in their name")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--results", help="a file to which a line of JSON is added for each case")
    parser.add_argument("--show", action="store_true", help="show explained differences, too")
    options = parser.parse_args()
    work = pathlib.Path(kiln_server.tempfile.mkdtemp(prefix="kiln-compare-"))
    try:
        sys.exit(1 if Comparison(options, work).run() else 0)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
