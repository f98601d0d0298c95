"""A PostgreSQL server of one's own, for tests in Python (tests/postgres/cluster)."""
import pathlib
import subprocess
import tempfile

CLUSTER = pathlib.Path(__file__).parents[1] / "postgres/cluster"


class OwnCluster:
    def __init__(self):
        self.above = tempfile.TemporaryDirectory(prefix="kiln-pg-", dir="/tmp")
        pathlib.Path(self.above.name).chmod(0o755)
        self.directory = pathlib.Path(self.above.name, "s")
        self.url = f"postgresql:///kiln?host={self.directory}&user=kiln"
        self.run("start")

    def run(self, verb):
        """start, stop; halt and resume keep what is in it."""
        subprocess.run([CLUSTER, verb, self.directory], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=300)

    def remove(self):
        self.run("stop")
        self.above.cleanup()
