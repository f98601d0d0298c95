#!/usr/bin/env python3
"""`kiln` loads few libraries, and becomes lib/kiln/kiln for what needs more of them."""
import os
import shutil
import subprocess
import sys
import tempfile

KILN = os.environ["KILN"]
HEAVY = ("libarchive", "libcurl", "libgit2", "libgnutls", "libicu", "libmicrohttpd", "libpq", "libsqlite")
OF_THE_WHOLE = ("account", "build", "doctor", "key", "prune", "registry", "serve", "webhook", "worker",
                "workspace")


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, **more)


def test_it_links_little():
    for file in (KILN, os.path.join(os.path.dirname(KILN), "nbdkit-kiln-volume-plugin.so")):
        if os.path.exists(file):
            loaded = run("ldd", file).stdout
            assert "libc.so" in loaded, loaded
            assert not [name for name in HEAVY if name in loaded], (file, loaded)


def test_commands_of_the_whole_program_are_there(work):
    for name in OF_THE_WHOLE:
        done = run(KILN, name, "--config", f"{work}/none")
        assert done.returncode == 2 and f"kiln {name}: " in done.stderr and "none" in done.stderr, done


def test_words_and_options_arrive_as_they_were_said(work):
    os.mkdir(f"{work}/tree")
    done = run(KILN, "--data-dir", f"{work}/data", "template", "pack", "t", f"{work}/tree", "--json")
    assert done.returncode == 2 and "no command" in done.stderr, done  # options come after it
    done = run(KILN, "template", "pack", "--data-dir", f"{work}/data", "t", f"{work}/tree", "--json")
    assert done.returncode == 0 and '"name": "t"' in done.stdout, done
    assert os.path.exists(f"{work}/data/templates/local/format")


def test_an_archive_is_checked_by_the_whole_program(work):
    project = f"{work}/project"
    os.mkdir(project)
    with open(f"{project}/Dockerfile", "w", encoding="utf-8") as file:
        file.write("FROM scratch\nCOPY nothing.txt /\n")
    shutil.make_archive(project, "zip", project)
    plain, packed = run(KILN, "check", project), run(KILN, "check", f"{project}.zip")
    assert "nothing.txt" in plain.stdout and plain.returncode == packed.returncode, plain
    assert plain.stdout == packed.stdout, packed


def test_without_the_whole_program_it_says_so(work):
    alone = shutil.copy(KILN, f"{work}/kiln")
    assert run(alone, "config").returncode == 0
    done = run(alone, "prune")
    assert done.returncode == 2 and "install Kiln anew" in done.stderr, done


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory() as work:
                test(*([work] if test.__code__.co_argcount else []))
            print(f"ok {name}")


if __name__ == "__main__":
    sys.exit(main())
