"""What does not pickle is named, with what to give instead, wherever it is given."""

from __future__ import annotations

import functools
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import forkful
import pytest
from forkful import _core, managers
from forkful.context import BaseContext
from helpers import run, run_python

LOCKS = "give forkful's locks and queues in place of those of threading and queue"
OBJECTS = f"forkful: {LOCKS}"
NAMES = "give functions and classes that are defined at the top level of a module"
FUNCTIONS = f"forkful: {_core.NAMED_FUNCTIONS}"
SPAWN = forkful.get_context("spawn")


def work(*args: object, **kwargs: object) -> None:
    pass


class Server:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def serve(self) -> None:
        pass


class Child(forkful.context.SpawnProcess):
    def __init__(self) -> None:
        super().__init__(name="Own")
        self._lock = threading.Lock()


class Selective(Child):
    def __init__(self) -> None:
        super().__init__()
        self.generator = (each for each in "abc")

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}


class Refusing(Child):
    def __getstate__(self) -> dict[str, object]:
        raise ValueError("never")


def notes_of(call: Callable[[], object], kind: type[Exception] = TypeError) -> list[str]:
    with pytest.raises(kind) as raised:
        call()
    assert type(raised.value) is kind
    return getattr(raised.value, "__notes__", [])


# --- processes ---


def _local() -> Callable[[], None]:
    def inner() -> None:
        pass

    return inner


def test_a_function_that_a_child_cannot_know_is_named(context: BaseContext) -> None:
    if context.get_start_method() == "fork":
        child = context.Process(target=_local())
        child.start()
        child.join()
        assert child.exitcode == 0
        return
    for target in (_local(), lambda: None):
        child = context.Process(target=target, name="Child-7")
        notes = notes_of(child.start, AttributeError)
        assert notes == ["forkful: it is the target of Child-7", FUNCTIONS]
        notes = notes_of(context.Process(target=work, kwargs={"key": target}).start, AttributeError)
        assert notes[0].startswith("forkful: it is the argument key= of ")
        assert notes[1] == FUNCTIONS


def test_an_object_that_a_child_is_given_is_named() -> None:
    lock = threading.Lock()
    for child, which in (
        (SPAWN.Process(target=work, args=(1, lock), name="A"), "argument 1 of A, counted from 0"),
        (
            SPAWN.Process(target=work, kwargs={"a": 1, "b": [lock]}, name="A"),
            "the argument b= of A",
        ),
        (SPAWN.Process(target=functools.partial(work, lock), name="A"), "the target of A"),
        (
            SPAWN.Process(target=Server().serve, name="A"),
            "the target of A, a method, which takes its Server along",
        ),
        (Child(), "the attribute _lock of Own"),
    ):
        assert notes_of(child.start) == [f"forkful: it is {which}", OBJECTS]
        assert not child.is_alive()
    assert notes_of(Selective().start) == [
        "forkful: it is the attribute generator of Own",
        "forkful: give list() of it",
    ]


def test_the_class_of_a_process_is_named_where_it_is_local() -> None:
    class Local(forkful.context.SpawnProcess):
        pass

    first, second = notes_of(Local(name="A").start, AttributeError)
    assert first.startswith("forkful: it is the class of A, test_the_class_of")
    assert second == f"forkful: {NAMES}"
    assert notes_of(Refusing().start, ValueError) == []


def test_what_a_pool_is_made_with_is_named() -> None:
    lock = threading.Lock()
    assert notes_of(lambda: SPAWN.Pool(1, work, (1, lock))) == [
        "forkful: it is item 1 of the pool's initargs, counted from 0",
        OBJECTS,
    ]
    assert notes_of(lambda: SPAWN.Pool(1, lambda: None), AttributeError) == [
        "forkful: it is the initializer of the pool",
        FUNCTIONS,
    ]
    with forkful.ProcessPoolExecutor(1, SPAWN, work, (lock,)) as executor:
        assert notes_of(lambda: executor.submit(work).result())[0].endswith(
            "initargs, counted from 0"
        )


# --- messages ---


def test_what_a_connection_is_given_is_named() -> None:
    one, other = forkful.Pipe()
    for given, kind, remedy in (
        (lambda: 1, AttributeError, NAMES),
        (threading.Lock(), TypeError, LOCKS),
    ):
        assert notes_of(lambda given=given: one.send(given), kind) == [
            f"forkful: what send() was given was being pickled: {remedy}"
        ]
    one.send(1)
    assert other.recv() == 1


def test_the_argument_of_a_managers_call_is_named() -> None:
    lock = threading.Lock()
    with forkful.Manager() as manager:
        numbers: managers.DictProxy[object, object] = manager.dict()
        assert notes_of(lambda: numbers.__setitem__(1, lambda: 1), AttributeError) == [
            "forkful: it is argument 1 of __setitem__(), counted from 0",
            FUNCTIONS,
        ]
        assert notes_of(lambda: numbers.update(a=1, b=lock)) == [
            "forkful: it is the argument b= of update()",
            OBJECTS,
        ]
        assert notes_of(lambda: manager.list([lock])) == [
            "forkful: it is argument 0 of list(), counted from 0",
            OBJECTS,
        ]
        assert notes_of(lambda: manager.Queue().put(lock))[0].startswith(
            "forkful: it is argument 0"
        )
        assert numbers.copy() == {}


class Has:
    def __init__(self, given: object) -> None:
        self.given = given


def test_the_remedy_fits_what_does_not_pickle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with forkful.Pool(1) as pool, path.open() as text, path.open("rb") as file:
        for given, remedy in (
            (text, "give the path of the file, and open it there"),
            (file, "give the path of the file, and open it there"),
            ((each for each in "abc"), "give list() of it"),
            (threading, "import the module in the function that uses it"),
            (queue.Queue(), LOCKS),
            (threading.Condition(), LOCKS),
            (threading.local(), "leave it out in __getstate__() of what has it, and make it"),
            (lambda: 1, NAMES),
        ):
            for each in (given, Has(given)):
                with pytest.raises((TypeError, AttributeError)) as refused:
                    pool.apply(repr, (each,))
                which, told = refused.value.__notes__
                assert which == "forkful: it is argument 0 of the call, counted from 0"
                assert told.startswith(f"forkful: {remedy}")
        with pytest.raises(NotImplementedError, match="leave it out in __getstate__") as raised:
            pool.apply(repr, (Has(pool),))
        assert len(raised.value.__notes__) == 1  # which argument it is
        with forkful.Manager() as manager:
            with pytest.raises(TypeError, match="a Manager cannot be sent: send its proxies"):
                pool.apply(repr, (manager,))
            with pytest.raises(TypeError, match="a Manager cannot be sent: send its proxies"):
                SPAWN.Process(target=work, args=(manager,)).start()


def test_what_the_main_module_has_only_in_its_first_process_is_told_where_to_be(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import sys
import forkful
from forkful.futures import ProcessPoolExecutor

def told(call):
    try:
        call()
    except Exception as error:
        print(*error.__notes__, file=sys.stderr)

if __name__ == "__main__":
    def inner(x):
        return x

    class K:
        pass

    context = forkful.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        told(lambda: pool.map(inner, [1]))
        told(lambda: pool.apply(abs, (K(),)))
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        told(executor.submit(inner, 1).result)
    queue = context.Queue()
    reader, writer = context.Pipe(duplex=False)
    queue.put(K())
    writer.send(K())
    for target, args in ((inner, (1,)), (abs, (K(),)), (queue.get, ()), (reader.recv, ())):
        child = context.Process(target=target, args=args)
        child.start()
        child.join()
        assert child.exitcode == 1
"""
    )
    told = "forkful: this process has no such function or class: define it at the top level of a "
    for method in ("spawn", "forkserver"):
        done = run([sys.executable, str(program), method])
        lines = [line for line in done.stderr.splitlines() if line.startswith("forkful:")]
        assert len(lines) == 7, done.stderr
        assert all(line.startswith(told) for line in lines)
        assert all("above `if __name__ == '__main__':`" in line for line in lines)


# --- functions of pools ---


def test_a_function_that_cannot_be_sent_by_value_either_says_why() -> None:
    lock = threading.Lock()
    with forkful.Pool(1) as pool, forkful.ProcessPoolExecutor(1) as executor:
        for call in (
            lambda: pool.map(lambda _: lock, [1]),
            lambda: executor.submit(lambda: lock).result(),
        ):
            assert notes_of(call, AttributeError) == [
                "forkful: it cannot be sent by value either: "
                "TypeError: cannot pickle '_thread.lock' object",
                FUNCTIONS,
            ]
        assert notes_of(lambda: pool.apply(Server().serve)) == [
            "forkful: it is the function that is called",
            OBJECTS,
        ]
        assert pool.map(abs, [-1]) == list(executor.map(lambda number: -number, [-1])) == [1]


def test_a_function_that_needs_cloudpickle_says_so() -> None:
    done = run_python("""
        import sys
        sys.modules["cloudpickle"] = None
        import forkful
        def spawned():
            forkful.get_context("spawn").Process(target=told).start()
        def told(call):
            try:
                call()
            except Exception as error:
                text = " ".join([str(error), *error.__notes__])
                print(type(error).__name__, "cloudpickle, which is not installed" in text)
        with forkful.Pool(1) as pool, forkful.ProcessPoolExecutor(1) as executor:
            told(lambda: pool.map(lambda number: number, [1]))
            told(lambda: executor.submit(lambda: 1).result())
        told(spawned)
    """)
    assert done.stderr == ""
    assert done.stdout.split() == ["AttributeError", "True"] * 2 + ["ImportError", "True"]


def test_what_a_signals_handler_raises_meanwhile_gets_no_advice() -> None:
    done = run_python("""
        import os, signal, time
        import forkful
        class Interrupted(Exception): pass
        def interrupt(number, frame): raise Interrupted
        signal.signal(signal.SIGUSR1, interrupt)
        class Kills:
            def __reduce__(self):
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(10)  # Why: the signal interrupts it
        one, other = forkful.Pipe()
        spawn = forkful.get_context("spawn")
        for call in (lambda: one.send(Kills()), spawn.Process(target=print, args=(Kills(),)).start):
            try:
                call()
            except Interrupted as error:
                print(hasattr(error, "__notes__"))
    """)
    assert (done.stdout, done.stderr) == ("False\nFalse\n", "")


UNNAMED = lambda number: number + 1  # noqa: E731


def test_functions_without_a_name_go_by_value_from_any_module(context: BaseContext) -> None:
    """Not from the main module alone: this one is none."""
    step = 2

    def inner(number: int) -> int:
        return number + step

    with context.Pool(1) as pool:
        assert pool.map(UNNAMED, [1]) == pool.map(lambda number: number + 1, [1]) == [2]
        assert pool.apply(inner, (1,)) == 3
    with forkful.ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(inner, 1).result() == 3
