"""What package managers keep for themselves is not in an image, and the log says so; with
`[build] slim = false`, or --no-slim, it is as the Dockerfile makes it, and no step runs again."""
import unittest

import kiln_server
from kiln_server import KilnCase, zip_of

LIST = "/var/lib/apt/lists/deb_Packages"
FILES = {
    "Dockerfile": "FROM alpine:3.20\n"
                  "ARG SOURCE_DATE_EPOCH\n"
                  f"RUN mkdir -p /var/lib/apt/lists && echo index >{LIST}\n"
                  f"RUN cp {LIST} /copy && ln -s /app /link\n",
    ".dockerignore": "blaxel.toml\n",  # the switch counts although no step can see it
    ".env.build": "SOURCE_DATE_EPOCH=1700000000\n",
}
OFF = {"blaxel.toml": "[build]\nslim = false\n"}
SAYS = "slim: removed 6 B of apt's package lists: 1 file in /var/lib/apt/lists"


class Slim(KilnCase):
    def deploy(self, name, files):
        """The image's files, its layers' digests, and the build's log."""
        self.kiln.deploy(name, zip_of(files))
        layers = [layer["digest"] for layer in self.kiln.manifest(name).json["layers"]]
        return self.kiln.image(name)[1], layers, "\n".join(self.kiln.log_lines(name))

    def test_the_switch_restores_everything_and_takes_it_away_again(self):
        files, slim, log = self.deploy("switched", FILES)
        self.assertNotIn(LIST, files)
        self.assertEqual(files["/copy"], b"index\n", "a later step saw it")
        self.assertIn(SAYS, log)
        self.assertIn("slim: [build] slim = false in blaxel.toml keeps all", log)

        files, whole, log = self.deploy("switched", {**FILES, **OFF})
        self.assertEqual(files[LIST], b"index\n")
        self.assertNotIn("slim:", log)
        self.assertNotIn("reuse an identical", log)
        self.assertEqual(log.count("CACHED"), 3, log)

        self.assertEqual(self.deploy("switched", FILES)[1], slim)
        self.check_command_line(whole, slim)

    def check_command_line(self, whole, slim):
        """Another workspace, so another cache, and the same layers but for sandbox-api's."""
        folder = self.kiln.directory / "folder"
        folder.mkdir()
        for name, text in FILES.items():
            (folder / name).write_text(text)
        for words, layers in ([], slim), (["--no-slim"], whole):
            done = self.kiln.run("build", folder, "--type", "agent", "--name", "x", *words,
                                 *self.kiln.common())
            self.assertEqual(SAYS in done.stdout, not words, done.stdout)
            manifest = self.kiln.manifest("x", kind="agent", workspace="local").json
            built = [layer["digest"] for layer in manifest["layers"]]
            self.assertEqual([d for d in layers if d in built], built)

    def test_the_switch_must_be_true_or_false(self):
        self.kiln.submit("typo", zip_of({**FILES, "blaxel.toml": "[build]\nslim = \"no\"\n"}))
        self.assertEqual(self.kiln.wait_for_end("typo"), "FAILED")
        self.assertIn("build.slim must be true or false", "\n".join(self.kiln.log_lines("typo")))


if __name__ == "__main__":
    kiln_server.main()
