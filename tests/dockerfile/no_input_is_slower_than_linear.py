"""Each worst case, eight times as large, costs at most about eight times as many instructions.

usage: no_input_is_slower_than_linear.py PROGRAM [CASE]...

PROGRAM is tests/dockerfile/worst_case.  Instructions are counted by valgrind: a clock would tell of
the machine's other work, and a count is the same in every run.  What starting the program takes is
counted apart and subtracted.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

SCALE = 8
MOST = 9  # times the cost, for SCALE times the size


def count(program, case, scale):
    done = subprocess.run(
        ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
         program, case, str(scale)], stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode != 0:
        raise SystemExit(f"{case}, {scale} times: exit code {done.returncode}\n{done.stderr}")
    return int(re.search(r"I +refs: +([\d,]+)", done.stderr).group(1).replace(",", ""))


def ratio(program, case):
    empty, small, large = (count(program, case, scale) for scale in (0, 1, SCALE))
    return (large - empty) / (small - empty), small - empty


def main(program, *cases):
    cases = cases or subprocess.run([program], stdout=subprocess.PIPE, text=True,
                                    check=True).stdout.split()
    slow = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, (times, small) in zip(cases, pool.map(lambda c: ratio(program, c), cases)):
            print(f"{case:32} {small:12,} instructions, {SCALE} times as large: {times:6.2f} times",
                  flush=True)
            if times > MOST:
                slow.append(case)
    if slow:
        raise SystemExit("slower than linear: " + ", ".join(slow))
    print(f"{len(cases)} cases")


main(*sys.argv[1:])
