"""docs/fuzzing.md names every fuzzer of the tree, and none that is not there."""
import os
import pathlib
import re
import unittest

SOURCE = pathlib.Path(os.environ.get("KILN_SOURCE", pathlib.Path(__file__).parents[2]))


class Documented(unittest.TestCase):
    def test_the_manual_and_the_tree_agree(self):
        there = {f"{path.parent.name}/{path.stem}" for path in SOURCE.glob("tests/*/fuzz_*.c")}
        named = set(re.findall(r"`(\w+/fuzz_\w+)`", (SOURCE / "docs/fuzzing.md").read_text()))
        self.assertEqual(there, named)


if __name__ == "__main__":
    unittest.main()
