"""A git source is fetched, whatever its ref is, and built like an upload; labels say what it was.

The server is git's own http-backend on loopback, which the operator's --git-hosts allows here."""
import hashlib
import io
import json
import random
import re
import socket
import struct
import tarfile
import threading
import unittest
import zlib

import kiln_server
from git_server import GitServer
from kiln_server import Bases, Kiln, Registry, http_request

DOCKERFILE = "FROM alpine:3.20\nCOPY . /src/\n"
LABEL = "org.opencontainers.image."


class GitCase(unittest.TestCase):
    """`kiln build` against a registry of the test's own."""

    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases)  # a data directory; the class below serves it
        cls.addClassCleanup(cls.kiln.remove)
        cls.git = GitServer(cls.kiln.directory / "git")
        cls.addClassCleanup(cls.git.stop)
        cls.start()

    @classmethod
    def start(cls):
        cls.registry = Registry(cls.kiln.directory / "registry")
        cls.addClassCleanup(cls.registry.stop)

    def build(self, source, *options, hosts=True):
        """The exit code and all that was said."""
        words = ["--git-hosts", self.git.host] if hosts else []
        done = self.kiln.run(
            "build", source, "--type", "job", "--data-dir", self.kiln.data, "--registry-url",
            f"http://127.0.0.1:{self.registry.port}", "--mirrors", self.kiln.mirrors, *words,
            *options, check=False)
        return done.returncode, done.stdout + done.stderr

    def image(self, source, *options):
        """Its labels and files."""
        code, said = self.build(source, *options)
        self.assertEqual(code, 0, said)
        reference = re.search(r"(?m)^ *image +(\S+)", said).group(1)
        host, _, rest = reference.partition("/")
        repository, _, tag = rest.rpartition(":")
        base = f"http://{host}/v2/{repository}"
        manifest = http_request("GET", f"{base}/manifests/{tag}", headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, "
                      "application/vnd.docker.distribution.manifest.v2+json"}).json
        config = http_request("GET", f"{base}/blobs/{manifest['config']['digest']}").json
        return config["config"].get("Labels") or {}, self.files(base, manifest), said

    def files(self, base, manifest):
        files = {}
        for layer in manifest["layers"]:
            blob = http_request("GET", f"{base}/blobs/{layer['digest']}").body
            with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
                for m in tar:
                    files["/" + m.name.strip("/")] = (
                        tar.extractfile(m).read().decode(errors="replace") if m.isreg()
                        else m.linkname if m.issym() else None, m.mode & 0o7777)
        return {path: what for path, what in files.items() if path.startswith("/src/")}

    def assert_fails(self, source, *says, options=(), hosts=True):
        code, said = self.build(source, *options, hosts=hosts)
        self.assertEqual(code, 1, said)
        for text in says:
            self.assertIn(text, said)
        return said


class Refs(GitCase):
    @classmethod
    def start(cls):
        super().start()
        r = cls.git.make("refs")
        cls.first = r.commit({"Dockerfile": DOCKERFILE, "version": "1"})
        r.git("tag", "v1")
        r.git("tag", "--annotate", "--message", "two", "v1-annotated")
        cls.second = r.commit({"version": "2"})
        r.git("checkout", "--quiet", "-b", "side/work")
        cls.side = r.commit({"version": "side", "services/api/Dockerfile": DOCKERFILE,
                             "services/api/where": "below", "services/other": "x"})
        r.git("checkout", "--quiet", "main")
        r.git("tag", "named-twice", cls.first)
        r.git("branch", "named-twice", cls.second)
        # A branch that has the name of a commit must not stand for it.
        r.git("update-ref", f"refs/heads/{cls.first}", cls.side)
        cls.lonely = r.git("commit-tree", "-m", "x", "HEAD^{tree}")
        r.push()
        cls.repository = r

    def test_every_kind_of_ref_is_fetched(self):
        for ref, commit, version in (("", self.second, "2"), ("#main", self.second, "2"),
                                     ("#side/work", self.side, "side"), ("#v1", self.first, "1"),
                                     ("#v1-annotated", self.first, "1"),
                                     ("#refs/heads/main", self.second, "2"),
                                     ("#HEAD", self.second, "2"),
                                     ("#named-twice", self.first, "1"),
                                     ("#heads/named-twice", self.second, "2"),
                                     (f"#{self.first}", self.first, "1"),
                                     (f"#{self.side[:10]}", self.side, "side")):
            with self.subTest(ref=ref):
                labels, files, said = self.image(self.git.url("refs", ref))
                self.assertEqual(files["/src/version"][0], version)
                self.assertEqual(labels[LABEL + "revision"], commit)
                self.assertIn(f"commit {commit}", said)
                self.assertFalse([f for f in files if f.startswith("/src/.git")])

    def test_a_commit_is_fetched_from_a_server_that_gives_commits_out_and_from_one_that_does_not(
            self):
        for allowed in ("true", "false"):
            self.repository.configure("uploadpack.allowAnySHA1InWant", allowed)
            labels, files, _ = self.image(self.git.url("refs", f"#{self.second}"))
            self.assertEqual(labels[LABEL + "revision"], self.second)

    def test_a_folder_is_built_as_if_it_were_all(self):
        _, files, _ = self.image(self.git.url("refs", "#side/work:services/api"))
        self.assertEqual(set(files), {"/src/where", "/src/Dockerfile"})

    def test_a_ref_that_is_not_there_is_named_with_those_that_are(self):
        said = self.assert_fails(self.git.url("refs", "#sdie"), 'no branch, tag or commit "sdie"',
                                 "it has ")
        for name in ("main", "side/work", "v1"):
            self.assertIn(name, said)
        self.assert_fails(self.git.url("refs", "#" + "ab" * 20), "no branch, tag or commit")
        self.assert_fails(self.git.url("refs", "#abcdef0"), "no branch, tag or commit")
        self.assert_fails(self.git.url("refs", "#" + self.lonely), "no branch, tag or commit")

    def test_a_folder_that_is_not_there_is_named_with_those_that_are(self):
        self.assert_fails(self.git.url("refs", "#side/work:service"), 'no folder "service"',
                          '"services"')
        self.assert_fails(self.git.url("refs", "#main:version"), "it is a file and no folder")

    def test_the_labels_say_what_it_is(self):
        labels, _, _ = self.image(self.git.url("refs", "#v1"), "--name", "labelled")
        self.assertEqual(labels[LABEL + "source"], self.git.url("refs"))
        self.assertEqual(labels[LABEL + "base.name"], "docker.io/library/alpine:3.20")
        self.assertRegex(labels[LABEL + "base.digest"], "^sha256:[0-9a-f]{64}$")
        self.assertRegex(labels[LABEL + "created"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(labels["dev.kiln.version"], r"^kiln \d")


class Contents(GitCase):
    def test_links_modes_and_odd_names_arrive_as_git_has_them(self):
        r = self.git.make("odd")
        r.commit({"Dockerfile": DOCKERFILE, "run.sh": "#!/bin/sh\n", "a b/\u00fc": "x",
                  ".gitattributes": "*.txt text eol=crlf\nskip export-ignore\n",
                  "crlf.txt": "a\nb\n", "skip": "kept"})
        (r.tree / "run.sh").chmod(0o755)
        (r.tree / "inside").symlink_to("a b/\u00fc")
        (r.tree / "outside").symlink_to("../../etc/passwd")
        r.commit()
        _, files, said = self.image(self.git.url("odd"))
        self.assertEqual(files["/src/run.sh"], ("#!/bin/sh\n", 0o755))
        self.assertEqual(files["/src/a b/\u00fc"], ("x", 0o644))
        self.assertEqual(files["/src/inside"][0], "a b/\u00fc")
        self.assertEqual(files["/src/outside"][0], "../../etc/passwd")
        self.assertIn('"outside" is a symbolic link to "../../etc/passwd", outside', said)
        self.assertEqual(files["/src/crlf.txt"][0], "a\nb\n")  # no filter, no attribute
        self.assertEqual(files["/src/skip"][0], "kept")

    def test_secrets_stay_out_of_the_context(self):
        r = self.git.make("secrets")
        r.commit({"Dockerfile": DOCKERFILE, ".env.build": "A=1\n", ".docker/config.json": "{}"})
        _, files, _ = self.image(self.git.url("secrets"))
        self.assertEqual(set(files), {"/src/Dockerfile"})

    def with_modules(self, name, modules, at=""):
        """A repository with submodules: {path: (url, commit)}."""
        r = self.git.make(name)
        r.commit({"Dockerfile": DOCKERFILE, f"{at}Dockerfile": DOCKERFILE, f"{at}own": name,
                  ".gitmodules": "".join(
                      f'[submodule "{path}"] # one\n\tpath = {path}\n\tURL = "{url}"\n'
                      for path, (url, _) in modules.items())})
        for path, (_, commit) in modules.items():
            r.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        r.git("commit", "--quiet", "--message", "modules")
        r.push()
        return r.git("rev-parse", "HEAD")

    def test_submodules_come_along_with_theirs(self):
        deep = self.git.make("deep").commit({"deepest": "3"})
        self.git.repositories["deep"].commit({"deepest": "not yet"})
        inner = self.with_modules("inner", {"vendor/deep": ("./../deep.git", deep)})
        self.with_modules("outer", {"sub/lib": ("../inner.git", inner),
                                    "sub/again": (self.git.url("deep"), deep)}, at="sub/")
        for source, top in ((self.git.url("outer"), "/src/sub/"),
                            (self.git.url("outer") + "#main:sub", "/src/")):
            _, files, said = self.image(source)
            self.assertNotIn("is left out", said)
            self.assertEqual(files[f"{top}lib/vendor/deep/deepest"][0], "3")
            self.assertEqual(files[f"{top}lib/own"][0], "inner")
            self.assertEqual(files[f"{top}again/deepest"][0], "3")

    def test_submodules_that_are_not_asked_for_are_left_out_with_a_warning(self):
        inner = self.git.make("none").commit({"x": "x"})
        for i, (url, says) in enumerate((
                ("git@127.0.0.1:none.git", "it asks for ssh, .*; write \"https://127.0.0.1/none.git\", or, "
                 "if the repository is private, upload a clone of it with its submodules"),
                ("file:///etc", "a file of the machine"), ("../../../none.git", "out of the server"),
                ("http://127.0.0.1:1/none.git", "127.0.0.1:1 is not asked"),
                ("http://[::1]/none.git", "is not asked"))):
            with self.subTest(url=url):
                self.with_modules(f"odd{i}", {"lib": (url, inner)})
                self.git.requests.clear()
                _, files, said = self.image(self.git.url(f"odd{i}"))
                self.assertRegex(said, f'warning: "lib" is a submodule and is left out: .*{says}')
                self.assertNotIn("/src/lib", files)
                self.assertFalse([p for _, p in self.git.requests if "none" in p])

    def test_a_submodule_that_is_not_there_fails_unless_none_is_wanted(self):
        self.with_modules("broken", {"lib": ("../nowhere.git", "ab" * 20)})
        self.assert_fails(self.git.url("broken"), "there is no repository at this address")
        _, files, said = self.image(self.git.url("broken") + "?submodules=false")
        self.assertIn("is left out: the source says submodules=false", said)
        self.assertEqual(files["/src/own"][0], "broken")

    def test_a_submodule_of_itself_ends(self):
        r = self.git.make("round")
        commit = r.commit({"Dockerfile": DOCKERFILE,
                           ".gitmodules": '[submodule "a"]\npath = a\nurl = ../round.git\n'})
        for _ in range(12):
            r.git("update-index", "--add", "--cacheinfo", f"160000,{commit},a")
            r.git("commit", "--quiet", "--message", "again")
            commit = r.git("rev-parse", "HEAD")
        r.push()
        self.assert_fails(self.git.url("round"), "too many submodules, or in one another")

    def hostile(self, name, entries):
        """A repository whose tree git itself would not make: (mode, name, content)."""
        r = self.git.make(name)
        r.commit({"Dockerfile": DOCKERFILE})
        tree = b""
        for mode, entry, content in entries:
            blob = r.run("hash-object", "-w", "--stdin", at=r.bare, data=content)
            tree += f"{mode} {entry}".encode() + b"\0" + bytes.fromhex(blob)
        made = r.run("hash-object", "-w", "-t", "tree", "--literally", "--stdin", at=r.bare,
                     data=tree)
        commit = r.run("commit-tree", "-m", "x", made, at=r.bare)
        r.run("update-ref", "refs/heads/main", commit, at=r.bare)

    def test_names_that_lead_elsewhere_are_refused(self):
        for i, (name, says) in enumerate(((".git", "no file of a repository may have this name"),
                                          (".GIT", "no file of a repository may have this name"),
                                          ("..", "leads out"), ("../up", "leads out"),
                                          ("/abs", "absolute"), ("a\nb", "control"))):
            with self.subTest(name=name):
                self.hostile(f"hostile{i}", [(100644, name, b"x")])
                self.assert_fails(self.git.url(f"hostile{i}"), says)

    def test_a_file_behind_a_link_is_refused(self):
        self.hostile("behind", [(120000, "dir", b"/etc"), (100644, "dir/x", b"x")])
        self.assert_fails(self.git.url("behind"), "behind the symbolic link")


class Limits(GitCase):
    @classmethod
    def start(cls):
        super().start()
        noise = random.Random(7)
        r = cls.git.make("large")
        r.commit({"Dockerfile": DOCKERFILE, "noise": noise.randbytes(3 << 20)})
        (r.tree / "noise").unlink()
        r.commit({f"many/{i}": str(i) for i in range(50)})

    def test_bytes_received_count_the_history(self):
        self.assert_fails(self.git.url("large"), "larger than 1.0 MB, the limit (git_max)",
                          options=["--git-max", "1MB"])
        self.image(self.git.url("large"), "--git-max", "8MB")

    def test_the_tree_is_held_to_what_archives_are(self):
        self.assert_fails(self.git.url("large"), "more than allowed (unpack_entries)",
                          options=["--unpack-entries", "20"])
        self.assert_fails(self.git.url("large"), "larger than allowed (unpack_max)",
                          options=["--unpack-max", "50B"])

    def test_a_tree_that_repeats_itself_ends_at_the_limit(self):
        r = self.git.make("bomb")
        r.commit({"Dockerfile": DOCKERFILE})
        tree = r.git("write-tree")
        for _ in range(12):
            lines = "".join(f"040000 tree {tree}\tf{i}\n" for i in range(10))
            tree = r.run("mktree", at=r.tree, data=lines.encode())
        commit = r.git("commit-tree", "-m", "x", tree)
        r.git("update-ref", "refs/heads/main", commit)
        r.push()
        self.assert_fails(self.git.url("bomb"), "more than allowed (unpack_entries)",
                          options=["--unpack-entries", "5000"])

    def bomb(self, size):
        """A pack of some hundred bytes with an object of that size: zeros, and a change of them
        that copies them again and again (gitformat-pack(5))."""
        def number(n, first=0, bits=7):
            out = [first | n & (1 << bits) - 1]
            n >>= bits
            while n:
                out[-1] |= 0x80
                out.append(n & 0x7f)
                n >>= 7
            return bytes(out)

        def entry(kind, data, base=b""):
            return number(len(data), kind << 4, 4) + base + zlib.compress(data, 9)

        zeros = bytes(1 << 16)
        base = hashlib.sha1(b"blob 65536\0" + zeros).digest()
        change = number(len(zeros)) + number(size) + b"\x80" * (size >> 16)  # copy 64 KiB from 0
        pack = (b"PACK" + struct.pack(">II", 2, 2) + entry(3, zeros) + entry(7, change, base))
        return pack + hashlib.sha1(pack).digest()

    def test_a_small_pack_cannot_ask_for_all_memory(self):
        self.git.packs["grows"] = self.bomb(3 << 30)
        self.assertLess(len(self.git.packs["grows"]), 1000)
        self.assert_fails(self.git.url("grows"), "a file in its history is larger than is handled")

    def test_an_object_that_is_a_change_of_itself_ends(self):
        self.git.packs["circle"] = self.bomb(1 << 16)  # the change makes the same zeros
        self.assert_fails(self.git.url("circle"), "more memory than is allowed")

    def test_a_pack_that_is_none_is_refused(self):
        for i, pack in enumerate((b"", b"PACK", b"no pack at all", self.bomb(1 << 20)[:-1],
                                  b"PACK" + struct.pack(">II", 2, 1 << 31) + b"x" * 100)):
            self.git.packs[f"none{i}"] = pack
            self.assert_fails(self.git.url(f"none{i}"), f"fetch {self.git.url(f'none{i}')}: ",
                              options=["--attempts", "1"])

    def test_a_server_that_never_ends_is_cut_off(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def hang():
                kept = []
                while True:
                    try:
                        kept.append(listener.accept()[0])
                    except OSError:
                        for connection in kept:
                            connection.close()
                        return
            threading.Thread(target=hang, daemon=True).start()
            host = f"127.0.0.1:{listener.getsockname()[1]}"
            self.assert_fails(f"http://{host}/r.git", "longer than the time limit",
                              options=["--git-hosts", host, "--build-timeout", "2s"])
            listener.shutdown(socket.SHUT_RDWR)


class Refused(GitCase):
    @classmethod
    def start(cls):
        super().start()
        cls.git.make("demo").commit({"Dockerfile": DOCKERFILE})

    def test_this_machine_and_its_networks_are_refused_unless_allowed(self):
        self.git.requests.clear()
        port = self.git.http.server_port
        for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "10.0.0.1",
                     "169.254.169.254"):
            self.assert_fails(f"http://{host}:{port}/demo.git", "not allowed: ", "git_hosts",
                              hosts=False)
        self.assert_fails(f"http://localhost:{port}/demo.git", "not allowed: localhost")
        self.assertEqual(self.git.requests, [])

    def test_other_ways_to_a_repository_are_refused_in_plain_words(self):
        for source, says in (("git@github.com:owner/repo.git",
                              "no key to show there; write \"https://github.com/owner/repo.git\""),
                             ("ssh://git@h/r.git", "ssh, and Kiln has no key"),
                             (f"file://{self.git.root}/demo.git", "a file of the machine"),
                             ("git://h/r.git", "must begin with https://"),
                             ("https://me:pass@h/r.git", "a user name or password")):
            code, said = self.build(source)
            self.assertEqual(code, 2, said)
            self.assertIn(says, said)
            self.assertNotIn("pass@", said)

    def test_a_redirect_to_another_host_is_not_followed(self):
        port = self.git.http.server_port
        self.git.redirects["/moved.git/info/refs"] = f"http://localhost:{port}/demo.git/info/refs"
        self.git.requests.clear()
        self.assert_fails(self.git.url("moved"), "sends us to another host, which is not followed")
        self.assertEqual({p for _, p in self.git.requests}, {"/moved.git/info/refs"})
        self.git.redirects["/moved.git/info/refs"] = self.git.url("demo") + "/info/refs"
        self.image(self.git.url("moved"))  # to the same one it is

    def test_what_is_no_repository_or_not_ours_to_see_is_told_apart(self):
        self.assert_fails(self.git.url("nothing"), "there is no repository at this address")
        for status in (401, 403):
            self.git.answers["/private.git/info/refs"] = status
            self.assert_fails(self.git.url("private"), "private or not there")
        self.git.answers["/page.git/info/refs"] = 200
        self.assert_fails(self.git.url("page"), "no git server answers there")

    def test_a_certificate_that_nobody_vouches_for_is_not_taken(self):
        server = GitServer(self.kiln.directory / "tls")
        self.addCleanup(server.stop)
        server.make("demo").commit({"Dockerfile": DOCKERFILE})
        server.speak_tls()
        self.assert_fails(f"https://{server.host}/demo.git", "its certificate is not to be trusted",
                          options=["--git-hosts", server.host])
        self.assertEqual(server.requests, [])

    def test_an_empty_repository_has_nothing_to_build(self):
        self.git.make("empty")
        self.assert_fails(self.git.url("empty"), "no HEAD to build from", "no branches or tags")


class Service(GitCase):
    @classmethod
    def start(cls):
        cls.kiln.options = ["--git-hosts", cls.git.host]
        cls.kiln.start()

    def post(self, name, rest="", git=None):
        return self.kiln.request("POST", "/images", {
            "metadata": {"name": name, "resourceType": "job"},
            "spec": {"source": {"git": git or self.git.url("served", rest)}}})

    def wait(self, name):
        return kiln_server.wait_until(f"{name} ends", lambda: next(
            (s for s in (self.kiln.get(f"/images/job/{name}").json["metadata"]["status"],)
             if s in ("BUILT", "FAILED")), None), 120)

    def labels(self, name, tag="latest"):
        return self.kiln.image(name, tag, kind="job")[0]["config"]["Labels"]

    def test_a_build_is_queued_at_once_and_polled_like_others(self):
        r = self.git.make("served")
        first = r.commit({"Dockerfile": DOCKERFILE, "a": "1", ".dockerignore": "unseen\n"})
        answer = self.post("demo")
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("X-Blaxel-Upload-Url", answer.headers)
        self.assertEqual(answer.json["source"], {"git": self.git.url("served")})
        self.assertEqual(self.wait("demo"), "BUILT")
        self.assertIn(answer.json["tag"], self.kiln.tags("demo", kind="job"))
        self.assertEqual(self.labels("demo")[LABEL + "revision"], first)
        log = "\n".join(self.kiln.log_lines("demo", kind="jobs"))
        self.assertIn(f"load git source {self.git.url('served')}", log)

        # The same commit by another name is the same image; another commit of the same files is
        # not.
        r.git("tag", "again")
        r.push()
        self.assertEqual(self.digest_after(self.post("demo", "#again")), self.digest("demo"))
        log = "\n".join(self.kiln.log_lines("demo", kind="jobs"))
        self.assertIn("reuse an identical image build", log)
        before = self.digest("demo")
        second = r.commit({"unseen": "x"})
        self.assertNotEqual(self.digest_after(self.post("demo")), before)
        self.assertEqual(self.labels("demo")[LABEL + "revision"], second)

    def digest(self, name, tag="latest"):
        return self.kiln.manifest(name, tag, kind="job").headers["Docker-Content-Digest"]

    def digest_after(self, answer):
        self.assertEqual(self.wait("demo"), "BUILT")
        return self.digest("demo", answer.json["tag"])

    def test_a_source_that_cannot_be_is_refused_before_it_is_queued(self):
        for git in ("file:///etc", "git@h:o/r.git", "/srv/r"):
            answer = self.post("refused", git=git)
            self.assertEqual((answer.status, answer.json["error"]), (400, "invalid_source"))
        self.assertEqual(self.kiln.get("/images/job/refused").status, 404)

    def test_loopback_is_refused_on_the_server_too(self):
        self.assertEqual(self.post("inside", git=f"http://{self.kiln.registry}/r.git").status, 200)
        self.assertEqual(self.wait("inside"), "FAILED")
        events = json.dumps(self.kiln.get("/images/job/inside").json["metadata"]["events"])
        self.assertIn("not allowed: 127.0.0.1", events)


if __name__ == "__main__":
    kiln_server.main()
