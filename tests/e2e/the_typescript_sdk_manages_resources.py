"""The unmodified @blaxel/core makes, changes, lists and deletes agents, functions and jobs, reads
their revisions and events (PROTOCOL 5, 6.3), and accepts what another account shares."""
import json
import os
import subprocess
import types
import unittest

from kiln_server import WORKSPACE, Kiln, free_port, main
from the_typescript_sdk_builds_to_deployed import HERE, installed_client

GIVER = "printers"  # a workspace of another account


class TheTypescriptSdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        client = installed_client()
        # Nothing is built here, so no base images are needed.
        cls.kiln = Kiln(types.SimpleNamespace(port=free_port()), 0)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()
        key = cls.kiln.key()
        cls.offer_images()
        done = subprocess.run(
            ["node", HERE / "resources.mjs"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=120,
            env={**os.environ, "BL_API_URL": cls.kiln.url, "BL_API_KEY": key,
                 "BL_WORKSPACE": WORKSPACE, "DO_NOT_TRACK": "1", "KILN_E2E_CLIENT": str(client),
                 "HOME": str(cls.kiln.directory)})
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        cls.told = json.loads(done.stdout.splitlines()[-1])

    @classmethod
    def offer_images(cls):
        cls.kiln.run("account", "create", "initech", "--data-dir", cls.kiln.data)
        cls.kiln.run("workspace", "create", GIVER, "--account", "initech",
                     "--data-dir", cls.kiln.data)
        to_us = {"targetWorkspace": WORKSPACE, "targetAccountId": "default"}
        for name in ("first", "second"):
            made = cls.kiln.request("POST", "/images?upload=true",
                                    {"name": name, "resourceType": "sandbox"}, GIVER)
            offered = cls.kiln.request("POST", f"/images/sandbox/{name}/share", to_us, GIVER)
            if (made.status, offered.status) != (200, 202):
                raise AssertionError(f"{made} {offered}")

    def test_resources_are_made_changed_and_deleted(self):
        for kind in ("agent", "function", "job"):
            with self.subTest(kind):
                told = self.told[kind]
                self.assertEqual((told["absent"]["status"], told["absent"]["body"]["code"]),
                                 (404, 404))
                self.assertEqual(told["made"]["status"], 200)
                self.assertEqual(told["again"]["status"], 409)
                self.assertEqual(told["again"]["body"]["error"], f"{kind}_already_exists")
                self.assertEqual(told["changed"]["status"], 200)
                got = told["got"]["body"]
                self.assertEqual(got["metadata"]["labels"], {"team": "ml"})
                self.assertEqual(got["metadata"]["externalId"], "ours-7")
                self.assertEqual(got["spec"]["ours"], {"kept": [1, None]})
                self.assertEqual(got["spec"]["runtime"]["image"], f"{kind}/base:latest")
                self.assertEqual(got["status"], "DEPLOYED")
                self.assertEqual(told["deleted"]["body"]["status"], "DELETING")
                self.assertEqual(told["gone"]["status"], 404)

    def test_lists_come_in_pages(self):
        for kind in ("agent", "function", "job"):
            with self.subTest(kind):
                page, following = (self.told[kind][p]["body"] for p in ("page", "next"))
                names = [r["metadata"]["name"] for r in page["data"] + following["data"]]
                self.assertEqual(sorted(names), ["one", "three", "two"])
                self.assertEqual((page["meta"]["hasMore"], page["meta"]["total"]), (True, 3))
                self.assertEqual((following["meta"]["hasMore"], following["meta"]["nextCursor"]),
                                 (False, ""))

    def test_revisions_and_events_tell_of_the_same(self):
        for kind in ("agent", "function", "job"):
            with self.subTest(kind):
                revisions = self.told[kind]["revisions"]["body"]
                events = self.told[kind]["got"]["body"]["events"]
                self.assertEqual([(r["status"], r["active"], r["previousActive"])
                                  for r in revisions],
                                 [("DEPLOYED", True, False), ("DEPLOYED", False, True)])
                self.assertEqual([e["type"].removeprefix("ai.blaxel.controlplane.")
                                  for e in events],
                                 ["deployment.created", "deployment.ready", "deployment.succeeded",
                                  "api.update", "deployment.created", "deployment.ready",
                                  "deployment.succeeded"])
                self.assertEqual((events[2]["revision"], events[6]["revision"]),
                                 (revisions[1]["id"], revisions[0]["id"]))

    def test_another_accounts_image_is_declined_or_accepted(self):
        incoming = self.told["incoming"]["body"]
        self.assertEqual([(p["imageName"], p["sourceWorkspace"]) for p in incoming],
                         [("first", GIVER), ("second", GIVER)])
        self.assertEqual(self.told["declined"]["status"], 204)
        self.assertEqual(self.told["accepted"]["status"], 200)
        self.assertEqual(self.told["accepted"]["body"]["metadata"]["sourceWorkspace"], GIVER)
        self.assertEqual(self.told["later"]["body"], [])
        seen = [i["metadata"]["name"] for i in self.kiln.get("/images").json]
        self.assertEqual(seen, ["second"])


if __name__ == "__main__":
    main()
