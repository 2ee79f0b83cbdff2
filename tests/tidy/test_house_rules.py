"""The house rules that a program can check, over every text file of the project."""

import re
import subprocess
import unittest
from collections.abc import Iterator
from pathlib import Path

from function_lengths import cpp_functions, python_functions

ROOT = Path(__file__).resolve().parents[2]
CODE = {".cpp", ".hpp", ".py", ".pyi", ".sh", ".cmake"}
MOST_LINES = 500
MOST_LINES_OF_FUNCTION = 60

# Spelt so that these rules do not find themselves.
MACHINE_PATH = re.compile(r"(?<![\w./~$}])/(?:root|home|work|Users)/\w")
REGISTRY = re.compile(r"\b(?:pypi|pythonhosted|debian|npmjs|golang|crates|maven)\.(?:org|io)\b")
IN_ENGINE = re.compile(r"(?:src|include)/")
LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# Called, or given to a task or a process. Whoever only is to be killed pauses.
SLEEP = re.compile(
    r"\btime\.sleep\b|\bimport sleep\b|(?<![\w.])sleep\("
    r"|\b(?:sleep_for|sleep_until|usleep|nanosleep)\("
)
# The wall clock may jump. Users' own time points are another matter: see wait.hpp.
WALL_CLOCK = re.compile(r"\b(?:CLOCK_REALTIME|FUTEX_CLOCK_REALTIME|gettimeofday|system_clock)\b")
# In comments of the engine: "after" says it, "is" or "lies", "whoever".
ODD_WORDS = re.compile(r"//.*(?i:\b(?:behind|stands?)\b|\b(?:for|by|only|since|so that) who\b)")
REPLACED = re.compile(
    r"^\s*(?:import|from)\s+"
    r"(?:multiprocessing|_multiprocessing|_posixshmem|concurrent\.futures\.process)\b",
    re.MULTILINE,
)


def project_files() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # an unpacked archive
        files = [
            path
            for path in ROOT.rglob("*")
            if not {"build", ".venv", ".git", "__pycache__"} & set(path.relative_to(ROOT).parts)
        ]
    return sorted(path for path in files if path.is_file() and path.name != "LICENSE")


def texts() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path.relative_to(ROOT), data.decode(errors="replace")


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


class HouseRules(unittest.TestCase):
    def fail_on(self, findings: list[str]) -> None:
        if findings:
            self.fail("\n  " + "\n  ".join(findings))

    def test_no_path_of_one_machine(self) -> None:
        self.fail_on(lines_matching(MACHINE_PATH))

    def test_no_host_of_a_registry(self) -> None:
        self.fail_on(lines_matching(REGISTRY))

    def test_nothing_is_left_for_later(self) -> None:
        self.fail_on(lines_matching(LEFTOVER))

    def test_files_stay_readable_in_one_sitting(self) -> None:
        self.fail_on(
            [
                f"{path} has {count} lines; split it by noun"
                for path, text in texts()
                if path.suffix in CODE and (count := text.count("\n")) > MOST_LINES
            ]
        )

    def test_functions_fit_on_a_screen(self) -> None:
        reader = {".cpp": cpp_functions, ".hpp": cpp_functions, ".py": python_functions}
        self.fail_on(
            [
                f"{path}:{line}: {name} has {count} lines; give its parts names"
                for path, text in texts()
                if path.suffix in reader
                for line, count, name in reader[path.suffix](text)
                if count > MOST_LINES_OF_FUNCTION
            ]
        )

    def test_a_long_function_is_found_however_it_is_written(self) -> None:
        body = "{\n" + "  if (a) {\n    b = Part{1};\n  }\n" * 20 + "}\n"
        for head in (
            "void f() ",
            "template <class T>\n  requires (sizeof(T) > 1)\nauto f(T a, int b = 2) -> int ",
            "Class::Class(int a) noexcept(sizeof a > 1) : a_(a), b_{a, {1}} ",
            "bool operator==(const A& a) const ",
            "A& operator=(A&& a) noexcept ",
            "[[gnu::always_inline]] inline std::uint32_t A<B>::operator()(C c) ",
            'extern "C" int f(char c = \'{\', const char* text = "{") ',
            "TEST_F(Suite, behaves) ",
        ):
            inside = f"namespace {{\nstruct S {{\n int x = 0; // {{ \n{head}{body}}};\n}}\n"
            found = list(cpp_functions(inside))
            self.assertEqual([line for line, _, _ in found], [4], head)
            self.assertEqual(found[0][1], head.count("\n") + 62, head)
        scopes = f"namespace n {{\nclass A : B {body[2:-2]};\nenum E {{ {'a, ' * 99} }};\n}}\n"
        self.assertEqual(list(cpp_functions(scopes.replace("if (a) ", "struct S "))), [])
        nested = "class A:\n  def f(self):\n    async def g():\n" + "      a()\n" * 61
        self.assertEqual([count for _, count, _ in python_functions(nested)], [63, 62])

    def test_tests_wait_on_conditions_not_on_the_clock(self) -> None:
        sleeps = []
        for path, text in texts():
            if path.parts[0] != "tests" or path.suffix not in CODE or "tidy" in path.parts:
                continue
            before = ""
            for number, line in enumerate(text.splitlines(), 1):
                # A reason makes it a decision.
                if SLEEP.search(line) and "Why:" not in line + before:
                    sleeps.append(f"{path}:{number}: {line.strip()}")
                before = line
        self.fail_on(sleeps)

    def test_a_sleep_is_found_however_it_is_written(self) -> None:
        for bare in (
            "time.sleep(0.1)",
            "time.sleep(60)",
            "pool.apply_async(time.sleep, (0.1,))",
            "Process(target=time.sleep, args=(2,))",
            "target=time.sleep",
            "pool.map(time.sleep, [1] * 5)",
            "std::this_thread::sleep_for(1s);",
            "::sleep(60);",
            "::usleep(100);",
            "from time import sleep",
        ):
            self.assertRegex(bare, SLEEP)
        for other in ("signal.pause()", "child.await_asleep()", "slices.sleep(word, 0)"):
            self.assertNotRegex(other, SLEEP)

    def test_the_engine_measures_no_wait_by_the_wall_clock(self) -> None:
        self.fail_on(
            [
                f"{path}: {match.group()}"
                for path, text in texts()
                if path.parts[0] in {"src", "include"} or path.parts[:2] == ("python", "bindings")
                for match in WALL_CLOCK.finditer(text)
            ]
        )

    def test_comments_use_words_in_their_plain_meaning(self) -> None:
        self.fail_on([line for line in lines_matching(ODD_WORDS) if IN_ENGINE.match(line)])

    def test_the_package_stands_without_what_it_replaces(self) -> None:
        self.fail_on(
            [
                f"{path} imports what forkful replaces: {match.group().strip()}"
                for path, text in texts()
                if path.parts[:2] == ("python", "forkful")
                for match in REPLACED.finditer(text)
            ]
        )


if __name__ == "__main__":
    unittest.main()
