"""Who may include whom. A room includes only itself and rooms earlier in src/ROOMS, and public
headers that such rooms implement; public headers and bindings know of no room at all; only kernel/
talks to the kernel."""

import re
import unittest
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Why not <errno.h>, <signal.h> and <pthread.h>: every room may name their types.
SYSTEM_CALLS = re.compile(r"^(sys/|linux/|asm/|(unistd|fcntl|poll|spawn|sched)\.h$)")
STANDARD = re.compile(r"^[a-z_]+$|^(Python|structmember|frameobject|pythread|unwind)\.h$")


TAKES_ERRORS = re.compile(r"\b(PyErr_(?:Fetch|Restore|NormalizeException|\w+RaisedException))\(")
# What such headers declare, where it is declared by others as well, or by hand.
CALLS = re.compile(
    r"(?<![\w:>.])::(kill|tgkill|waitpid|waitid|wait4|fork|vfork|clone|execv\w*|posix_spawn\w*|open|"
    r"openat|close|read|write|pread|pwrite|mmap|munmap|mprotect|madvise|ftruncate|fallocate|fcntl|"
    r"dup\d?|pipe\d?|poll|ppoll|select|getpid|getppid|gettid|prctl|syscall|sched_\w+|sigaction|"
    r"sigprocmask|pthread_sigmask|pthread_kill|socket\w*|sendmsg|recvmsg|usleep|nanosleep|"
    r"clock_nanosleep)\("
)
# A row of ARCHITECTURE.md: | `bytes/queue.hpp` | `src/channel/queue.cpp` |
IMPLEMENTED = re.compile(r"^\| `([\w/]+\.hpp)` \| `(src/[\w/]+\.cpp)` \|$", re.MULTILINE)


def implementations() -> dict[str, Path]:
    """For each public header with functions of its own, below include/forkful, their source."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return {header: ROOT / source for header, source in IMPLEMENTED.findall(text)}


def reached(file: Path) -> set[str]:
    """The public headers that `file` includes, by way of others or not."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        for _, name in INCLUDE.findall(waiting.pop().read_text()):
            header = ROOT / "include" / name
            if name.startswith("forkful/") and name[8:] not in found:
                found.add(name[8:])
                waiting.append(header)
            elif (ROOT / "src" / name).is_file():
                waiting.append(ROOT / "src" / name)
    return found


def rooms() -> list[str]:
    lines = (ROOT / "src/ROOMS").read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def includes_of(file: Path) -> Iterator[tuple[Path, str, str]]:
    """Each include of `file`: the file, the opening delimiter and the name."""
    for delimiter, name in INCLUDE.findall(file.read_text()):
        yield file, delimiter, name


def includes(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each include under `folder`, likewise."""
    for file in sorted([*folder.rglob("*.hpp"), *folder.rglob("*.cpp")]):
        yield from includes_of(file)


class Layers(unittest.TestCase):
    def fail_on(self, findings: list[str]) -> None:
        if findings:
            self.fail("\n  " + "\n  ".join(findings))

    def test_every_folder_of_src_is_a_room(self) -> None:
        folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
        self.fail_on([f"src/{name} is not in src/ROOMS" for name in folders - set(rooms())])

    def test_a_room_includes_only_rooms_before_it(self) -> None:
        order = rooms()
        findings = []
        for index, room in enumerate(order):
            for file, _, name in includes(ROOT / "src" / room):
                other = name.split("/")[0]
                if "/" in name and other in order[index + 1 :]:
                    findings.append(f"{file.relative_to(ROOT)} includes {name}, of a later room")
        self.fail_on(findings)

    def test_the_list_of_implementations_is_true_and_names_every_header_of_bytes(self) -> None:
        listed = implementations()
        bytes_headers = {
            f"bytes/{path.name}" for path in (ROOT / "include/forkful/bytes").iterdir()
        }
        text = (ROOT / "ARCHITECTURE.md").read_text()
        unlisted = [
            f"ARCHITECTURE.md does not say where {name} is implemented"
            for name in sorted(bytes_headers - set(listed))
            if f"| `{name}` | the header |" not in text
        ]
        wrong = [
            f"ARCHITECTURE.md says that {source.relative_to(ROOT)} implements {name}"
            for name, source in listed.items()
            if not source.is_file() or name not in reached(source)
        ]
        self.fail_on(unlisted + wrong)

    def test_a_room_uses_only_public_headers_of_rooms_before_it(self) -> None:
        order = rooms()
        room_of = {name: source.parent.name for name, source in implementations().items()}
        findings = []
        for index, room in enumerate(order):
            for file, _, name in includes(ROOT / "src" / room):
                other = room_of.get(name.removeprefix("forkful/"), room)
                if name.startswith("forkful/") and other in order[index + 1 :]:
                    findings.append(f"{file.relative_to(ROOT)} includes <{name}>, of {other}/")
        for name, room in room_of.items():
            if not name.startswith("bytes/"):
                continue
            for _, _, other_name in includes_of(ROOT / "include/forkful" / name):
                other = room_of.get(other_name.removeprefix("forkful/"), room)
                if order.index(other) > order.index(room):
                    findings.append(f"{name} of {room}/ includes <{other_name}>, of {other}/")
        self.fail_on(findings)

    def test_only_the_kernel_room_calls_the_kernel_by_name(self) -> None:
        self.fail_on(
            [
                f"{file.relative_to(ROOT)} calls ::{call}(): that belongs into src/kernel"
                for file in sorted((ROOT / "src").rglob("*.?pp"))
                if (ROOT / "src/kernel") not in file.parents
                for call in CALLS.findall(file.read_text())
            ]
        )

    def test_one_place_knows_of_forks(self) -> None:
        # A second registry would have an order of its own in which mutexes are taken at a fork.
        callers = [
            str(file.relative_to(ROOT))
            for file in sorted([*(ROOT / "src").rglob("*.?pp"), *(ROOT / "python").rglob("*.?pp")])
            if re.search(r"\bpthread_atfork\s*\(", file.read_text())
        ]
        self.assertEqual(callers, ["src/arena/at_fork.cpp"])

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

    def test_bindings_take_and_set_exceptions_in_one_place(self) -> None:
        """What is kept while other code runs goes through take_error() and give_back_error()."""
        self.fail_on(
            [
                f"{file.relative_to(ROOT)} calls {call}(): that belongs into errors.cpp"
                for file in sorted((ROOT / "python/bindings").glob("*.?pp"))
                if file.name != "errors.cpp"
                for call in TAKES_ERRORS.findall(file.read_text())
            ]
        )


if __name__ == "__main__":
    unittest.main()
