#!/usr/bin/env python3
"""Compare what examples in C++ say with what the Python programs of the same names say.

    compare.py EXAMPLE...                  with the committed files of expected/
    compare.py --against DIR EXAMPLE...    with the programs of DIR, run by this interpreter
    compare.py --record DIR EXAMPLE...     write expected/ anew from the programs of DIR

EXAMPLE is a built example; to record, its name will do. --pictures names the built make_pictures.

Each program runs in a folder of its own. Pids and times are evened out, and the order of lines
where several processes print; the rest, the exit status and an empty stderr must be equal. An
example that no Python program stands behind is compared with the file of its name in expected/,
which was written by hand.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent / "expected"
TIMEOUT_SECONDS = 60

# Where several processes print, results come as they are done, or files as a folder lists them:
# how many words at a line's beginning say whose it is. Lines are sorted by these, so that each
# one's own order counts; all of them where there is none.
ALL = sys.maxsize
SORTED_BY_WORDS = {
    "counter": ALL,
    "s0_process_many": ALL,
    "s1_executor_as_completed": ALL,
    "s1_image_hashes": ALL,
    "s1_process_pids": ALL,
    "s2_event": 1,
    "s2_pipe_two_way": 1,
    "s2_pool_callbacks": ALL,
    "s2_process_two_workers": 2,
    "s2_queue_producer_consumer": 1,
    "s3_log_to_stderr": 1,
    "s4_heavy_calculation": ALL,
}

EVENED = [
    (re.compile(r"\b(PID:?|pid|worker|process) \d+"), r"\1 N"),
    (re.compile(r"(workers are)(?: \d+)+"), r"\1 N"),
    (re.compile(r"\d+\.\d+s\b"), "Xs"),
    # A busy machine may need longer than the one second; five would be one after the other.
    (re.compile(r"(Time Taken:) [1-3] seconds"), r"\1 N seconds"),
    # The start method is in the name.
    (re.compile(r"\b(?:Fork|Spawn|ForkServer)(PoolWorker)-\d+"), r"\1-N"),
    (re.compile(r"(first one done was) .+"), r"\1 this"),
    # The reason is the picture library's.
    (re.compile(r"(Error processing [^:]+): .+"), r"\1: reason"),
]
# What the library itself logs is its own affair.
OWN_LOG = re.compile(r"\[\w+/\w+(?:-\d+)?\] (?!working on)")


def evened(output: str, name: str) -> list[str]:
    lines = [line for line in output.splitlines() if not OWN_LOG.match(line)]
    for pattern, replacement in EVENED:
        lines = [pattern.sub(replacement, line) for line in lines]
    words = SORTED_BY_WORDS.get(name, 0)
    return sorted(lines, key=lambda line: line.split()[:words])


def put_files(folder: Path, name: str, make_pictures: str | None) -> None:
    """Make the folder that a program works on."""
    images = folder / "images"
    if name == "s1_image_hashes":  # it does not look into its pictures
        images.mkdir()
        for size in (0, 1, 63, 64, 65, 100_000):
            data = bytes(i * i % 251 for i in range(size))
            (images / f"of-{size}-bytes.jpg").write_bytes(data)
    if name == "s2_thumbnails":
        if make_pictures is None:
            sys.exit("compare: s2_thumbnails needs --pictures")
        images.mkdir()
        subprocess.run([make_pictures, images], check=True)
        (images / "letter.jpg").write_text("This is a letter, not a photograph.\n")


def jpeg_size(data: bytes) -> str:
    """Width and height, from the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while not 0xC0 <= data[at + 1] <= 0xC2:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
    return f"{int.from_bytes(width, 'big')}x{int.from_bytes(height, 'big')}"


def written(folder: Path) -> list[str]:
    """What stands in the thumbnails that a program left behind."""
    pictures = sorted(folder.glob("thumbnails/*"))
    return [f"({path.name} is {jpeg_size(path.read_bytes())})" for path in pictures]


def said(command: list[str | Path], name: str, make_pictures: str | None) -> list[str]:
    """The evened output of a program that has to end well."""
    # Unbuffered, the lines of several Python processes would mix.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        put_files(folder, name, make_pictures)
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        lines = evened(done.stdout, name) + written(folder)
    problems = [f"exit status {done.returncode}"] if done.returncode != 0 else []
    problems += [f"on stderr: {line}" for line in done.stderr.splitlines()]
    return lines + problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--against", metavar="DIR", type=Path)
    source.add_argument("--record", metavar="DIR", type=Path)
    parser.add_argument("--pictures", metavar="PROGRAM", type=os.path.abspath)
    parser.add_argument("examples", metavar="EXAMPLE", nargs="+", type=Path)
    arguments = parser.parse_args()
    python_programs = arguments.against or arguments.record

    failed = 0
    for example in arguments.examples:
        name = example.name
        expected = EXPECTED / f"{name}.txt"
        wanted: list[str] = []
        if python_programs:
            program = (python_programs / f"{name}.py").resolve()
            if not program.exists():
                print(f"--   {name}: no Python program", flush=True)
                continue
            wanted = said([sys.executable, program], name, arguments.pictures)
        if arguments.record:
            expected.write_text("".join(line + "\n" for line in wanted))
            continue
        if arguments.against is None:
            wanted = expected.read_text().splitlines()
        got = said([example.resolve()], name, arguments.pictures)
        print("ok  " if got == wanted else "FAIL", name, flush=True)
        if got != wanted:
            failed += 1
            print(*difflib.unified_diff(wanted, got, "expected", "said", lineterm=""), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
