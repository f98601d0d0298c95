"""A backup is taken while builds run, and restored after the data directory is lost: keys, images,
templates and volumes are there, what ran or waited is built, and URLs that were handed out work.
It moves to PostgreSQL and back.  kill -9 in the middle of a backup or a restore leaves nothing wrong."""
import contextlib
import os
import shutil
import sqlite3
import time
import unittest

import kiln_server
from kiln_server import KILN, Bases, Kiln, Process, http_request, wait_until, zip_of
from own_cluster import OwnCluster
from volume_case import tar_with

SLOW = "FROM alpine:3.20\nRUN echo begun && sleep 4 && echo ended\n"
QUICK = "FROM alpine:3.20\nRUN echo {0} >/{0}\n"


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases, workers=1)
        cls.addClassCleanup(cls.kiln.remove)
        cls.vault = cls.kiln.directory / "vault"
        cls.kiln.start()
        cls.fill()

    @classmethod
    def fill(cls):
        """An image, a template and a volume of it, and one that was written to."""
        kiln = cls.kiln
        kiln.deploy("one", zip_of({"Dockerfile": QUICK.format("one")}))
        answer = kiln.request("POST", "/volume_templates?upload=true",
                              {"metadata": {"name": "deps"}, "spec": {"defaultSize": 64}})
        answer = http_request("PUT", answer.headers["X-Blaxel-Upload-Url"],
                              tar_with(("file", b"0", os.urandom(300000))))
        assert answer.status == 200, answer
        wait_until("the template is there", lambda: kiln.get("/volume_templates/deps").json
                   .get("status") == "DEPLOYED" or None)
        answer = kiln.request("POST", "/volumes", {"metadata": {"name": "v1"},
                                                   "spec": {"template": "deps:latest", "size": 64}})
        assert answer.status == 200, answer
        cls.volume = kiln.data / "volumes/acme/v1.img"
        wait_until("the volume is there", cls.volume.exists)
        cls.content = cls.volume.read_bytes()

    def tool(self, *words, data=None, env=None, check=True):
        return self.kiln.run(*words, "--data-dir", data or self.kiln.data, check=check, env=env)

    def backup(self, data=None, env=None):
        done = self.tool("backup", self.vault, data=data, env=env)
        self.assertIn("were new", done.stdout)
        return done.stdout.split()[1].rstrip(":")

    @contextlib.contextmanager
    def serving(self, data, env=None):
        """On the restored directory, at the address that was: the one that was served there is gone."""
        kiln = self.kiln
        with contextlib.ExitStack() as stack:
            before, kiln.data = kiln.data, data
            stack.callback(setattr, kiln, "data", before)
            for name, value in (env or {}).items():
                os.environ[name] = value
                stack.callback(os.environ.pop, name)
            kiln.start()
            stack.callback(kiln.serve.stop)
            wait_until("its registry runs, too", lambda: "kiln: ready" in kiln.serve.text())
            yield

    def check_all_is_there(self, data):
        kiln = self.kiln
        config, files = kiln.image("one")
        self.assertEqual(files["/one"], b"one\n")
        self.assertEqual(kiln.get("/volume_templates/deps").json["status"], "DEPLOYED")
        self.assertEqual((data / "volumes/acme/v1.img").read_bytes(), self.content)
        # It takes next to no room where it has holes.
        self.assertLess((data / "volumes/acme/v1.img").stat().st_blocks * 512, 64 << 20)
        self.tool("template", "verify", "--workspace", "acme", data=data)

    def test_1_what_ran_goes_on(self):
        kiln = self.kiln
        later = kiln.announce("later")
        kiln.submit("slow", zip_of({"Dockerfile": SLOW}))
        kiln.submit("waits", zip_of({"Dockerfile": QUICK.format("waits")}))
        wait_until("the build has begun", lambda: any(
            line.endswith(" begun") and "echo" not in line for line in kiln.log_lines("slow")))
        self.backup()
        self.assertEqual(kiln.status("slow"), "BUILDING")
        kiln.serve.kill_group()  # the machine is lost
        wait_until("all of it has died", lambda: not kiln.processes_of())

        done = self.tool("restore", self.vault, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not empty", done.stderr)
        data = kiln.directory / "restored"
        done = self.tool("restore", self.vault, data=data)
        self.assertIn("builds that ran are queued again: 1", done.stdout)
        with self.serving(data):
            self.check_all_is_there(data)
            self.assertEqual(kiln.wait_for_end("slow"), "DEPLOYED")
            self.assertEqual(kiln.wait_for_end("waits"), "DEPLOYED")
            log = kiln.log_lines("slow")
            self.assertTrue(any(line.endswith(" ended") for line in log), log)
            answer = kiln.upload(later, zip_of({"Dockerfile": QUICK.format("later")}))
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(kiln.wait_for_end("later"), "DEPLOYED")
            # The store goes on: a second revision, and a volume of it.
            answer = kiln.request("PUT", "/volume_templates/deps?upload=true",
                                  {"metadata": {"name": "deps"}, "spec": {}})
            answer = http_request("PUT", answer.headers["X-Blaxel-Upload-Url"],
                                  tar_with(("file", b"0", b"second")))
            self.assertEqual(answer.status, 200, answer)
            wait_until("there are two revisions", lambda: "deps:2" in self.tool(
                "template", "ls", "deps", "--workspace", "acme", data=data).stdout)
            self.tool("template", "rm", "deps:1", "--workspace", "acme", data=data)
            would = self.tool("gc", "templates", "--dry-run", data=data).stdout.split()
            self.assertEqual((would[1], would[5]), ("1", "kB"), would)
            self.tool("gc", "templates", data=data)
            wait_until("a worker has freed it", lambda: self.tool(
                "gc", "templates", "--dry-run", data=data).stdout.split()[1] == "0")
        type(self).data = data

    def test_2_a_second_backup_is_small(self):
        chunks = lambda: {p: p.stat().st_ino for p in (self.vault / "chunks").glob("*/*")}
        self.backup(self.data)
        before = chunks()
        self.backup(self.data)
        added = set(chunks()) - set(before)
        self.assertTrue(before.items() <= chunks().items())
        # The database's pages, where it has changed, and nothing else.
        self.assertLessEqual(len(added), 2)
        names = self.tool("backup", "ls", self.vault).stdout
        self.assertEqual(names.count("kiln 0"), 3, names)
        self.tool("backup", self.vault, "--keep", "1", data=self.data)
        self.assertEqual(len(list((self.vault / "backups").iterdir())), 1)
        self.assertIn("is whole", self.tool("backup", "verify", self.vault).stdout)

    def test_3_it_moves_to_postgresql_and_back(self):
        cluster = OwnCluster()
        self.addCleanup(cluster.remove)
        server = {"KILN_DATABASE": cluster.url}
        kiln = self.kiln
        self.backup(self.data)
        with contextlib.closing(sqlite3.connect(self.data / "kiln.db")) as db:
            tables = [t for t, in db.execute("select name from sqlite_schema where type = 'table'")]
            rows = {t: db.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}
            builds = db.execute("select * from builds order by id").fetchall()
        there = kiln.directory / "on-postgresql"
        self.tool("restore", self.vault, data=there, env=server)
        self.assertFalse((there / "kiln.db").exists())
        done = self.tool("restore", self.vault, data=kiln.directory / "again", env=server,
                         check=False)
        self.assertIn("it is in use", done.stderr)
        self.backup(there, server)
        back = kiln.directory / "back"
        self.tool("restore", self.vault, data=back)
        with contextlib.closing(sqlite3.connect(back / "kiln.db")) as db:
            rows["secrets"] += 1  # of the restore on the server
            self.assertEqual(rows, {t: db.execute(f"select count(*) from {t}").fetchone()[0]
                                    for t in tables})
            self.assertEqual(builds, db.execute("select * from builds order by id").fetchall())
        with self.serving(there, server):
            self.check_all_is_there(there)
            kiln.deploy("two", zip_of({"Dockerfile": QUICK.format("two")}))
            self.assertEqual(kiln.image("two")[1]["/two"], b"two\n")

    def killed(self, begun, milliseconds, *words):
        """So long after the file `begun` was there."""
        process = Process([KILN, *words], self.kiln.directory / "killed")
        while not begun.exists() and process.popen.poll() is None:
            time.sleep(0.0005)
        time.sleep(milliseconds / 1000)
        process.kill()

    def test_4_a_killed_backup_is_none(self):
        names = lambda: sorted(p.name for p in (self.vault / "backups").iterdir()
                               if not p.name.startswith("."))
        shutil.rmtree(self.vault)
        for milliseconds in (0, 3, 10, 20, 30, 50, 80, 120, 200):
            before = names() if self.vault.exists() else []
            with contextlib.suppress(FileNotFoundError):
                (self.vault / "backups/.making").unlink()
            self.killed(self.vault / "backups/.making", milliseconds, "backup", self.vault,
                        "--data-dir", self.data)
            after = names()
            self.assertLessEqual(len(after) - len(before), 1)
            if after:
                self.tool("backup", "verify", self.vault)
        self.backup(self.data)
        self.tool("backup", self.vault, "--keep", "1", data=self.data)
        self.assertEqual(sorted(p.name for p in self.vault.iterdir()),
                         ["backups", "chunks", "format", "lock"])
        self.assertEqual([p for p in self.vault.rglob("*.tmp-*")], [])
        self.tool("backup", "verify", self.vault)

    def test_5_a_killed_restore_is_done_again(self):
        data = self.kiln.directory / "killed-restore"
        begun = 0
        for milliseconds in (0, 0, 2, 5, 10, 20):
            again = (data / ".restoring").exists()
            self.killed(data / ("kiln.db" if again else ".restoring"), milliseconds, "restore",
                        self.vault, "--data-dir", data)
            if not (data / ".restoring").exists():
                shutil.rmtree(data, ignore_errors=True)
                continue
            begun += 1
            for command in (["serve", "--listen", "127.0.0.1:0"], ["key", "list"], ["worker"]):
                done = self.tool(*command, data=data, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("a restore into", done.stderr)
        self.assertGreater(begun, 0)
        self.tool("restore", self.vault, data=data)
        self.assertFalse((data / ".restoring").exists())
        with self.serving(data):
            self.check_all_is_there(data)

    def test_6_damage_is_told(self):
        chunk = max((self.vault / "chunks").glob("*/*"), key=lambda p: p.stat().st_size)
        whole = chunk.read_bytes()
        chunk.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
        for words in (["backup", "verify", self.vault], ["restore", self.vault]):
            done = self.tool(*words, data=self.kiln.directory / "damaged", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{chunk.name} is damaged", done.stderr)
        chunk.unlink()
        done = self.tool("backup", "verify", self.vault, check=False)
        self.assertIn("is missing", done.stderr)
        manifest = next((self.vault / "backups").iterdir())
        text = manifest.read_bytes()
        manifest.write_bytes(text.replace(b"schema 1", b"schema 9"))
        done = self.tool("restore", self.vault, data=self.kiln.directory / "x", check=False)
        self.assertIn("the manifest is damaged", done.stderr)
        self.assertFalse((self.kiln.directory / "x").exists())


if __name__ == "__main__":
    kiln_server.main()
