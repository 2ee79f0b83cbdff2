"""Every name of the standard package is in ours, and is called in the same way."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import forkful
import pytest
from helpers import run
from interfaces import LATER
from names_in_use import ATTRIBUTES, NAMES

# Parts of the standard implementation that its modules show, and that forkful has not.
NOT_OURS: dict[str, str] = {
    "managers.ProcessLocalSet": "what a forked child has to forget, it forgets at the fork",
    "sharedctypes.template": "the source of a property, made to be executed; here it is a function",
}
NOT_METHODS: dict[str, str] = {}
OTHER_VALUES = {
    "connection.MESSAGE_LENGTH": "that of the newest version, which all versions understand",
}

# Arguments that the standard callables of these names have not. They are optional, so that each
# call of a program means what it did.
MORE_ARGUMENTS = {
    "buffersize": ("map", "3.14's: how far map() may be ahead of whoever takes the results"),
    "digest_name": ("deliver_challenge", "3.12's: which digest the handshake is made with"),
    "handshake_timeout": ("Listener XmlListener", "a silent client keeps nobody waiting longer"),
    "name": (
        "Arena Array Barrier BoundedSemaphore BufferWrapper Condition Event JoinableQueue Lock "
        "Queue RLock RawArray RawValue Semaphore SimpleQueue Value",
        "what views of the family and errors call the object",
    ),
    "on_worker_death": ("ProcessPoolExecutor", "the executor may go on when a worker is killed"),
    "policy": ("Lock RLock", "what a waiter gets whose lock's owner has died"),
    "script": ("main", "the server compiles the main module ahead for its children"),
    "strict": ("JoinableQueue Queue", "put() raises where an object cannot be pickled"),
    "timeout": ("apply_async", "the longest that the task may run"),
    "track": ("SharedMemory", "3.13's: whether it is removed with the family"),
}
OTHER_DEFAULTS = {
    "ctx": "a class finds the context by itself where it is not told",
    "track": "None: a memory is tracked for the family that made it, not for who attaches it",
}
MADE_BY_POOLS = "only a pool makes it, from what its own implementation has"
OTHERWISE_CALLED = {
    "context.DefaultContext": "there is one, which makes itself",
    "managers.MakeProxyType": "_cache has what it has made, which is of our own types",
    "pool.ApplyResult": MADE_BY_POOLS,
    "pool.AsyncResult": MADE_BY_POOLS,
    "pool.IMapIterator": MADE_BY_POOLS,
    "pool.IMapUnorderedIterator": MADE_BY_POOLS,
    "pool.MapResult": MADE_BY_POOLS,
    "pool.Pool.Process": "called by pools alone; a subclass that overrides it may take anything",
    "shared_memory.SharedMemory": "track=None, not True: a program that only attaches it leaves it",
    "reduction.AbstractReducer.ForkingPickler": "as reduction.ForkingPickler",
    "reduction.ForkingPickler": "declared as in pickle, where *args hides the same two",
}

# What newer versions have, here on all: modules' names, methods, and arguments in parentheses.
NEWER = {
    "futures.ProcessPoolExecutor.kill_workers",
    "futures.ProcessPoolExecutor.map(buffersize)",
    "futures.ProcessPoolExecutor.terminate_workers",
    "managers.SetProxy",
    "managers.SyncManager.set",
    "process.BaseProcess.interrupt",
    "queues.Queue.shutdown",
    "shared_memory.SharedMemory(track)",
    "synchronize.Lock.locked",
    "synchronize.RLock.locked",
}

Parameters = list[list[str]]


@functools.cache
def interface(package: str) -> dict[str, dict[str, object]]:
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("interfaces.py"))]
    done = run([*command, package])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def names_of(package: str, module: str) -> dict[str, dict[str, object]]:
    return interface(package)[module]["names"]  # type: ignore[return-value]


def assert_none(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


def pairs() -> Iterator[tuple[str, dict[str, object], dict[str, object]]]:
    """Each name of the standard modules that ours have: what it is there, and what it is here."""
    for module, standard in interface("multiprocessing").items():
        if module in interface("forkful"):
            ours = names_of("forkful", module)
            for name, there in standard["names"].items():  # type: ignore[attr-defined]
                if name in ours and ours[name]["kind"] != LATER:
                    yield f"{module}.{name}".lstrip("."), there, ours[name]


def test_every_module_is_there():
    assert set(interface("multiprocessing")) <= set(interface("forkful"))


def test_every_name_is_there():
    lacking = []
    for module, standard in interface("multiprocessing").items():
        if module in interface("forkful"):
            names = set(standard["names"]) - set(names_of("forkful", module))
            lacking += sorted(f"{module}.{name}" for name in names)
    assert_none([name for name in lacking if name not in NOT_OURS])


def test_all_has_what_it_has_there():
    lacking = []
    for module, standard in interface("multiprocessing").items():
        if module in interface("forkful"):
            names = set(standard["all"]) - set(interface("forkful")[module]["all"])
            there = names & set(names_of("forkful", module))
            lacking += sorted(f"{module}.{name}" for name in there)
    assert_none(lacking)


def test_what_is_a_class_or_a_function_there_is_one_here():
    assert_none(
        [
            f"{name}: {there['kind']}, here {here['kind']}"
            for name, there, here in pairs()
            if there["kind"] != here["kind"] and here["kind"] != "class"
        ]
    )


def test_constants_are_the_same():
    assert_none(
        [
            f"{name}: {there['value']}, here {here.get('value')}"
            for name, there, here in pairs()
            if "value" in there and there["value"] != here.get("value") and name not in OTHER_VALUES
        ]
    )


def test_exceptions_are_caught_as_there():
    # BrokenExecutor is among them once concurrent.futures is imported: see test_install.py.
    assert_none(
        [
            f"{name}: {there['bases']}, here {here.get('bases')}"
            for name, there, here in pairs()
            if not {*there.get("bases", ())} - {"BrokenExecutor"} <= {*here.get("bases", ())}
        ]
    )


def test_every_method_is_there():
    assert_none(
        [
            f"{name}.{method}"
            for name, there, here in pairs()
            for method in there.get("methods", ())
            if method not in here.get("methods", ()) and f"{name}.{method}" not in NOT_METHODS
        ]
    )


def difference(name: str, there: Parameters | None, here: Parameters | None | str) -> str | None:
    """What of a signature is not as the standard one."""
    if there is None or here is None or here == LATER or there == here:
        return None
    called = name.rpartition(".")[2]
    more = {each for each, (names, _) in MORE_ARGUMENTS.items() if called in names.split()}
    assert isinstance(here, list)
    known = {each[0] for each in there}
    left = [each for each in here if each[0] in known or each[0] not in more or not each[2]]
    if without_self(left) == without_self(there):
        return None
    return f"{name}: {told(there)}, here {told(here)}"


def without_self(parameters: Parameters) -> Parameters:
    """With self, and the defaults of OTHER_DEFAULTS, as there."""
    plain = [
        [name, kind, "" if name in OTHER_DEFAULTS else default]
        for name, kind, default in parameters
    ]
    if plain and plain[0][0] == "self":
        plain[0][1] = "POSITIONAL_OR_KEYWORD"
    return plain


def told(parameters: Parameters) -> str:
    marks = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    texts = [
        marks.get(kind, "") + name + "=" * bool(value) + value for name, kind, value in parameters
    ]
    return f"({', '.join(texts)})"


def test_everything_is_called_as_there():
    found = []
    for name, there, here in pairs():
        found.append(difference(name, there.get("signature"), here.get("signature")))
        for method, parameters in there.get("methods", {}).items():
            ours = here.get("methods", {}).get(method)
            found.append(difference(f"{name}.{method}", parameters, ours))
    differences = [each for each in found if each is not None]
    assert_none([each for each in differences if each.partition(":")[0] not in OTHERWISE_CALLED])


def has(path: str) -> bool:
    name, _, argument = path.rstrip(")").partition("(")
    module, kind, *method = name.split(".")
    thing = names_of("forkful", module).get(kind, {"kind": LATER})
    if thing["kind"] == LATER:
        return False
    parameters = thing["methods"].get(method[0], LATER) if method else thing["signature"]
    if parameters == LATER:
        return False
    return not argument or argument in [each[0] for each in parameters or ()]


@pytest.mark.parametrize("path", sorted(NEWER))
def test_what_newer_versions_have_is_there_on_all(path):
    assert has(path)


@pytest.mark.parametrize("path", sorted(NAMES))
def test_what_programs_lean_on_is_there(path):
    assert is_importable(path)


def is_importable(path: str) -> bool:
    module, *names = path.split(".")
    try:
        thing = importlib.import_module(f"forkful.{module}")
        for name in names:
            thing = getattr(thing, name)
    except (ImportError, AttributeError):
        return False
    return True


def test_what_programs_look_up_at_objects_is_there():
    with forkful.Pool(1) as pool, forkful.ProcessPoolExecutor(1) as executor:
        objects = {
            "executor": executor,
            "pool": pool,
            "process": forkful.Process(),
            "queue": forkful.Queue(),
            "result": pool.map_async(abs, [1]),
        }
        lacking = {
            kind: {name for name in ATTRIBUTES[kind] if not hasattr(thing, name)}
            for kind, thing in objects.items()
        }
    assert_none([f"{kind}.{name}" for kind, names in lacking.items() for name in sorted(names)])


def test_what_is_not_there_is_seen():
    assert has("queues.Queue.put(timeout)")
    assert not has("queues.Queue.put(colour)")
    assert not has("queues.Queue.colour")
    assert not has("queues.Colour")
    there = [["self", "POSITIONAL_OR_KEYWORD", ""], ["n", "POSITIONAL_OR_KEYWORD", "1"]]
    assert difference("m.Lock", there, [*there, ["name", "KEYWORD_ONLY", "None"]]) is None
    assert difference("m.Lock", there, [*there, ["name", "KEYWORD_ONLY", ""]])
    assert difference("m.Lock", there, [*there, ["colour", "KEYWORD_ONLY", "None"]])
    assert difference("m.Lock", there, there[:1]) == "m.Lock: (self, n=1), here (self)"
