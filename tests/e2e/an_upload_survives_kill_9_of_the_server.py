"""kill -9 in the middle of a build, a restart, and the client still ends at DEPLOYED."""
import time
import unittest

import kiln_server
from kiln_server import Bases, Kiln, folders_named, wait_until, zip_of


class KillNine(unittest.TestCase):
    def setUp(self):
        self.bases = Bases(kiln_server.KEEP / "bases")
        self.addCleanup(self.bases.stop)
        self.kiln = Kiln(self.bases)
        self.addCleanup(self.kiln.remove)
        self.addCleanup(self.show)
        self.kiln.start()

    def show(self):
        for process in self.kiln.processes:
            print(f"---- {process.log.name} ----\n{process.text()[-4000:]}")

    def test_kill_9_while_building(self):
        kiln = self.kiln
        kiln.submit("phoenix", zip_of({"Dockerfile": "FROM alpine:3.20\n"
                                       "RUN echo it begins && sleep 8 && echo it ends\n"}))
        kiln.submit("queued", zip_of({"Dockerfile": "FROM alpine:3.20\nRUN echo later\n"}))
        wait_until("the build runs", lambda: kiln.status("phoenix") == "BUILDING" and any(
            m.endswith("it begins") for m in kiln.log_lines("phoenix")))
        self.assertTrue(self.job_directories(), "the test looks in the right place")
        kiln.serve.kill()
        wait_until("every process it had started is gone", lambda: not kiln.processes_of())

        kiln.start()
        self.assertEqual(kiln.wait_for_end("phoenix"), "DEPLOYED")
        self.assertEqual(kiln.wait_for_end("queued"), "DEPLOYED")
        self.assertTrue(any(m.endswith("it ends") and "RUN" not in m for m in kiln.log_lines("phoenix")))
        wait_until("no job directory is left", lambda: not self.job_directories())
        time.sleep(1)
        kiln.stop()
        self.assertEqual(kiln.leftovers(), [])

    def job_directories(self):
        return [p for jobs in folders_named(self.kiln.data, "jobs")
                for p in jobs.iterdir() if p.is_dir()]

    def test_a_stop_in_the_middle_hands_the_build_back(self):
        kiln = self.kiln
        kiln.submit("patient", zip_of({"Dockerfile": "FROM alpine:3.20\n"
                                       "RUN echo it begins && sleep 8 && echo it ends\n"}))
        wait_until("the build runs", lambda: any(
            m.endswith("it begins") for m in kiln.log_lines("patient")))
        self.assertEqual(kiln.serve.stop(), 0, "SIGTERM is a clean end")
        wait_until("every process is gone", lambda: not kiln.processes_of())
        kiln.start()
        self.assertEqual(kiln.wait_for_end("patient"), "DEPLOYED")


if __name__ == "__main__":
    kiln_server.main()
