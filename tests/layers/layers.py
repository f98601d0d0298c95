"""Holds the drawing of docs/architecture.md, and the house rules a machine can see.

usage: layers.py DIRECTORY     prints every breach and exits with 1 if there is one

  includes   are written from the root; a folder includes what is below it in the drawing, others
             only by folder/folder.h, base by any of its headers; tests and benches include all,
             and may name a header beside them bare
  functions  that cannot be used safely are not used; tests may use what is merely careless
  sizes      600 lines a file, 100 lines a function
  names      no util, common, misc or helper
"""
import os
import re
import sys

MIDDLE = {"uploads", "dockerfile", "builder", "registry", "templates", "backup"}
BELOW = {
    "base": set(),
    "objects": {"base"},
    **{folder: {"base"} for folder in MIDDLE},
    "uploads": {"base", "objects"},
    "templates": {"base", "objects"},
    "worker": MIDDLE | {"base", "objects"},
    "api": MIDDLE | {"base", "objects", "worker"},
    "programs": MIDDLE | {"base", "objects", "worker", "api"},
}
FREE = {"tests", "bench", "examples"}  # may include anything

FILE_LINES = 600
FUNCTION_LINES = 100

BANNED = {
    "strcpy": "snprintf or memcpy", "strcat": "struct buf", "strncpy": "snprintf",
    "strncat": "struct buf", "stpcpy": "struct buf", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "gets": "fgets", "strtok": "strsep or strcspn",
    "atoi": "text_to_u64", "atol": "text_to_u64", "atoll": "text_to_u64", "atof": "strtod",
    "system": "process_run", "popen": "process_run", "vfork": "process_run",
    "alloca": "struct buf", "tmpnam": "mkdtemp", "tempnam": "mkdtemp", "mktemp": "mkdtemp",
    "ctime": "clock_format", "asctime": "clock_format", "gmtime": "gmtime_r",
    "localtime": "localtime_r", "strerror": "error_errno", "rand": "digest_random",
    "srand": "digest_random", "random": "digest_random",
}
# These overflow, race for a name, or run a shell: not even in a test.
BANNED_EVERYWHERE = set("strcpy strcat stpcpy sprintf vsprintf gets system popen vfork alloca tmpnam "
                        "tempnam mktemp".split())
BAD_WORDS = {"util", "utils", "common", "misc", "helper", "helpers"}

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.M)
CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(BANNED)) + r")\s*\(")


def sources(root):
    """Every C and C++ file of the folders, as a path from the root."""
    for folder in sorted(os.listdir(root)):
        if folder.startswith((".", "build")) or not os.path.isdir(os.path.join(root, folder)):
            continue
        for directory, below, names in os.walk(os.path.join(root, folder)):
            below[:] = [d for d in below if d not in ("node_modules", ".git")]
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cpp", ".hpp", ".cc")):
                    yield os.path.relpath(os.path.join(directory, name), root)


def blank(match, keep_strings):
    text = match.group(0)
    if text[0] in "\"'" and keep_strings:
        return text
    return re.sub(r"[^\n]", " ", text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_include(folder, target):
    """Why this folder may not include that path; None if it may."""
    parts = target.split("/")
    if folder in FREE and len(parts) == 1:
        return None
    if len(parts) < 2 or ".." in parts or "." in parts:
        return "an include is written from the root: folder/header.h"
    if folder in FREE or parts[0] == folder:
        return None
    if folder not in BELOW:
        return f"the folder {folder} is not in the drawing"
    if parts[0] not in BELOW[folder]:
        return f"{folder} does not stand on {parts[0]}"
    if parts[0] != "base" and target != f"{parts[0]}/{parts[0]}.h":
        return f"{parts[0]} is included by {parts[0]}/{parts[0]}.h alone"
    return None


def check_includes(path, text):
    folder = path.split(os.sep)[0]
    if folder not in FREE and folder not in BELOW:
        yield 1, f"the folder {folder} is not in the drawing"
    for match in INCLUDE.finditer(text):
        why = check_include(folder, match.group(1))
        if why:
            yield line_of(text, match.start()), f'"{match.group(1)}": {why}'


def check_calls(path, text):
    free = path.split(os.sep)[0] in FREE
    for match in CALL.finditer(text):
        name = match.group(1)
        if name in BANNED_EVERYWHERE or not free:
            yield line_of(text, match.start()), f"{name} is banned: use {BANNED[name]}"


def check_sizes(text):
    lines = text.split("\n")
    count = len(lines) - (lines[-1] == "")
    if count > FILE_LINES:
        yield count, f"{count} lines, and {FILE_LINES} is the most a file has"
    # clang-format puts a function's braces, and a namespace's, alone in the first column.
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{" and not lines[number - 2].startswith(("namespace", "extern")):
            start = number
        elif line == "}" and start:
            if number - start + 1 > FUNCTION_LINES:
                yield start, (f"a function of {number - start + 1} lines, and {FUNCTION_LINES} is "
                              "the most one has")
            start = None


def check_name(path):
    for part in path.split(os.sep):
        words = set(re.split(r"[^a-z]+", part.lower()))
        if words & BAD_WORDS:
            yield 1, f"{part} names no job: no file is called util, common, misc or helper"


def breaches(root):
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        code = TOKEN.sub(lambda m: blank(m, keep_strings=True), text)
        bare = TOKEN.sub(lambda m: blank(m, keep_strings=False), text)
        for check in (check_includes(path, code), check_calls(path, bare), check_sizes(text),
                      check_name(path)):
            for line, why in check:
                yield f"{path}:{line}: {why}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = sys.argv[1]
    count = sum(1 for _ in sources(root))
    found = list(breaches(root))
    for breach in found:
        print(breach)
    print(f"{count} files, {len(found)} breaches")
    if found or count < 10:
        sys.exit(1)


if __name__ == "__main__":
    main()
