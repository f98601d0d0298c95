"""`kiln build DIR|ARCHIVE`: the same pipeline, live on the terminal."""
import re
import shutil
import unittest

import kiln_server
from kiln_server import Bases, Kiln, Process, SOURCE, http_request

HELLO = SOURCE / "examples/hello-sandbox"


class KilnBuild(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(bases.stop)
        cls.kiln = Kiln(bases)  # a data directory that nobody serves
        cls.addClassCleanup(cls.kiln.remove)

    def build(self, what, *more, check=True):
        return self.kiln.run("build", what, *more, *self.kiln.common(), check=check)

    def check_end(self, done, name):
        told = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, told)
        self.assertRegex(told, r"(?m)\d entrypoint\.sh reads well$|^#\d+ CACHED$",
                         "the log is shown, of the second build that it was cached")
        reference = re.search(rf"{re.escape(self.kiln.registry)}/\S+/sandbox/{name}:[a-z0-9]{{12}}",
                              told)
        self.assertTrue(reference, told)
        digest = re.search(r"digest +(sha256:[0-9a-f]{64})", told)
        self.assertTrue(digest, told)
        self.assertEqual(self.kiln.leftovers(), [])
        return reference.group(0), digest.group(1)

    def test_a_folder(self):
        reference, digest = self.check_end(self.build(HELLO, "--type", "sandbox"), "hello-sandbox")
        self.check_image(reference, digest)

    def test_an_archive(self):
        archive = SOURCE / "examples/hello-sandbox.zip"
        done = self.build(archive, "--type", "sandbox", "--name", "from-zip")
        reference, digest = self.check_end(done, "from-zip")
        self.check_image(reference, digest)

    def check_image(self, reference, digest):
        """It stays in the data directory: a registry on the same files serves it."""
        config = self.kiln.directory / "registry.json"
        data = next(p for p in (self.kiln.data / "registry").rglob("docker")
                    if p.is_dir()).parent
        config.write_text('{"version":0.1,"storage":{"filesystem":{"rootdirectory":"%s"}},'
                          '"http":{"addr":"%s"}}' % (data, self.kiln.registry))
        registry = Process(["docker-registry", "serve", config], self.kiln.directory / "reg.log")
        self.addCleanup(registry.kill_group)
        host, _, path = reference.partition("/")
        repository, _, tag = path.rpartition(":")
        url = f"http://{host}/v2/{repository}/manifests/"

        def get(what):
            return http_request("GET", url + what, headers={
                "Accept": "application/vnd.oci.image.manifest.v1+json, "
                          "application/vnd.docker.distribution.manifest.v2+json"})

        def listening():
            try:
                return get(tag)
            except OSError:
                return None

        answer = kiln_server.wait_until("the registry answers", listening)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Docker-Content-Digest"], digest)
        self.assertEqual(get("latest").body, answer.body)
        registry.kill_group()

    def test_type_and_name_are_blaxel_tomls(self):
        folder = self.kiln.directory / "agent"
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM alpine:3.20\nCMD [\"true\"]\n")
        (folder / "blaxel.toml").write_text('type = "agent"\nname = "My_Agent"\n')
        told = self.build(folder).stdout
        self.assertRegex(told, r"(?m)^Built agent/my-agent in ")
        self.assertRegex(self.build(folder, "--type", "job", "--name", "x").stdout,
                         r"(?m)^Built job/x in ")
        (folder / "blaxel.toml").write_text('type = "volume-template"\n')
        done = self.build(folder, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("of which no image is built", done.stderr)

    def test_a_build_stands_on_the_image_of_another(self):
        for name, dockerfile in (
                ("first", "FROM alpine:3.20\nRUN echo one > /one\nCMD [\"true\"]\n"),
                ("second", f"FROM {self.kiln.registry}/local/job/first\nRUN cat /one /one > /two\n")):
            folder = self.kiln.directory / name
            folder.mkdir()
            (folder / "Dockerfile").write_text(dockerfile)
            done = self.build(folder, "--type", "job", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.kiln.leftovers(), [])

    def test_a_build_that_fails_says_so_and_exits_with_1(self):
        folder = self.kiln.directory / "broken"
        shutil.copytree(HELLO, folder)
        (folder / "Dockerfile").write_text("FROM alpine:3.20\nRUN echo no luck; exit 7\n")
        done = self.build(folder, check=False)
        told = done.stdout + done.stderr
        self.assertNotIn(done.returncode, (0, -6, -11))
        self.assertIn("no luck", told)
        self.assertRegex(told, r"exit code:? 7")
        self.assertRegex(told, r"2 \| >>> RUN echo no luck; exit 7")

    def test_a_folder_that_is_not_there_is_named(self):
        done = self.build("/no/such/folder", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/folder", done.stderr)


if __name__ == "__main__":
    kiln_server.main()
