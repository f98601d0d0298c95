"""Two processes share one queue: nothing is lost, nothing is built twice."""
import concurrent.futures
import threading

import kiln_server
from kiln_server import KilnCase, zip_of

COUNT = 20


def project(name, marker, before=""):
    return zip_of({"Dockerfile": f"FROM alpine:3.20\n{before}COPY name /name\n"
                   f"RUN echo {marker}-$(cat /name)\n", "name": name})


class TwentyUploadsAtOnce(KilnCase):
    workers = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        kiln = cls.kiln
        cls.other = kiln.spawn("worker", *kiln.common(), "--workers", 1)

    def test_all_are_deployed_and_none_is_built_twice(self):
        kiln, names = self.kiln, [f"many-{i}" for i in range(COUNT)]
        kiln.key()
        at_once = threading.Barrier(COUNT)

        def submit(name):
            url, archive = kiln.announce(name), project(name, "built")
            at_once.wait()
            return kiln.upload(url, archive).status

        with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
            self.assertEqual(list(pool.map(submit, names)), [200] * COUNT)
        ends = {name: kiln.wait_for_end(name, seconds=240) for name in names}
        self.assertEqual(ends, dict.fromkeys(names, "DEPLOYED"))
        for name in names:
            self.check_built_once(name)
        self.check_both_worked()

    def check_built_once(self, name):
        log = self.kiln.log_lines(name)
        self.assertEqual(sum(line.endswith(f"built-{name}") for line in log), 1, log)
        tags = self.kiln.tags(name)
        self.assertEqual(len(tags), 2, tags)
        image = self.kiln.get(f"/sandboxes/{name}").json["spec"]["runtime"]["image"]
        self.assertIn(image.rpartition(":")[2], tags)
        self.assertEqual(self.kiln.image(name)[1]["/name"], name.encode())

    def check_both_worked(self):
        """By what they log: each has built something."""
        for process in (self.kiln.serve, self.other):
            self.assertIsNone(process.popen.poll(), process.text()[-2000:])
            self.assertIn("many-", process.text(), "one of the two workers built nothing")

    def test_a_newer_upload_of_the_same_name_supersedes_the_older(self):
        kiln = self.kiln
        kiln.submit("same", project("older", "older", before="RUN sleep 300\n"))
        kiln_server.wait_until("the older build runs",
                               lambda: any("sleep 300" in m for m in kiln.log_lines("same")))
        kiln.submit("same", project("newer", "newer"))
        self.assertEqual(kiln.wait_for_end("same"), "DEPLOYED",
                         "the older one was stopped, not waited for")
        self.assertEqual(kiln.image("same")[1]["/name"], b"newer")
        self.assertEqual(len(kiln.tags("same")), 2, "the older one was never pushed")
        self.assertFalse([m for m in kiln.log_lines("same") if "older" in m])


if __name__ == "__main__":
    kiln_server.main()
