"""Who may include whom. A room includes only itself and rooms above it in src/ROOMS; public
headers and bindings know of no room at all; only kernel/ talks to the kernel."""

import re
import unittest
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Why not <errno.h>, <signal.h> and <pthread.h>: every room may name their types.
SYSTEM_CALLS = re.compile(r"^(sys/|linux/|asm/|(unistd|fcntl|poll|spawn|sched)\.h$)")
STANDARD = re.compile(r"^[a-z_]+$|^(Python|structmember|frameobject|pythread|unwind)\.h$")


def rooms() -> list[str]:
    lines = (ROOT / "src/ROOMS").read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def includes(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each include under `folder`: the file, the opening delimiter and the name."""
    for file in sorted([*folder.rglob("*.hpp"), *folder.rglob("*.cpp")]):
        for delimiter, name in INCLUDE.findall(file.read_text()):
            yield file, delimiter, name


class Layers(unittest.TestCase):
    def fail_on(self, findings: list[str]) -> None:
        if findings:
            self.fail("\n  " + "\n  ".join(findings))

    def test_every_folder_of_src_is_a_room(self) -> None:
        folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
        self.fail_on([f"src/{name} is not in src/ROOMS" for name in folders - set(rooms())])

    def test_a_room_includes_only_rooms_above_it(self) -> None:
        order = rooms()
        findings = []
        for index, room in enumerate(order):
            for file, _, name in includes(ROOT / "src" / room):
                other = name.split("/")[0]
                if "/" in name and other in order[index + 1 :]:
                    findings.append(f"{file.relative_to(ROOT)} includes {name}, a room below")
        self.fail_on(findings)

    def test_only_the_kernel_room_makes_system_calls(self) -> None:
        self.fail_on(
            [
                f"{file.relative_to(ROOT)} includes <{name}>: that belongs into src/kernel"
                for file, _, name in includes(ROOT / "src")
                if SYSTEM_CALLS.match(name) and (ROOT / "src/kernel") not in file.parents
            ]
        )

    def test_public_headers_know_no_room(self) -> None:
        self.fail_on(
            [
                f"{file.relative_to(ROOT)} includes {name}"
                for file, delimiter, name in includes(ROOT / "include")
                if delimiter == '"' or name.split("/")[0] in rooms()
            ]
        )

    def test_bindings_use_only_public_headers(self) -> None:
        def allowed(file: Path, delimiter: str, name: str) -> bool:
            if delimiter == "<":
                return name.startswith("forkful/") or bool(STANDARD.match(name))
            own = (file.parent / name).resolve()
            return own.is_file() and bindings in own.parents

        bindings = ROOT / "python/bindings"
        self.fail_on(
            [
                f"{file.relative_to(ROOT)} includes {name}"
                for file, delimiter, name in includes(bindings)
                if not allowed(file, delimiter, name)
            ]
        )


if __name__ == "__main__":
    unittest.main()
