"""How long each function of a source is, in lines, from its first one to its closing brace."""

import ast
import re
from collections.abc import Iterator

# What is no code: comments, and what is in quotes. Raw strings first, which may hold either.
NO_CODE = re.compile(
    r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"|//[^\n]*|/\*.*?\*/'
    r'|"(?:[^"\\\n]|\\.)*"|(?<![0-9a-fA-F])\'(?:[^\'\\\n]|\\.)+\'',
    re.DOTALL,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum)\b")
OPERATOR = re.compile(r"\boperator\s*[^\s\w(]+")
TEMPLATE = re.compile(r"^template\s*<")


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _without_template(head: str) -> str:
    while TEMPLATE.match(head):
        depth = 0
        for i, each in enumerate(head):
            depth += {"<": 1, ">": -1}.get(each, 0)
            if each == ">" and depth == 0:
                head = head[i + 1 :].strip()
                break
        else:
            return head
    return head


def _begins_function(head: str) -> bool:
    """Whether a brace after `head`, the text since the last statement, begins a function's body."""
    before, parenthesis, _ = OPERATOR.sub("operator", _without_template(head)).partition("(")
    return bool(parenthesis) and "=" not in before and not SCOPE.search(before)


def cpp_functions(text: str) -> Iterator[tuple[int, int, str]]:
    """The first line, the length and the beginning of each function that is in no other one.

    In what clang-format has written: a body's brace comes after a space, an initialiser's does
    not.
    """
    code = DIRECTIVE.sub(_blank, NO_CODE.sub(_blank, text))
    depth = 0
    initialisers = 0  # how many are open that are in no function
    function_at = -1  # the depth at which a function has begun
    begin = statement = 0
    for i, each in enumerate(code):
        if each == "{":
            head = code[statement:i]
            depth += 1
            if function_at >= 0:
                continue
            if initialisers > 0 or not code[i - 1].isspace():
                initialisers += 1
            elif _begins_function(head.strip()):
                function_at = depth
                begin = statement + len(head) - len(head.lstrip())
            else:
                statement = i + 1
        elif each == "}":
            if depth == function_at:
                first = code.count("\n", 0, begin) + 1
                name = " ".join(code[begin : code.index("{", begin)].split())
                yield first, code.count("\n", begin, i) + 1, name
                function_at = -1
                statement = i + 1
            elif function_at < 0 and initialisers > 0:
                initialisers -= 1
            elif function_at < 0:
                statement = i + 1
            depth -= 1
        elif each == ";" and function_at < 0 and initialisers == 0:
            statement = i + 1
    if depth != 0:
        raise AssertionError("braces do not match")


def python_functions(text: str) -> Iterator[tuple[int, int, str]]:
    """The same of each function, those inside of others as well."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.lineno, node.end_lineno - node.lineno + 1, node.name
