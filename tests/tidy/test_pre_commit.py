"""What is checked at a commit or a push is what `make lint` checks, by the same verbs."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text()


def values(key: str) -> list[str]:
    return re.findall(rf"^[ -]*{key}: (.+)$", HOOKS, re.MULTILINE)


class PreCommit(unittest.TestCase):
    def test_the_hooks_are_the_checks_of_make_lint(self) -> None:
        lint = re.search(r"^lint:([^#\n]*)(.*)\n(\t?)", MAKEFILE, re.MULTILINE)
        assert lint is not None
        self.assertEqual(lint[3], "", "`lint` has commands of its own, which no hook runs")
        checks = [f"make {verb}" for verb in lint[1].split()]
        self.assertGreater(len(checks), 1)
        self.assertEqual(sorted(values("entry")), sorted(checks))

    def test_each_check_is_a_verb_of_the_makefile(self) -> None:
        for entry in values("entry"):
            verb = entry.removeprefix("make ")
            self.assertRegex(MAKEFILE, rf"(?m)^{verb}:.*\n\t", verb)

    def test_nothing_is_fetched_at_a_commit(self) -> None:
        self.assertEqual(set(values("repo")), {"local"})
        self.assertEqual(set(values("language")), {"system"})
        self.assertEqual(values("additional_dependencies"), [])


if __name__ == "__main__":
    unittest.main()
