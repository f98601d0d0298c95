"""Every rule of layers.py, broken once in a tree made for it, must be seen; what is allowed must not."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.py")

# A tree that keeps every rule.
GOOD = {
    "base/error.h": "",
    "base/error.c": '#include "base/error.h"\n',
    "base/toml.cpp": "namespace\n{\n" + "int x();\n" * 200 + "}\n",
    "uploads/uploads.h": '#include "base/error.h"\n',
    "uploads/zip.h": "",
    "uploads/zip.c": '#include "uploads/zip.h"\n#include <zip/zip.h>\n',
    "builder/builder.h": '#include "base/error.h"\n',
    "worker/worker.h": '#include "builder/builder.h"\n#include "uploads/uploads.h"\n',
    "api/api.c": '#include "worker/worker.h"\n#include "base/error.h"\n#include "uploads/uploads.h"\n',
    "programs/kiln.c": '#include "api/api.h"\n#include "worker/worker.h"\n',
    "tests/uploads/fixture.h": "",
    "tests/uploads/zip_test.c": '#include "fixture.h"\n#include "uploads/zip.h"\nint x = atoi(y);\n',
    "base/words.c": "/* never strcpy(a, b) */\n// nor system(x)\nchar *s = \"atoi(x)\";\n"
                    "int my_system(void);\nint f(void)\n{\n    return o->system(1) + o.rand();\n}\n",
}


def run(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**GOOD, **files}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True,
                              check=False)


class Layers(unittest.TestCase):
    def assert_seen(self, path, text, why):
        done = run({path: text})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(path, done.stdout)
        self.assertIn(why, done.stdout)
        self.assertIn(" 1 breaches", done.stdout)

    def test_a_tree_that_keeps_every_rule_passes(self):
        done = run({})
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_an_empty_tree_is_no_pass(self):
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run([sys.executable, SCRIPT, root], check=False, capture_output=True)
        self.assertEqual(done.returncode, 1)

    def test_arrows_that_the_drawing_lacks_are_seen(self):
        for path, target, why in (
                ("base/x.c", "uploads/uploads.h", "base does not stand on uploads"),
                ("base/x.h", "worker/worker.h", "base does not stand on worker"),
                ("uploads/x.c", "builder/builder.h", "uploads does not stand on builder"),
                ("dockerfile/x.c", "registry/registry.h", "dockerfile does not stand on registry"),
                ("registry/x.cpp", "worker/worker.h", "registry does not stand on worker"),
                ("templates/x.c", "uploads/uploads.h", "templates does not stand on uploads"),
                ("worker/x.c", "api/api.h", "worker does not stand on api"),
                ("worker/x.h", "programs/config.h", "worker does not stand on programs"),
                ("api/x.c", "programs/config.h", "api does not stand on programs"),
                ("api/x.c", "tests/x/fixture.h", "api does not stand on tests")):
            with self.subTest(path=path, target=target):
                self.assert_seen(path, f'#include "{target}"\n', why)

    def test_another_folders_inner_header_is_seen(self):
        self.assert_seen("worker/x.c", '#include "uploads/zip.h"\n', "uploads/uploads.h alone")
        self.assert_seen("api/x.c", '#include "worker/state.h"\n', "worker/worker.h alone")
        self.assert_seen("programs/x.c", '#include "api/call.h"\n', "api/api.h alone")

    def test_an_include_that_is_not_from_the_root_is_seen(self):
        self.assert_seen("base/x.c", '#include "error.h"\n', "from the root")
        self.assert_seen("base/x.c", '#include "../uploads/uploads.h"\n', "from the root")
        self.assert_seen("tests/base/x.c", '  #  include "../x.h"\n', "from the root")

    def test_a_folder_that_is_not_drawn_is_seen(self):
        self.assert_seen("attic/x.c", "\n", "not in the drawing")

    def test_every_banned_function_is_seen(self):
        for name in ("strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets strtok atoi atol "
                     "atoll atof system popen vfork alloca tmpnam tempnam mktemp ctime asctime "
                     "gmtime localtime strerror rand srand random").split():
            with self.subTest(name=name):
                self.assert_seen("uploads/x.c", f"int y = {name} (a);\n", f"{name} is banned")
        self.assert_seen("tests/base/x.c", "\n\nint y = system(a);\n", "x.c:3: system is banned")

    def test_a_file_of_601_lines_is_seen(self):
        self.assert_seen("base/x.c", "int x;\n" * 601, "601 lines")
        self.assertEqual(run({"base/x.c": "int x;\n" * 600}).returncode, 0)

    def test_a_function_of_101_lines_is_seen(self):
        body = "int f(void)\n{\n" + "    x++;\n" * 99 + "}\n"
        self.assert_seen("base/x.c", body, "x.c:2: a function of 101 lines")
        self.assertEqual(run({"base/x.c": body.replace("    x++;\n", "", 1)}).returncode, 0)
        self.assert_seen("base/x.cpp", "namespace\n{\n\n" + body + "}\n", "of 101 lines")

    def test_a_name_that_names_no_job_is_seen(self):
        for path in ("base/util.c", "base/common.h", "uploads/misc.c", "tests/base/helpers.c",
                     "uploads/zip_utils.c", "tests/helper/x.c"):
            with self.subTest(path=path):
                self.assert_seen(path, "\n", "names no job")


if __name__ == "__main__":
    unittest.main()
