"""examples/hello-sandbox.zip is committed; it must not fall behind examples/hello-sandbox."""
import pathlib
import subprocess
import tempfile
import unittest
import zipfile

import kiln_server
from kiln_server import SOURCE

COMMITTED = SOURCE / "examples/hello-sandbox.zip"


def entries(path):
    """Not the bytes of the file: another zlib packs the same content otherwise."""
    with zipfile.ZipFile(path) as archive:
        return [(e.filename, e.date_time, e.external_attr, archive.read(e))
                for e in archive.infolist()]


class TheExample(unittest.TestCase):
    def test_the_archive_is_made_from_its_folder(self):
        with tempfile.TemporaryDirectory() as place:
            made = pathlib.Path(place) / "made.zip"
            subprocess.run([SOURCE / "examples/make-zip", "hello-sandbox", made], check=True)
            self.assertEqual(entries(COMMITTED), entries(made), "run examples/make-zip")


if __name__ == "__main__":
    kiln_server.main()
