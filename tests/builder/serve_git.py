"""serve_git.py DIRECTORY ADDRESS PORT: a git server there, and by TLS at PORT + 443 with a certificate
of the authority DIRECTORY/ca.pem.  It has the repository "demo" of a few files: its bare side is DIRECTORY/served/demo.git, its working tree DIRECTORY/trees/demo.  Every request's
path is a line in DIRECTORY/requests; DIRECTORY/ready is there when it listens."""
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from git_server import GitServer, QuietServer  # noqa: E402
from own_ca import OwnCa  # noqa: E402


class Noted(list):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def append(self, request):
        with self.path.open("a", encoding="utf-8") as f:
            f.write(request[1] + "\n")


def main():
    directory = pathlib.Path(sys.argv[1])
    server = GitServer(directory, (sys.argv[2], int(sys.argv[3])))
    server.requests = Noted(directory / "requests")
    by_tls = QuietServer((sys.argv[2], int(sys.argv[3]) + 443), server.handler())
    OwnCa(directory, "198.51.100.2", "another.example").wrap(by_tls)
    threading.Thread(target=by_tls.serve_forever, daemon=True).start()
    demo = server.make("demo")
    demo.commit({"old": "gone\n"})
    (demo.tree / "old").unlink()
    (demo.tree / "link").symlink_to("sub/in")
    (demo.tree / "run.sh").write_text("#!/bin/sh\n")
    (demo.tree / "run.sh").chmod(0o755)
    demo.commit({"file": "one\n", "sub/in": "inside\n", ".docker/config.json": "{}\n",
                 ".env.build": "A=1\n"})
    demo.git("tag", "--annotate", "--message", "first", "v1")
    demo.git("tag", "light")
    demo.git("update-index", "--add", "--cacheinfo", "160000," + "ab" * 20 + ",module")
    demo.git("commit", "--quiet", "--message", "a submodule")
    demo.git("branch", "with-module")
    demo.git("reset", "--quiet", "--hard", "v1")
    lib = server.make("lib").commit({"inside": "of a submodule\n"})
    (demo.tree / ".gitmodules").write_text(
        '[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n'
        '[submodule "here"]\n\tpath = here\n\turl = http://198.51.100.1/lib.git\n')
    demo.git("add", ".gitmodules")
    demo.git("update-index", "--add", "--cacheinfo", f"160000,{lib},lib")
    demo.git("commit", "--quiet", "--message", "another submodule")
    demo.git("branch", "with-lib")
    demo.git("update-index", "--add", "--cacheinfo", f"160000,{lib},here")
    demo.git("commit", "--quiet", "--message", "one of the machine that builds")
    demo.git("branch", "with-here")
    demo.git("reset", "--quiet", "--hard", "v1")
    demo.push()
    (directory / "ready").write_text("")
    while True:
        time.sleep(60)


main()
