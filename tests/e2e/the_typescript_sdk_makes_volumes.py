"""The unmodified @blaxel/core from npm makes volumes of a template (PROTOCOL 3.3, 8.3)."""
import json
import os
import subprocess

from kiln_server import WORKSPACE
from the_typescript_sdk_builds_to_deployed import HERE, installed_client
from volume_case import VolumeCase, main, make_tree, tar_of


class TheTypescriptSdk(VolumeCase):
    def test_makes_finds_grows_and_deletes_volumes(self):
        client = installed_client()
        tree = make_tree(self.work / "tree")
        self.deploy("mytemplate", tar_of(tree), 128)
        done = subprocess.run(
            ["node", HERE / "volumes.mjs", "mytemplate:latest"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
            env={**os.environ, "BL_API_URL": self.kiln.url, "BL_API_KEY": self.kiln.key(),
                 "BL_WORKSPACE": WORKSPACE, "DO_NOT_TRACK": "1", "KILN_E2E_CLIENT": str(client),
                 "HOME": str(self.kiln.directory)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = {}
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                fact = json.loads(line)
                told.setdefault(fact.pop("what"), fact)
        usual = {"name": "sdk", "size": 1024, "status": "DEPLOYED"}
        for what in ("made", "found", "got", "listed"):
            self.assertEqual(told[what], usual, told)
        self.assertEqual(told["existing"],
                         {"refused": True, "code": 409, "error": "VOLUME_ALREADY_EXISTS"})
        self.assertEqual(told["too small"],
                         {"refused": True, "code": 400, "error": "volume_too_small"})
        self.assertEqual(told["shrunk"]["error"], "volume_cannot_shrink")
        self.assertEqual(told["deleted"]["code"], 404)
        self.assertEqual(told["empty"]["status"], "DEPLOYED")
        self.assertEqual((told["grown"]["size"], told["grown"]["status"]), (2048, "DEPLOYED"))
        self.assert_volume_is(self.volume_file("sdk"), tree)
        self.assertFalse(self.volume_file("sdk-empty").exists())


if __name__ == "__main__":
    main()
