"""Run clang-tidy over the engine, the bindings and each public header, changed ones only.

    tools/tidy.py BUILD_FOLDER

A file that passed is remembered by a hash of all that its verdict depends on: its text, the
texts of our headers that it includes, its compile command, the checks and clang-tidy itself.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = re.compile(rb'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
INCLUDE_DIRS = [ROOT / "src", ROOT / "include", ROOT / "python/bindings"]
# The last is where CMake puts one source per public header (VERIFY_INTERFACE_HEADER_SETS).
CHECKED = re.compile(r"^(src/|python/bindings/|build/.*/forkful_verify_interface_header_sets/)")


@cache
def our_includes(file: Path) -> frozenset[Path]:
    names = [name.decode() for name in INCLUDE.findall(file.read_bytes())]
    paths = (folder / name for name in names for folder in INCLUDE_DIRS)
    return frozenset(path for path in paths if path.is_file())


def closure(file: Path) -> list[Path]:
    seen, pending = {file}, [file]
    while pending:
        new = our_includes(pending.pop()) - seen
        seen |= new
        pending += new
    return sorted(seen)


def main() -> int:
    build = Path(sys.argv[1]).resolve()
    passed = build / "tidy-passed"
    passed.mkdir(exist_ok=True)
    version = subprocess.check_output(["clang-tidy", "--version"])
    checks = (ROOT / ".clang-tidy").read_bytes()

    def verdict(entry: dict[str, str]) -> bool:
        file = Path(entry["file"])
        key = hashlib.sha256(version + checks + entry["command"].encode())
        for path in closure(file):
            key.update(hashlib.sha256(path.read_bytes()).digest())
        stamp = passed / key.hexdigest()
        if stamp.exists():
            return True
        print("clang-tidy", os.path.relpath(file, ROOT), flush=True)
        command = ["clang-tidy", "--quiet", "-p", str(build), str(file)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
        else:
            print(run.stdout + run.stderr, flush=True)
        return run.returncode == 0

    commands = json.loads((build / "compile_commands.json").read_text())
    # Of a source that is compiled for several targets, one is checked.
    entries = {entry["file"]: entry for entry in reversed(commands)}.values()
    ours = [e for e in entries if CHECKED.match(os.path.relpath(e["file"], ROOT))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(verdict, ours))
    print(f"clang-tidy: {len(verdicts)} files, {verdicts.count(False)} with findings")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
