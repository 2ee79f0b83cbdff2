"""Measures every case several times, forkful and what stands beside it in turn.

Each measurement runs in a process of its own. Medians are shown; all single figures are in
bench/data/speed.json, and the ratios of one run are what counts: absolute figures differ from
machine to machine, and with what else the machine does.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import report
from cases import CPP, PYTHON, Case

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench/data/speed.json"
ENGINE = ROOT / "build/bench/bench/engine"
LIMIT_SECONDS = 120


def machine() -> dict[str, object]:
    """What the figures were measured on, in general terms."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": cpu,
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 2),
    }


def measure(case: Case, backend: str, operations: int) -> float:
    """Operations a second."""
    if case.language == "C++":
        command = [str(ENGINE), backend, case.name, str(operations)]
    else:
        command = [sys.executable, str(ROOT / "bench/scenarios.py"), backend, case.name]
        command.append(str(operations))
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    if done.returncode != 0:
        sys.exit(f"bench: {backend}, {case.name}: exit code {done.returncode}\n{done.stderr}")
    return float(done.stdout)


def operations_of(case: Case, backend: str, quick: bool) -> int:
    if quick:
        return max(4, case.operations // 200)
    return case.operations * (case.more if backend == "forkful" else 1)


def run(cases: list[Case], repetitions: int, quick: bool) -> list[dict[str, Any]]:
    results = []
    for case in cases:
        rates: dict[str, list[float]] = {case.beside: [], "forkful": []}
        # In turn, so that what disturbs the machine disturbs both.
        for _ in range(repetitions):
            for backend, found in rates.items():
                found.append(measure(case, backend, operations_of(case, backend, quick)))
        results.append({**case._asdict(), "rates": rates})
        print(report.line(results[-1]), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once, briefly; writes nothing")
    parser.add_argument("--only", default="", metavar="WORD", help="cases with it; writes nothing")
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    if not ENGINE.exists():
        print("bench: the C++ program is not built (make bench does it); Python only")
    cases = [case for case in PYTHON + CPP * ENGINE.exists() if options.only in case.name]
    about = machine()
    results = run(cases, 1 if options.quick else options.repetitions, options.quick)
    if options.quick or options.only:
        return
    about["load after"] = round(os.getloadavg()[0], 2)
    data = {"machine": about, "repetitions": options.repetitions, "results": results}
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    report.write(ROOT)


if __name__ == "__main__":
    main()
