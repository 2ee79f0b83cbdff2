"""The package is written afresh: no stretch of its code is that of the standard library."""

from __future__ import annotations

import ast
import io
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

import forkful

STRETCH = 30  # tokens; shorter ones are how anybody says such a thing

LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}

# What a program that uses the interface can see is dictated by it, and is one token here:
#   the parameters of a function, which test_names.py compares with the interpreter's;
#   the value of __all__, which it compares too;
#   and these tables, by the name that they are assigned to, each with its reason.
DICTATED_TABLES = {
    "typecode_to_type": "which ctypes type a letter stands for, as in the array module",
}
# Our tokens in such a stretch, one space between them, and why the interface dictates them.
DICTATED: dict[str, str] = {}

Token = tuple[str, int]
Span = tuple[tuple[int, int], tuple[int, int]]


def span_of(node: ast.AST, lines: list[str]) -> Span:
    """Where it begins and ends: lines, and columns in characters."""

    def column(line: int, in_bytes: int) -> int:
        return len(lines[line - 1].encode()[:in_bytes].decode())

    return (
        (node.lineno, column(node.lineno, node.col_offset)),
        (node.end_lineno, column(node.end_lineno, node.end_col_offset)),
    )


def is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def dictated_value(node: ast.AST) -> ast.expr | None:
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return None
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name = target.id if isinstance(target, ast.Name) else None
    return node.value if name == "__all__" or name in DICTATED_TABLES else None


def find_spans(source: str) -> dict[str, list[Span]]:
    """Where docstrings and annotations are, which say nothing of whose code it is, and tables."""
    lines = source.splitlines()
    found: dict[str, list[Span]] = {"docstring": [], "annotation": [], "dictated": []}
    for node in ast.walk(ast.parse(source)):
        if is_docstring(node):
            found["docstring"].append(span_of(node, lines))
        for field in ("annotation", "returns"):
            if isinstance(note := getattr(node, field, None), ast.expr):
                found["annotation"].append(span_of(note, lines))
        if (value := dictated_value(node)) is not None:
            found["dictated"].append(span_of(value, lines))
        if isinstance(node, ast.arguments) and (spans := [span_of(e, lines) for e in parts(node)]):
            found["dictated"].append((min(spans)[0], max(last for _, last in spans)))
    return found


def parts(parameters: ast.arguments) -> list[ast.AST]:
    named = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
    rest = [parameters.vararg, parameters.kwarg, *parameters.defaults, *parameters.kw_defaults]
    return [*named, *(each for each in rest if each is not None)]


def inside(place: tuple[int, int], spans: list[Span]) -> Span | None:
    return next((span for span in spans if span[0] <= place < span[1]), None)


def spelt_alike(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.STRING and "f" not in token.string[:2].lower():
        return repr(ast.literal_eval(token.string))
    return token.string


def tokens_of(source: str) -> list[Token]:
    """The tokens by which the code is compared, each with its line."""
    spans = find_spans(source)
    found: list[Token] = []
    table: Span | None = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in LAYOUT or inside(token.start, spans["docstring"]):
            continue
        if (span := inside(token.start, spans["dictated"])) is not None:
            if span is not table:
                found.append(("<dictated>", token.start[0]))
            table = span
        elif (span := inside(token.start, spans["annotation"])) is not None:
            if token.start == span[0]:
                found.pop()  # the colon or the arrow before it
        else:
            if token.string in (")", "]", "}") and found and found[-1][0] == ",":
                found.pop()  # how a formatter breaks lines
            found.append((spelt_alike(token), token.start[0]))
    return found


def runs(tokens: list[Token]) -> Iterator[tuple[str, ...]]:
    words = [word for word, _ in tokens]
    for first in range(len(words) - STRETCH + 1):
        yield tuple(words[first : first + STRETCH])


def standard_files() -> list[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    return [*library.glob("multiprocessing/**/*.py"), *library.glob("concurrent/**/*.py")]


def known_runs(files: list[Path]) -> dict[tuple[str, ...], str]:
    return {
        run: f"{path.parent.name}/{path.name}"
        for path in files
        for run in runs(tokens_of(path.read_text(encoding="utf-8")))
    }


def common_stretches(source: str, known: dict[tuple[str, ...], str]) -> list[str]:
    """What the source has in common with the known: the line, whose it is, and the tokens."""
    tokens = tokens_of(source)
    found = []
    end = -2  # the last run of the stretch that was seen last
    for first, run in enumerate(runs(tokens)):
        if run not in known:
            continue
        if first > end + 1:
            found.append((first, first + STRETCH, known[run]))
        else:
            found[-1] = (found[-1][0], first + STRETCH, found[-1][2])
        end = first
    return [
        f"line {tokens[first][1]}, as in {whose}: {text}"
        for first, last, whose in found
        if (text := " ".join(word for word, _ in tokens[first:last])) not in DICTATED
    ]


def test_the_package_has_no_code_of_the_standard_library():
    known = known_runs(standard_files())
    assert len(known) > 10_000
    folder = Path(forkful.context.__file__).parent
    copied = [
        f"{path.relative_to(folder)}, {stretch}"
        for path in sorted(folder.rglob("*.py"))
        for stretch in common_stretches(path.read_text(encoding="utf-8"), known)
    ]
    assert not copied, "\n" + "\n".join(copied)


ORIGINAL = '''
class Tap:
    def __init__(self, size, label='none', *, weight=None):
        """What a tap is."""
        if weight is not None and weight < 0:
            raise ValueError('weight is negative')
        self.size = size
        self.label = label.strip().lower()

    def open(self):
        return [each for each in self.pipes if each.size > self.size]
'''


def test_a_copy_is_found_however_it_is_dressed(tmp_path):
    (tmp_path / "tap.py").write_text(ORIGINAL)
    known = known_runs([tmp_path / "tap.py"])
    dressed = (
        ORIGINAL.replace("'", '"')
        .replace("size, label", "size: int, label: str")
        .replace("self.size = size", "# of the tap\n        self.size: int = size")
        .replace("def open(self)", "def open(self) -> list[Pipe]")
        .replace('("weight is negative")', '(\n            "weight is negative",\n        )')
        .replace("What a tap", "Says what a tap")
    )
    assert dressed != ORIGINAL
    (stretch,) = common_stretches(dressed, known)
    assert stretch.startswith("line 2, as in ")
    assert stretch.endswith("> self . size ]")


def test_signatures_and_dictated_tables_are_no_copies(tmp_path):
    interface = (
        "__all__ = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o']\n"
        "typecode_to_type = {'c': 1, 'u': 2, 'b': 3, 'B': 4, 'h': 5, 'H': 6, 'i': 7, 'I': 8}\n"
        "def take(a, b, c, d, e=None, f=None, g=None, h=None, i=None, j=None, *, k, l=(), m=5):\n"
    )
    (tmp_path / "tap.py").write_text(interface + "    return a\n")
    known = known_runs([tmp_path / "tap.py"])
    assert not common_stretches(interface + "    print(b)\n", known)
