"""zip, curl POST, curl PUT, poll every 3 s (PROTOCOL 2.10): no labels, Info-ZIP's archive."""
import os
import pathlib
import subprocess

import kiln_server
from kiln_server import KilnCase, SOURCE, WORKSPACE


class TheDocumentedScript(KilnCase):
    def run_in(self, folder, name):
        env = {**os.environ, "BASE_URL": self.kiln.url, "API_KEY": self.kiln.key(),
               "WORKSPACE": WORKSPACE, "NAME": name, "no_proxy": "127.0.0.1"}
        script = pathlib.Path(__file__).parent / "documented_script.sh"
        return subprocess.run([script], cwd=folder, env=env, text=True, timeout=240,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def test_ends_in_deployed(self):
        done = self.run_in(SOURCE / "examples/hello-sandbox", "curl-app")
        self.assertEqual(done.returncode, 0, "\n".join(self.kiln.log_lines("curl-app")))
        *statuses, image = done.stdout.splitlines()
        self.assertEqual(statuses[-1], "status DEPLOYED")
        self.assertRegex(image, r"^image sandbox/curl-app:[a-z0-9]{12}$")
        config, files = self.kiln.image("curl-app", image[-12:])
        self.assertEqual(config["config"]["Entrypoint"], ["/entrypoint.sh"])
        self.assertIn("/usr/local/bin/sandbox-api", files)
        self.assertEqual(files["/app/public/index.html"],
                         (SOURCE / "examples/hello-sandbox/public/index.html").read_bytes())


if __name__ == "__main__":
    kiln_server.main()
