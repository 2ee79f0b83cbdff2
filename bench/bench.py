"""Measures every case several times, forkful and what it is compared with in turn.

Python: each measurement runs in an interpreter of its own. C++: each subject has a program, which
measures all that are compared, several times, in random order. All single figures are in
bench/data/speed.json, and the ratios of one run are what counts: absolute figures differ from
machine to machine, and with what else the machine does.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import report
from cases import CPP, FARM, PINNED, PYTHON, Case, Subject

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench/data/speed.json"
PROGRAMS = ROOT / "build/bench/bench"
LIMIT_SECONDS = 120
FARM_PROCESSES = 3  # one hands out, two work, as with a Pool of two

Rates = dict[str, list[float]]


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


def output_of(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env={**os.environ, **environment},
    )
    if done.returncode != 0:
        sys.exit(f"bench: {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


# --- Python ---


def measure(case: Case, package: str, quick: bool) -> float:
    """Operations a second."""
    operations = case.operations * (case.more if package == "forkful" else 1)
    if quick:
        operations = max(4, case.operations // 200)
    script = str(ROOT / "bench/scenarios.py")
    return float(output_of([sys.executable, script, package, case.name, str(operations)]))


def run_python(cases: list[Case], repetitions: int, quick: bool) -> list[dict[str, Any]]:
    results = []
    for case in cases:
        rates: Rates = {case.beside: [], "forkful": []}
        # In turn, so that what disturbs the machine disturbs both.
        for _ in range(repetitions):
            for package, found in rates.items():
                found.append(measure(case, package, quick))
        results.append({**case._asdict(), "rates": rates})
        print(report.line(results[-1]), flush=True)
    return results


# --- C++ ---


def run_program(program: str, names: list[str], repetitions: int, quick: bool) -> dict[str, Rates]:
    """By subject's name and rival's: operations a second."""
    environment = {"BENCH_PIN": PINNED.get(program, "")} | ({"BENCH_QUICK": "1"} if quick else {})
    command = [
        str(PROGRAMS / f"{program}_gbench"),
        f"--benchmark_filter=^({'|'.join(names)})/",
        f"--benchmark_repetitions={repetitions}",
        "--benchmark_enable_random_interleaving=true",
        "--benchmark_format=json",
    ]
    found: dict[str, Rates] = {}
    for each in json.loads(output_of(command, **environment))["benchmarks"]:
        if each["run_type"] != "iteration":
            continue
        if each.get("error_occurred"):
            sys.exit(f"bench: {each['name']}: {each['error_message']}")
        name, who = each["name"].split("/")[:2]
        found.setdefault(name, {}).setdefault(who, []).append(each["items_per_second"])
    return found


def run_farm(items: int, chunk: int, repetitions: int, quick: bool) -> list[float]:
    """Items a second."""
    farm = PROGRAMS / "farm_mpi"
    if not farm.exists() or shutil.which("mpirun") is None:
        print("bench: OpenMPI is missing: its farm of processes is left out")
        return []
    if quick:
        items //= 100
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(FARM_PROCESSES)]
    command += [str(farm), str(items), str(chunk), str(repetitions)]
    return [float(line) for line in output_of(command).split()]


def run_cpp(subjects: list[Subject], repetitions: int, quick: bool) -> list[dict[str, Any]]:
    results = []
    for program in dict.fromkeys(subject.program for subject in subjects):
        if not (PROGRAMS / f"{program}_gbench").exists():
            print(f"bench: {program}_gbench is not built; make bench does it, if it can")
            continue
        ours = [subject for subject in subjects if subject.program == program]
        found = run_program(program, [subject.name for subject in ours], repetitions, quick)
        for name, items, chunk in FARM:
            if name in found:
                rates = run_farm(items, chunk, repetitions, quick)
                found[name] |= {"OpenMPI": rates} if rates else {}
        for subject in ours:
            # The programs' order is random, the tables' is not.
            rates = dict(sorted(found[subject.name].items()))
            results.append({**subject._asdict(), "rates": rates})
            print(report.cpp_line(results[-1]), flush=True)
    return results


def write_again(word: str, about: dict[str, object], found: dict[str, list[Any]]) -> None:
    """Puts these results in place of the ones that were there."""
    data = json.loads(DATA.read_text())
    for face, cases in (("cpp", CPP), ("python", PYTHON)):
        by_name = {each["name"]: each for each in data[face]["results"] + found[face]}
        names = [case.name for case in cases]
        data[face]["results"] = [by_name[name] for name in names if name in by_name]
    data["later"] = {"word": word} | {key: about[key] for key in ("load before", "load after")}
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    report.write(ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once, briefly; writes nothing")
    parser.add_argument("--only", default="", metavar="WORD", help="cases with it; writes nothing")
    parser.add_argument("--write", action="store_true", help="with --only: writes these cases anew")
    parser.add_argument("--repetitions", type=int, default=7, help="of the Python cases")
    parser.add_argument("--cpp-repetitions", type=int, default=3, help="of the C++ subjects")
    options = parser.parse_args()
    about = machine()
    subjects = [subject for subject in CPP if options.only in f"C++ {subject.name}"]
    cases = [case for case in PYTHON if options.only in f"Python {case.name}"]
    cpp = run_cpp(subjects, 1 if options.quick else options.cpp_repetitions, options.quick)
    python = run_python(cases, 1 if options.quick else options.repetitions, options.quick)
    missed = [text for result in cpp for text in report.missed(result)]
    if missed and not options.quick:
        print("bench: below what was aimed at:", *missed, sep="\n  ")
    if options.quick or (options.only and not options.write):
        return
    if options.only:
        about["load after"] = round(os.getloadavg()[0], 2)
        write_again(options.only, about, {"cpp": cpp, "python": python})
        return
    if len(cpp) != len(CPP):
        sys.exit("bench: without the C++ programs nothing is written")
    about["load after"] = round(os.getloadavg()[0], 2)
    data = {
        "machine": about,
        "cpp": {"repetitions": options.cpp_repetitions, "results": cpp},
        "python": {"repetitions": options.repetitions, "results": python},
    }
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    report.write(ROOT)


if __name__ == "__main__":
    main()
