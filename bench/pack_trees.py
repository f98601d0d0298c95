"""The trees that template_pack.py packs: two kinds, two revisions, as trees, tars and ZIPs.

They are built once under a directory and found there the next time.  What is in them depends on what
the registry and /usr have on that day; the second revision is a function of the first and of a seed.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess

MB = 1 << 20
WHEN = 1_700_000_000  # what is changed gets this time
CHANGED, ADDED, REMOVED = 0.04, 0.005, 0.005  # of the files

# Direct dependencies; what they depend on is the registry's newest that fits.
PACKAGES = """
    next@14.2.5 react@18.3.1 react-dom@18.3.1 react-scripts@5.0.1 @mui/material@5.16.4
    @emotion/react@11.12.0 @emotion/styled@11.12.0 antd@5.19.3
    date-fns@3.6.0 lodash@4.17.21 lodash-es@4.17.21 rxjs@7.8.1 core-js@3.37.1 typescript@5.5.4
    @angular/cli@18.1.2 @angular/core@18.1.2 @angular/material@18.1.2 webpack@5.93.0 vite@5.3.5
    eslint@8.57.0 prettier@3.3.3 jest@29.7.0 googleapis@140.0.1 firebase@10.12.4
    firebase-admin@12.2.0 three@0.167.0 d3@7.9.0 mathjs@13.0.3 storybook@8.2.6
    @nestjs/core@10.3.10 typeorm@0.3.20 mongoose@8.5.1 puppeteer-core@22.14.0 sass@1.77.8
    tailwindcss@3.4.7 bootstrap@5.3.3
""".split()

# Folder, and the MB that are taken of it at most.
USR = [("bin", 300), ("lib/x86_64-linux-gnu", 300), ("lib/python3", 80), ("lib/git-core", 20),
       ("lib/gcc", 150), ("include", 60), ("share", 110)]


def run(*argv, **more):
    subprocess.run([str(a) for a in argv], check=True, **more)


def files_of(root):
    """Plain files in a fixed order."""
    for directory, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = pathlib.Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path


# ---- first revisions ----

def make_node_modules(root):
    root.mkdir(parents=True)
    (root / "package.json").write_text(json.dumps({"name": "tree", "version": "1.0.0", "private": True}))
    run("npm", "install", "--ignore-scripts", "--legacy-peer-deps", "--no-package-lock", "--no-audit",
        "--no-fund", "--loglevel=error", *PACKAGES, cwd=root)


def copy_folder(source, target, limit):
    """As it is, but without links that lead elsewhere."""
    total = 0
    for directory, folders, files in os.walk(source):
        folders.sort()
        for name in sorted(files):
            path = pathlib.Path(directory, name)
            to = target / path.relative_to(source)
            if path.is_symlink() and "/" in os.readlink(path) or not path.is_file():
                continue
            total += path.lstat().st_size
            if total > limit:
                return
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to, follow_symlinks=False)


def make_usr(root):
    for folder, limit in USR:
        copy_folder(pathlib.Path("/usr", folder), root / folder, limit * MB)


# ---- the second ----

def edit(path, choice):
    """Bytes are put in at one place and replaced at another, as a new build of it might."""
    data = bytearray(path.read_bytes())
    at = choice.randrange(len(data) + 1)
    data[at:at] = choice.randbytes(choice.randint(1, 64)).hex().encode()
    at = choice.randrange(len(data))
    data[at:at + 16] = choice.randbytes(8).hex().encode()
    mode = path.stat().st_mode
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, (WHEN, WHEN))


def make_second(first, second):
    choice = random.Random(2)
    run("cp", "-a", first, second)
    for path in list(files_of(second)):
        lot = choice.random()
        if lot < CHANGED:
            edit(path, choice)
        elif lot < CHANGED + ADDED:
            more = path.with_name(path.name[:200] + ".more")
            shutil.copy2(path, more)
            edit(more, choice)
        elif lot < CHANGED + ADDED + REMOVED:
            path.unlink()


# ---- all of a kind ----

class Tree:
    """kind/1 and kind/2, with .tar and .zip beside them."""

    def __init__(self, directory, kind):
        self.kind, self.directory = kind, pathlib.Path(directory, kind)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.once(self.path(1), MAKERS[kind])
        self.once(self.path(2), lambda to: make_second(self.path(1), to))
        for n in 1, 2:
            self.once(self.path(n, ".tar"), lambda to, n=n: run(
                "tar", "--sort=name", "-C", self.path(n), "-cf", to, "."))
            self.once(self.path(n, ".zip"), lambda to, n=n: run(
                "zip", "-q", "-r", "-y", to, ".", cwd=self.path(n)))
        self.once(self.path(1, ".tenth.tar"), self.make_tenth)

    def path(self, revision, kind=""):
        return self.directory / f"{revision}{kind}"

    def once(self, path, make):
        """Made beside its name first: what has the name is whole."""
        if path.exists():
            return
        started = path.with_name("new-" + path.name)
        run("rm", "-rf", started)
        print(f"making {path}", flush=True)
        make(started)
        started.rename(path)

    def make_tenth(self, to):
        """Each tenth file: a tenth of the entries, of the same nature."""
        names = [str(p.relative_to(self.path(1))) for p in files_of(self.path(1))][::10]
        run("tar", "-C", self.path(1), "-cf", to, "-T", "-", input="\n".join(names), text=True)

    def describe(self):
        sizes = [p.stat().st_size for p in files_of(self.path(1))]
        return f"{len(sizes)} files, {sum(sizes) / MB:.0f} MiB"


MAKERS = {"node_modules": make_node_modules, "usr": make_usr}
