"""shared/conformance's judge agrees with every answer of `kiln dockerfile --batch`.

Finds the binary in $KILN and the source tree in $KILN_SOURCE.  A suite that the judge skips is a
failure here: the data is all there, or this test is disabled.
"""
import os
import re
import subprocess
import sys

SUITES = 14  # with the corpus, and without the Dockerfiles held out


def main():
    kiln = os.environ["KILN"]
    judge = os.path.join(os.environ["KILN_SOURCE"], "../shared/conformance/judge.py")
    env = dict(os.environ)
    for variable, mode in (("PARSE", "parse"), ("WORD", "expand"), ("IGNORE", "ignore")):
        env["CAND_" + variable] = f"'{kiln}' dockerfile --batch {mode}"
    run = subprocess.run([sys.executable, judge], env=env, stdout=subprocess.PIPE, text=True)
    print(run.stdout)
    scores = re.findall(r"^(\S.*?)\s+(\d+)/\s*(\d+) ", run.stdout, re.M)
    if run.returncode or len(scores) < SUITES or any(a != b for _, a, b in scores):
        sys.exit(f"the judge exits with {run.returncode} after {len(scores)} suites")


main()
