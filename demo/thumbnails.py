"""Hashes photographs and makes thumbnails of them, then puts all of them on one sheet.

    python demo/thumbnails.py PHOTOS OUTPUT [HASHES]

HASHES: what the C++ program found for the same files, to be compared.
"""

import hashlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

import forkful
from PIL import Image, ImageDraw, ImageFont
from times import timed
from tqdm import tqdm

SIZE = (240, 160)
COLUMNS = 6
MARGIN = 12
CAPTION = 34
BEHIND = "#4a6076"  # shows through transparent pictures

_output = Path()


class Status(NamedTuple):
    name: str
    sha256: str
    size: tuple[int, int] | None
    error: str
    seconds: float


def set_up(output: Path) -> None:
    """Once in each worker, so that not every task carries it."""
    global _output
    _output = output


def make_thumbnail(photo: Path) -> Status:
    begin = time.perf_counter()
    data = photo.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        with Image.open(photo) as image:
            size = image.size
            # Not draft(): all pixels are read, so that a truncated file shows.
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
            small.thumbnail(SIZE)
            if small.mode == "RGBA":
                small = Image.alpha_composite(Image.new("RGBA", small.size, BEHIND), small)
            small.convert("RGB").save(_output / f"{photo.name}.jpg")
    except OSError as error:
        reason = str(error).replace(str(photo), photo.name)
        return Status(photo.name, sha256, None, reason, time.perf_counter() - begin)
    return Status(photo.name, sha256, size, "", time.perf_counter() - begin)


def in_a_loop(photos: list[Path], output: Path) -> list[Status]:
    set_up(output)
    return [make_thumbnail(photo) for photo in photos]


def with_a_pool(photos: list[Path], output: Path, workers: int) -> list[Status]:
    with forkful.Pool(workers, initializer=set_up, initargs=(output,)) as pool:
        results = pool.imap_unordered(make_thumbnail, photos)
        bar = tqdm(
            results, total=len(photos), unit="photo", ncols=70, mininterval=0.5, desc="  Pool"
        )
        return sorted(bar, key=lambda status: status.name)


def line(status: Status) -> str:
    what = f"{status.size[0]}x{status.size[1]}" if status.size else f"FAILED: {status.error}"
    mark = "ok " if status.size else "-- "
    return f"  {mark} {status.sha256[:12]} {status.seconds:5.2f} s  {status.name}: {what}"


def draw_sheet(found: list[Status], thumbnails: Path, file: Path) -> None:
    """A contact sheet: each thumbnail with its name; what failed is a box that says why."""
    font = ImageFont.load_default(size=12)
    rows = -(-len(found) // COLUMNS)
    cell = (SIZE[0] + MARGIN, SIZE[1] + CAPTION + MARGIN)
    sheet = Image.new("RGB", (COLUMNS * cell[0] + MARGIN, rows * cell[1] + MARGIN), "#202428")
    draw = ImageDraw.Draw(sheet)
    for index, status in enumerate(found):
        x = MARGIN + index % COLUMNS * cell[0]
        y = MARGIN + index // COLUMNS * cell[1]
        if status.size:
            with Image.open(thumbnails / f"{status.name}.jpg") as small:
                sheet.paste(
                    small, (x + (SIZE[0] - small.width) // 2, y + (SIZE[1] - small.height) // 2)
                )
            note = f"{status.size[0]} x {status.size[1]}"
        else:
            draw.rectangle((x, y, x + SIZE[0], y + SIZE[1]), outline="#e05a4f", width=2)
            draw.line((x, y, x + SIZE[0], y + SIZE[1]), fill="#e05a4f")
            draw.line((x, y + SIZE[1], x + SIZE[0], y), fill="#e05a4f")
            note = "not read: " + status.error
        draw.text((x, y + SIZE[1] + 3), fitting(draw, status.name, font), font=font, fill="white")
        color = "#9aa4ad" if status.size else "#e05a4f"
        draw.text((x, y + SIZE[1] + 17), fitting(draw, note, font), font=font, fill=color)
    sheet.save(file)


def fitting(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont) -> str:
    """`text`, cut so that it is no wider than a thumbnail."""
    if draw.textlength(text, font) <= SIZE[0]:
        return text
    while draw.textlength(text + "…", font) > SIZE[0]:
        text = text[:-1]
    return text + "…"


def compare_hashes(found: list[Status], file: Path) -> None:
    theirs = dict(reversed(line.split("  ", 1)) for line in file.read_text().splitlines())
    ours = {status.name: status.sha256 for status in found}
    if theirs != ours:
        sys.exit(f"demo: the C++ program's hashes in {file} differ from Python's")
    print(f"  all {len(ours)} hashes are those that the C++ program found")


def main() -> None:
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    thumbnails = output / "thumbnails-python"
    thumbnails.mkdir(parents=True, exist_ok=True)
    # The large ones first: the last task should not be the longest.
    photos = sorted(folder.iterdir(), key=lambda path: -path.stat().st_size)
    workers = forkful.cpu_count()
    print(f"Python: hashes and thumbnails of {len(photos)} files, {workers} workers")
    with timed("photographs", "in a loop"):
        alone = in_a_loop(photos, thumbnails)
    with timed("photographs", f"Pool of {workers}"):
        found = with_a_pool(photos, thumbnails, workers)
    assert [s[:4] for s in found] == sorted(s[:4] for s in alone)
    print(*map(line, found), sep="\n")
    failed = [status.name for status in found if not status.size]
    print(
        f"  {len(found) - len(failed)} thumbnails; {len(failed)} files failed: {', '.join(failed)}"
    )
    if len(sys.argv) > 3 and Path(sys.argv[3]).exists():
        compare_hashes(found, Path(sys.argv[3]))
    draw_sheet(found, thumbnails, output / "contact-sheet.png")


if __name__ == "__main__":
    main()
