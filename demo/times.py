"""The times of the demo's parts: each program adds lines to a file, and the last one prints them.

A line is: part TAB language TAB how TAB seconds. Times of one part and language are compared with
the first line.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

HEADINGS = ("job", "language", "how", "seconds", "speed-up")


@contextmanager
def timed(part: str, how: str) -> Iterator[None]:
    """Adds the time of the block to the file that FORKFUL_DEMO_TIMES names, and prints it."""
    begin = time.perf_counter()
    yield
    seconds = time.perf_counter() - begin
    print(f"  {how}: {seconds:.2f} s", flush=True)
    if file := os.environ.get("FORKFUL_DEMO_TIMES"):
        with open(file, "a") as times:
            print(part, "Python", how, f"{seconds:.4f}", sep="\t", file=times)


def rows(text: str) -> Iterator[tuple[str, ...]]:
    lines = [line.split("\t") for line in text.splitlines()]
    for (part, language), group in groupby(lines, key=lambda line: (line[0], line[1])):
        times = [(how, float(seconds)) for _, _, how, seconds in group]
        for how, seconds in times:
            speed_up = f"x{times[0][1] / seconds:.2f}" if len(times) > 1 else ""
            yield part, language, how, f"{seconds:.2f}", speed_up


def main() -> None:
    table = [HEADINGS, *rows(Path(sys.argv[1]).read_text())]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS))]
    for row in table:
        cells = [cell.ljust(w) for cell, w in zip(row[:3], widths[:3], strict=True)]
        cells += [cell.rjust(w) for cell, w in zip(row[3:], widths[3:], strict=True)]
        print("  " + "   ".join(cells))


if __name__ == "__main__":
    main()
