"""Greets NAME as many TIMES, and ends; anything else than a number of times is a failed task."""
import os
import sys


def main() -> int:
    name = os.environ.get("NAME", "World")
    times = os.environ.get("TIMES", "1")
    if not times.isdigit():
        print(f"TIMES={times}: not a number", file=sys.stderr)
        return 1
    for i in range(int(times)):
        print(f"{i + 1}: Hello {name}!")
    return 0


sys.exit(main())
