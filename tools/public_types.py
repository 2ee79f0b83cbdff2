"""Whether whoever uses the package is told the type of each public name, by any checker.

It asks pyright (`--verifytypes`), and fails for a name whose type is unknown, be it that of a
parameter or of what is returned. That a type is inferred from the value, as that of
`Queue = default_context.Queue`, is no finding, though pyright calls what contains such a name
partially unknown: mypy and pyright infer the same. pyright is a program of Node.js, which comes
with it from the package index; where it cannot run, this says so and passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def ask() -> dict[str, object] | None:
    """What pyright says of the package, or None where it does not run."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "forkful"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        [*command, "--ignoreexternal", "--outputjson"],
        capture_output=True,
        text=True,
        env=environment,
    )
    try:
        return json.loads(done.stdout)["typeCompleteness"]
    except (ValueError, KeyError):
        print("pyright does not run here: the types of the public names were not verified")
        print(done.stdout, done.stderr, file=sys.stderr)
        return None


def findings(told: dict[str, object]) -> list[str]:
    found = []
    for symbol in told["symbols"]:
        for each in symbol["diagnostics"]:
            message = each["message"].splitlines()[0]
            if "partially" in message or "unknown" not in message:
                continue
            place = ""
            if "file" in each and "range" in each:
                line = each["range"]["start"]["line"] + 1
                place = f"{os.path.relpath(each['file'], ROOT)}:{line}: "
            found.append(f"{place}{symbol['name']}: {message}")
    return sorted(set(found))


def main() -> int:
    told = ask()
    if told is None:
        return 0
    found = findings(told)
    for each in found:
        print(each)
    print(f"{len(told['symbols'])} names, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
