"""The README's tables and docs/speed.svg, from bench/data/speed.json.

python bench/report.py     draws both again
"""

import json
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- speed: begin (bench/report.py) -->", "<!-- speed: end -->"
PYTHON_COLOUR, CPP_COLOUR = "#2f6f9f", "#b0562c"


def figure(result: dict[str, Any], rate: float) -> str:
    """Operations a second, in a unit that reads well."""
    if result["latency"]:
        return scaled(1e9 / rate, [(1e6, "ms"), (1e3, "µs"), (1, "ns")])
    if result.get("bytes"):
        return f"{rate * result['bytes'] / 1e9:.2f} GB/s"
    if "8 MiB" in result["name"]:
        return f"{rate * 8 * 2**20 / 1e9:.2f} GB/s"
    return scaled(rate, [(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1, "/s")])


def scaled(value: float, units: list[tuple[float, str]]) -> str:
    size, unit = next((each for each in units if value >= each[0]), units[-1])
    number = value / size
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def times(value: float) -> str:
    return f"×{value:.0f}" if value >= 100 else f"×{value:.1f}" if value >= 1 else f"×{value:.2f}"


# --- Python: medians ---


def ratio(result: dict[str, Any]) -> float:
    rates = result["rates"]
    return median(rates["forkful"]) / median(rates[result["beside"]])


def line(result: dict[str, Any]) -> str:
    beside, ours = (median(result["rates"][who]) for who in (result["beside"], "forkful"))
    return (
        f"Python {result['name']:28} {result['beside']:20} {figure(result, beside):>10}   "
        f"forkful {figure(result, ours):>10}   {times(ratio(result))}"
    )


def python_table(data: dict[str, Any]) -> str:
    rows = ["| Python | multiprocessing | forkful | times as fast |", "|---|---:|---:|---:|"]
    for result in data["results"]:
        beside, ours = (median(result["rates"][who]) for who in (result["beside"], "forkful"))
        rows.append(
            f"| `{result['name']}` | {figure(result, beside)} | {figure(result, ours)} "
            f"| {times(ratio(result))} |"
        )
    return "\n".join(rows)


# --- C++: the best of few, since what disturbs a run only ever makes it slower ---


def best(result: dict[str, Any]) -> dict[str, float]:
    return {who: max(rates) for who, rates in result["rates"].items()}


def cpp_ratios(result: dict[str, Any]) -> dict[str, float]:
    rates = best(result)
    return {who: rates["forkful"] / rate for who, rate in rates.items() if who != "forkful"}


def beside(result: dict[str, Any]) -> str:
    rates = best(result)
    return ", ".join(
        f"{who} {figure(result, rates[who])} ({times(value)})"
        for who, value in cpp_ratios(result).items()
    )


def cpp_line(result: dict[str, Any]) -> str:
    ours = figure(result, best(result)["forkful"])
    return f"C++    {result['name']:41} forkful {ours:>10}   {beside(result)}"


def missed(result: dict[str, Any]) -> list[str]:
    """What the subject should have reached, and did not."""
    ratios, ours = cpp_ratios(result), best(result)["forkful"]
    found = [
        f"{result['name']}: {times(ratios[who])} of {who}, less than {times(least)}"
        for who, least in result["ahead_of"].items()
        if who in ratios and ratios[who] < least
    ]
    if ours < result["least"]:
        wanted = figure(result, result["least"])
        found.append(f"{result['name']}: {figure(result, ours)} instead of {wanted}")
    return found


def cpp_table(data: dict[str, Any]) -> str:
    rows = ["| C++ | forkful | compared with (times as fast) |", "|---|---:|---|"]
    for result in data["results"]:
        ours = figure(result, best(result)["forkful"])
        rows.append(f"| `{result['name']}` | {ours} | {beside(result)} |")
    return "\n".join(rows)


# --- both ---


def note(data: dict[str, Any]) -> str:
    about = data["machine"]
    later = ""
    if again := data.get("later"):
        later = (
            f"Cases with “{again['word']}” were measured later, load {again['load before']} before "
            f"and {again['load after']} after. "
        )
    return (
        f"C++: the best of {data['cpp']['repetitions']} runs; Python: medians of "
        f"{data['python']['repetitions']}; in turn, on {about['cpus']} CPUs ({about['cpu']}), "
        f"Linux {about['kernel']}, Python {about['python']}, load {about['load before']} before "
        f"and {about['load after']} after. A number below ×1 says that forkful is slower: ×0.5 is "
        "half as fast, ×0.07 takes fourteen times as long. OpenMPI's farm hands out the same "
        "chunks to as many processes, as bare arrays, and keeps nothing for a task that dies. "
        "oneTBB's threads, memcpy and the ping-pong are shown as limits: they do less than a "
        "library for processes has to do. A bounded queue is compared with queues that hold as "
        f"many messages, the unbounded one with ZeroMQ without a limit. {later}Raw data in "
        "[bench/data/speed.json](bench/data/speed.json), made by `make bench`."
    )


def bars(axes: Any, names: list[str], ratios: list[float], colour: str, label: str) -> None:
    # From 1 on, the same speed: to the right faster, to the left slower.
    drawn = axes.barh(names, [value - 1 for value in ratios], left=1, color=colour)
    axes.bar_label(drawn, [times(value) for value in ratios], padding=4)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    slowest = min(ratios)
    axes.set_xlim(slowest / 6 if slowest < 1 else 0.4, max(ratios) * 4)
    axes.xaxis.set_major_formatter("×{x:g}")
    axes.invert_yaxis()
    axes.set_xlabel(f"{label} (logarithmic)")
    axes.spines[["top", "right"]].set_visible(False)


def draw(cpp: dict[str, Any], python: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    # Stable ids, so that the same data gives the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "forkful", "font.size": 10})
    import matplotlib.pyplot as plt

    rivals = {
        f"{result['name']}  /  {who}": value
        for result in cpp["results"]
        for who, value in cpp_ratios(result).items()
        if "MiB" not in result["name"]
    }
    results = python["results"]
    heights = [len(results), len(rivals)]
    canvas, (top, bottom) = plt.subplots(
        2, figsize=(8, 0.33 * sum(heights) + 2), height_ratios=heights
    )
    names = [f"Python {result['name']}" for result in results]
    ratios = [ratio(result) for result in results]
    bars(top, names, ratios, PYTHON_COLOUR, "times as fast as multiprocessing")
    bars(bottom, list(rivals), list(rivals.values()), CPP_COLOUR, "times as fast, C++")
    canvas.tight_layout()
    canvas.savefig(file, metadata={"Date": None})
    plt.close(canvas)
    # Lines end without blanks, as everywhere in the project.
    lines = file.read_text().splitlines()
    file.write_text("\n".join(text.rstrip() for text in lines) + "\n")


def write(root: Path) -> None:
    data = json.loads((root / "bench/data/speed.json").read_text())
    cpp, python = data["cpp"], data["python"]
    (root / "docs").mkdir(exist_ok=True)
    draw(cpp, python, root / "docs/speed.svg")
    tables = "\n\n".join([cpp_table(cpp), python_table(python), note(data)])
    readme = root / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"README.md lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}")
    print("written: bench/data/speed.json, docs/speed.svg, and the tables in README.md")


if __name__ == "__main__":
    write(Path(__file__).parents[1])
