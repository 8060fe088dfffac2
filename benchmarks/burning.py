"""CPU-bound work: `python -m benchmarks.burning TIMES MILLISECONDS` does it that often."""

from __future__ import annotations

import sys
import time


def burn(milliseconds: float) -> None:
    """Use so much CPU time of this thread."""
    until = time.thread_time() + milliseconds / 1000
    number = 0
    while time.thread_time() < until:
        number = (number * 31 + 7) % 1_000_003


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        burn(float(sys.argv[2]))
