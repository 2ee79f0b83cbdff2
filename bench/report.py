"""The README's table and docs/speed.svg, from bench/data/speed.json.

python bench/report.py     draws both again
"""

import json
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- speed: begin (bench/report.py) -->", "<!-- speed: end -->"


def figure(result: dict[str, Any], backend: str) -> str:
    """The median, in a unit that reads well."""
    rate = median(result["rates"][backend])
    if result["latency"]:
        return scaled(1e9 / rate, [(1e6, "ms"), (1e3, "µs"), (1, "ns")])
    if "8 MiB" in result["name"]:
        return f"{rate * 8 * 2**20 / 1e9:.2f} GB/s"
    return scaled(rate, [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")])


def scaled(value: float, units: list[tuple[float, str]]) -> str:
    size, unit = next((each for each in units if value >= each[0]), units[-1])
    number = value / size
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def ratio(result: dict[str, Any]) -> float:
    rates = result["rates"]
    return median(rates["forkful"]) / median(rates[result["beside"]])


def line(result: dict[str, Any]) -> str:
    return (
        f"{result['language']:6} {result['name']:28} "
        f"{result['beside']:20} {figure(result, result['beside']):>10}   "
        f"forkful {figure(result, 'forkful'):>10}   x{ratio(result):.2f}"
    )


def table(data: dict[str, Any]) -> str:
    about = data["machine"]
    rows = ["| | what stands beside it | | forkful | ratio |", "|---|---|---:|---:|---:|"]
    for result in data["results"]:
        beside = result["beside"]
        rows.append(
            f"| {result['language']} `{result['name']}` | {beside} | {figure(result, beside)} "
            f"| {figure(result, 'forkful')} | ×{ratio(result):.1f} |"
        )
    note = (
        f"Medians of {data['repetitions']} runs each, in turn, on {about['cpus']} CPUs "
        f"({about['cpu']}), Linux {about['kernel']}, Python {about['python']}, "
        f"load {about['load before']} before and {about['load after']} after; raw data in "
        "[bench/data/speed.json](bench/data/speed.json), made by `make bench`."
    )
    return "\n".join([*rows, "", note])


def draw(data: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    # Stable ids, so that the same data gives the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "forkful", "font.size": 10})
    import matplotlib.pyplot as plt

    results = [result for result in data["results"] if result["language"] == "Python"]
    names = [result["name"] for result in results]
    ratios = [ratio(result) for result in results]
    canvas, axes = plt.subplots(figsize=(8, 0.36 * len(results) + 1.2))
    # From 1 on, the same speed: to the right faster, to the left slower.
    bars = axes.barh(names, [value - 1 for value in ratios], left=1, color="#2f6f9f")
    axes.bar_label(bars, [f"×{value:.1f}" for value in ratios], padding=4)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(0.8, *ratios), max(ratios) * 2)
    axes.xaxis.set_major_formatter("×{x:g}")
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as multiprocessing (logarithmic)")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.tight_layout()
    canvas.savefig(file, metadata={"Date": None})
    # Lines end without blanks, as everywhere in the project.
    lines = file.read_text().splitlines()
    file.write_text("\n".join(text.rstrip() for text in lines) + "\n")


def write(root: Path) -> None:
    data = json.loads((root / "bench/data/speed.json").read_text())
    (root / "docs").mkdir(exist_ok=True)
    draw(data, root / "docs/speed.svg")
    readme = root / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"README.md lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{table(data)}\n{END}{after}")
    print("written: bench/data/speed.json, docs/speed.svg, and the table in README.md")


if __name__ == "__main__":
    write(Path(__file__).parents[1])
