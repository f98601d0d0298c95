"""`bl deploy` on a terminal (PROTOCOL 2.1, 2.5): BUILDING must show at a tick 4 s after the upload,
even when the build took one second."""
import time

import kiln_server
from kiln_server import KilnCase, zip_of

QUICK = zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo quick\n"})


class InteractiveDeploy(KilnCase):
    def apply(self, kind, name):
        """What `bl deploy` sends first; the upload URL."""
        body = {"metadata": {"name": name, "labels": {"x-blaxel-auto-generated": "true"}},
                "spec": {"runtime": {"memory": 2048, "envs": []}}}
        if kind == "sandboxes":
            answer = self.kiln.request("POST", f"/{kind}?upload=true", body)
            if answer.status == 409:
                self.assertEqual(answer.headers.get("x-should-retry"), "false")
                answer = self.kiln.request("PUT", f"/{kind}/{name}?upload=true", body)
        else:
            answer = self.kiln.request("PUT", f"/{kind}/{name}?upload=true", body)
            if answer.status in (404, 405):
                answer = self.kiln.request("POST", f"/{kind}?upload=true", body)
        self.assertIn(answer.status, (200, 201), answer)
        self.assertEqual(answer.json["status"], "UPLOADING", "reset at once")
        return answer.headers["X-Blaxel-Upload-Url"]

    def follow(self, kind, name):
        """A second's sleep, the first GET, which does not count, then a tick every 3 s."""
        time.sleep(1)
        seen = []
        self.kiln.get(f"/{kind}/{name}")
        for _ in range(60):
            time.sleep(3)
            status = self.kiln.get(f"/{kind}/{name}").json["status"]
            seen.append(status)
            if status in ("DEPLOYED", "FAILED"):
                return seen
        self.fail(f"no end: {seen}")

    def check_deploy(self, kind, name, archive=QUICK):
        url = self.apply(kind, name)
        self.assertEqual(self.kiln.get(f"/{kind}/{name}").json["status"], "UPLOADING")
        self.assertEqual(self.kiln.upload(url, archive).status, 200)
        seen = self.follow(kind, name)
        self.assertEqual(seen[-1], "DEPLOYED", self.kiln.log_lines(name, kind))
        self.assertIn("BUILDING", seen, "without it the CLI waits for an hour")
        order = ["UPLOADING", "BUILDING", "DEPLOYING", "DEPLOYED"]
        self.assertEqual(seen, sorted(seen, key=order.index), "never back")
        resource = self.kiln.get(f"/{kind}/{name}").json
        return resource["spec"]["runtime"]["image"], len(seen)

    def test_a_sandbox_twice(self):
        first, _ = self.check_deploy("sandboxes", "quick")
        self.assertEqual(self.kiln.get("/sandboxes/quick").json["status"], "DEPLOYED")
        second, ticks = self.check_deploy("sandboxes", "quick")
        self.assertNotEqual(first, second)
        self.assertLessEqual(ticks, 20, "but it is not held back for long either")

    def test_an_agent_a_function_and_a_job(self):
        for kind, singular in (("agents", "agent"), ("functions", "function"), ("jobs", "job")):
            with self.subTest(kind):
                archive = zip_of({"Dockerfile": 'FROM alpine:3.20\nCMD ["/bin/true"]\n'})
                image, _ = self.check_deploy(kind, f"my-{singular}", archive)
                self.assertRegex(image, rf"^{singular}/my-{singular}:[a-z0-9]{{12}}$")
                _, files = self.kiln.image(f"my-{singular}", kind=singular)
                self.assertNotIn("/usr/local/bin/sandbox-api", files)


if __name__ == "__main__":
    kiln_server.main()
