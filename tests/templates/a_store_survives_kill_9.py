"""Packers and collectors are killed at many moments: every revision that was told as made is there
and whole, and the store verifies."""
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time

KILN = os.environ["KILN"]
KILLS = int(os.environ.get("KILN_KILLS", "25"))  # 100 take a minute or two


def kiln(data, *words):
    return subprocess.run([KILN, *words, "--data-dir", data], capture_output=True, text=True,
                          timeout=120)


def change(tree, turn):
    for i in range(turn % 5, 400, 7):
        with open(f"{tree}/{i % 11}/{i}", "wb") as file:
            file.write(hashlib.shake_128(f"{turn} {i}".encode()).digest(1000 + 97 * i))


def main():
    seed = int(os.environ.get("KILN_SEED", time.time()))
    print("seed", seed)
    chance = random.Random(seed)
    work = tempfile.mkdtemp(prefix="kiln-kill-")
    data, tree = f"{work}/data", f"{work}/tree"
    try:
        for i in range(11):
            os.makedirs(f"{tree}/{i}")
        for turn in range(5):
            change(tree, turn)
        began = time.monotonic()
        assert kiln(data, "template", "pack", "t", tree).returncode == 0
        longest = {"pack": time.monotonic() - began, "gc": time.monotonic() - began}
        finished, killed, turn = 1, 0, -1
        while killed < KILLS:
            turn += 1
            assert turn < 20 * KILLS, f"only {killed} were killed in time"
            change(tree, turn)
            words = ["gc"] if turn % 3 == 2 else ["pack", "t", tree]
            began = time.monotonic()
            child = subprocess.Popen([KILN, "template", *words, "--json", "--data-dir", data],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                out, _ = child.communicate(timeout=chance.uniform(0.005, longest[words[0]]))
                longest[words[0]] = time.monotonic() - began
                if words[0] == "pack":
                    finished = json.loads(out)["revision"]
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                killed += 1
            done = kiln(data, "template", "ls", "t", "--json")
            there = [r["revision"] for r in json.loads(done.stdout)]
            assert max(there) >= finished, (there, finished)
            if turn % 5 == 4:
                done = kiln(data, "template", "verify", "--images")
                assert done.returncode == 0, done.stdout + done.stderr
        for words in (["pack", "t", tree], ["gc"], ["gc"], ["verify", "--images"]):
            done = kiln(data, "template", *words)
            assert done.returncode == 0, done.stdout + done.stderr
        assert not os.listdir(f"{data}/templates/local/tmp"), "rubbish is left"
        assert not os.listdir(f"{data}/templates/local/condemned"), "a condemned pack is left"
        print(f"{killed} of {turn + 1} were killed")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
