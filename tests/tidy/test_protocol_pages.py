"""The protocol pages beside the code name words and functions that are there, and all of them.

A page names code in backticks. `Struct::field` of the structs below is one of their fields; any
other identifier occurs in the sources of the page's room, or in a file that the page links.
"""

import re
import unittest
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What lies in shared memory and has a protocol, by the file that declares it.
SHARED = {
    "src/channel/ring.hpp": ["PutEnd", "GetEnd", "RingWords"],
    "src/arena/layout.hpp": ["JournalWords", "Member", "Header"],
    "src/pool/words.hpp": ["Claim", "WorkerSlot", "PoolWords"],
    "src/sync/bell.hpp": ["BellView", "Bell"],
    "src/sync/owner_word.hpp": ["OwnerWord"],
}
ROOM_FOR_LATER = re.compile(r"reserved|spare$")

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
FAULT = re.compile(r"[a-z_]+(\.[a-z_]+)+")  # a kill point's name
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
FIELD = re.compile(r"([A-Za-z_]\w*)\s*(?:\[[^]]*\])?\s*(?:=.*)?$", re.DOTALL)
NO_FIELD = re.compile(
    r"^(?:using|static|friend|enum|template|class|struct|explicit|static_assert)\b"
)


def pages() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.md"))


def code_of(file: Path) -> str:
    return COMMENT.sub("", file.read_text())


def closing(text: str, begin: int) -> int:
    """The index after the brace that closes the one at `begin`."""
    depth = 0
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    raise AssertionError("a brace is not closed")


def statements(body: str) -> Iterator[str]:
    """What a struct declares, without the bodies of functions and initialisers."""
    flat = re.sub(r"\b(?:public|private|protected):", "", body)
    while "{" in flat:
        begin = flat.index("{")
        end = closing(flat, begin)
        # A function's body ends its statement; an initialiser's does not.
        is_function = "(" in re.sub(r"alignas\([^)]*\)", "", flat[:begin].rpartition(";")[2])
        flat = flat[:begin] + (";" if is_function else "") + flat[end:]
    return (each.strip() for each in flat.split(";"))


def fields_of(struct: str, file: str) -> set[str]:
    text = code_of(ROOT / file)
    begin = re.search(rf"\b(?:struct|class)\s+(?:alignas\([^)]*\)\s*)?{struct}\s*\{{", text)
    assert begin is not None, f"{file} has no {struct}"
    body = text[begin.end() : closing(text, begin.end() - 1) - 1]
    fields = set()
    for statement in statements(body):
        plain = re.sub(r"alignas\([^)]*\)", "", statement).strip()
        if not plain or "(" in plain or NO_FIELD.match(plain):
            continue
        found = FIELD.search(plain)
        assert found is not None, f"{file}: what is {plain!r} in {struct}?"
        if not ROOM_FOR_LATER.match(found[1]):
            fields.add(found[1])
    return fields


SHARED_FIELDS = {
    struct: fields_of(struct, file) for file, structs in SHARED.items() for struct in structs
}


def spans(page: Path) -> list[str]:
    return SPAN.findall(FENCED.sub("", page.read_text()))


def linked(page: Path) -> list[Path]:
    """Files of the project that the page links."""
    names = [name for name in LINK.findall(page.read_text()) if "://" not in name]
    return [(page.parent / name.partition("#")[0]).resolve() for name in names]


class ProtocolPages(unittest.TestCase):
    def fail_on(self, findings: list[str]) -> None:
        if findings:
            self.fail("\n  " + "\n  ".join(findings))

    def test_links_lead_somewhere(self) -> None:
        self.fail_on(
            [
                f"{page.relative_to(ROOT)} links {file}, which is not there"
                for page in pages()
                for file in linked(page)
                if not file.is_file()
            ]
        )

    def test_what_a_page_names_is_in_the_code(self) -> None:
        findings = []
        for page in pages():
            files = {*page.parent.glob("*.[ch]pp"), *linked(page)}
            code = "\n".join(code_of(file) for file in files if file.suffix in {".hpp", ".cpp"})
            known = set(IDENTIFIER.findall(code))
            for span in spans(page):
                struct, _, field = span.partition("::")
                if struct in SHARED_FIELDS and field:
                    missing = [] if field in SHARED_FIELDS[struct] else [span]
                elif FAULT.fullmatch(span):
                    missing = [] if f'"{span}"' in code else [span]
                else:
                    missing = [name for name in IDENTIFIER.findall(span) if name not in known]
                findings += [
                    f"{page.relative_to(ROOT)} names `{name}`, which its room does not have"
                    for name in missing
                ]
        self.fail_on(findings)

    def test_every_shared_word_is_explained_on_a_page(self) -> None:
        named = {span for page in pages() for span in spans(page)}
        self.fail_on(
            [
                f"no page names `{struct}::{field}`: who may write it, who may read it, and why?"
                for struct, fields in SHARED_FIELDS.items()
                for field in sorted(fields)
                if f"{struct}::{field}" not in named
            ]
        )

    def test_every_page_is_found_from_the_map_and_from_its_room(self) -> None:
        findings = []
        architecture = (ROOT / "ARCHITECTURE.md").read_text()
        for page in pages():
            name = page.relative_to(ROOT)
            if f"{name}" not in architecture:
                findings.append(f"ARCHITECTURE.md does not name {name}")
            if not any(page.name in file.read_text() for file in page.parent.glob("*.hpp")):
                findings.append(f"no header of its room names {name}")
        self.fail_on(findings)


if __name__ == "__main__":
    unittest.main()
