"""Errors in a pool: their type, their traceback, and that the pool works on."""

from __future__ import annotations

import errno
import threading

import forkful
import pytest
from forkful._child import ending
from forkful._pool import results
from forkful.pool import MaybeEncodingError, RemoteTraceback
from helpers import run_python


@pytest.fixture
def pool(context):
    with context.Pool(2) as pool:
        yield pool
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3], "the pool works on"


class OwnError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.first = first
        self.second = second

    def __reduce__(self):
        return OwnError, (self.first, self.second)


def fail(kind, *args):
    raise kind(*args)


def fail_on_three(number):
    if number == 3:
        raise ValueError(f"item {number} is three")
    return number


def test_an_error_comes_back_as_its_own_type_with_the_remote_traceback(pool):
    with pytest.raises(OwnError) as caught:
        pool.apply(fail, (OwnError, 1, "b"))
    error = caught.value
    assert (error.first, error.second, str(error)) == (1, "b", "1 and b")
    assert isinstance(error.__cause__, RemoteTraceback)
    text = str(error.__cause__)
    assert "Traceback (most recent call last)" in text
    assert "in fail\n" in text
    assert "OwnError: 1 and b" in text


@pytest.mark.parametrize("kind", [ValueError, KeyError, MemoryError, StopIteration, RecursionError])
def test_built_in_errors_keep_type_and_arguments(pool, kind):
    with pytest.raises(kind) as caught:
        pool.apply(fail, (kind, "text"))
    assert caught.value.args == ("text",)


def test_an_os_error_keeps_errno_and_file(pool):
    with pytest.raises(FileNotFoundError) as caught:
        pool.apply(open, ("/no/such/file",))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "/no/such/file")


@pytest.mark.parametrize("chunksize", [1, 2, 10])
def test_a_map_raises_what_one_item_raised(pool, chunksize):
    with pytest.raises(ValueError, match="item 3 is three"):
        pool.map(fail_on_three, range(10), chunksize)
    with pytest.raises(ValueError, match="item 3 is three"):
        pool.map_async(fail_on_three, range(10), chunksize).get(10)


@pytest.mark.parametrize("chunksize", [1, 2, 10])
def test_an_imap_raises_at_the_item_and_goes_on(pool, chunksize):
    results = pool.imap(fail_on_three, range(6), chunksize)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(results)
    assert list(results) == [4, 5]


def test_a_failed_result_is_ready_and_unsuccessful(pool):
    result = pool.apply_async(fail, (ValueError, "x"))
    result.wait(10)
    assert result.ready() and not result.successful()
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            result.get()


# --- what cannot be sent ---


class FailsToPickle:
    def __reduce__(self):
        raise ArithmeticError("this one stays at home")

    def __repr__(self):
        return "<the shy one>"


class FailsToUnpickle:
    def __reduce__(self):
        return divide, (1, 0)

    def __repr__(self):
        return "<the broken one>"


def divide(a, b):
    return a / b


def leave(*args):
    raise SystemExit(*args)


class ExitsWhenUnpickled:
    def __reduce__(self):
        return leave, (3,)


def make(kind, *args):
    return kind(*args)


def test_an_argument_that_does_not_pickle_fails_its_own_call(pool):
    for bad, error in ((threading.Lock(), TypeError), (FailsToPickle(), ArithmeticError)):
        result = pool.apply_async(repr, (bad,))
        with pytest.raises(error):
            result.get(10)
        with pytest.raises(error):
            pool.map(repr, [1, bad, 2], 1)
        with pytest.raises(error):
            list(pool.imap(repr, [bad]))
        assert pool.apply(repr, (1,)) == "1"


def test_only_the_chunk_of_an_unpicklable_item_fails(pool):
    results = pool.imap(repr, [1, 2, FailsToPickle(), 4, 5], 1)
    assert [next(results), next(results)] == ["1", "2"]
    with pytest.raises(ArithmeticError):
        next(results)
    assert list(results) == ["4", "5"]


def test_a_function_that_does_not_pickle_is_an_error(pool):
    lock = threading.Lock()
    with pytest.raises(AttributeError, match="lambda"):
        pool.map(lambda n: (n, lock), [1, 2])
    with pytest.raises(TypeError):
        pool.apply(5)


def test_an_argument_that_does_not_unpickle_fails_its_own_call(pool):
    with pytest.raises(ZeroDivisionError):
        pool.apply_async(repr, (FailsToUnpickle(),)).get(10)
    with pytest.raises(ZeroDivisionError):
        pool.map(repr, [1, FailsToUnpickle(), 3], chunksize=1)
    results = pool.imap_unordered(repr, [1, FailsToUnpickle(), 3])
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append(next(results))
        except ZeroDivisionError:
            outcomes.append("error")
    assert sorted(outcomes) == ["1", "3", "error"]


def test_a_result_that_does_not_pickle_is_reported(pool):
    for chunksize in (1, 2):
        with pytest.raises(MaybeEncodingError) as caught:
            pool.starmap(make, [(int,), (FailsToPickle,)], chunksize)
        assert "<the shy one>" in str(caught.value)
        assert "stays at home" in str(caught.value)
        assert "Remedy: return what can be pickled" in str(caught.value)
    with pytest.raises(MaybeEncodingError):
        pool.apply(threading.Lock)


def test_a_result_that_does_not_unpickle_fails_its_own_call(pool):
    with pytest.raises(ZeroDivisionError):
        pool.apply_async(make, (FailsToUnpickle,)).get(10)
    results = [pool.apply_async(make, (kind,)) for kind in (int, FailsToUnpickle, str)]
    assert results[0].get(10) == 0
    assert results[2].get(10) == ""
    with pytest.raises(ZeroDivisionError):
        results[1].get(10)


class UnsendableError(Exception):
    def __init__(self):
        super().__init__("has a lock")
        self.lock = threading.Lock()


class UnreadableError(Exception):
    def __init__(self, first, second):
        super().__init__("does not unpickle")


def test_an_exception_that_does_not_pickle_is_told_in_words(pool):
    with pytest.raises(MaybeEncodingError) as caught:
        pool.apply(fail, (UnsendableError,))
    assert "UnsendableError('has a lock')" in str(caught.value)
    assert "Remedy: an exception with attributes that can be pickled" in str(caught.value)
    assert "in fail\n" in str(caught.value.__cause__)


def test_an_exception_that_does_not_unpickle_is_told_in_words(pool):
    with pytest.raises(MaybeEncodingError) as caught:
        pool.apply_async(fail, (UnreadableError, 1, 2)).get(10)
    assert "does not unpickle" in str(caught.value)
    assert "pass all arguments there, or define __reduce__()" in str(caught.value)
    assert "UnreadableError: does not unpickle" in str(caught.value.__cause__)


class ShyRepr(FailsToPickle):
    def __repr__(self):
        raise KeyError("no words")


def test_a_result_whose_repr_fails_too(pool):
    with pytest.raises(MaybeEncodingError, match="ShyRepr"):
        pool.apply(make, (ShyRepr,))


# --- leaving ---


@pytest.mark.parametrize("code", [0, 7, "words"])
def test_sys_exit_in_a_task_is_that_tasks_error(pool, code):
    pids = {worker.pid for worker in pool._pool}
    with pytest.raises(SystemExit) as caught:
        pool.apply(leave, (code,))
    assert caught.value.code == code
    assert {worker.pid for worker in pool._pool} == pids


def test_system_exit_while_decoding_belongs_to_its_task(pool):
    with pytest.raises(SystemExit):
        pool.apply_async(repr, (ExitsWhenUnpickled(),)).get(10)
    with pytest.raises(SystemExit):
        pool.apply_async(make, (ExitsWhenUnpickled,)).get(10)
    told: list[BaseException] = []
    result = pool.apply_async(make, (ExitsWhenUnpickled,), error_callback=told.append)
    result.wait(10)
    assert [type(error) for error in told] == [SystemExit]


def test_a_keyboard_interrupt_raised_by_a_task_is_its_error(pool):
    with pytest.raises(KeyboardInterrupt):
        pool.apply(fail, (KeyboardInterrupt,))


def recurse(depth):
    return recurse(depth + 1)


def test_endless_recursion_is_a_recursion_error(pool):
    with pytest.raises(RecursionError):
        pool.apply(recurse, (0,))
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RecursionError):
        pool.apply(id, (nested,))
    while nested:
        nested = nested.pop()


def nest(depth):
    nested: list[object] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def test_a_result_nested_too_deep_to_pickle_is_reported(pool):
    with pytest.raises(MaybeEncodingError, match="RecursionError"):
        pool.apply(nest, (100_000,))


class FrozenError(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")


def test_an_error_that_refuses_attributes_comes_back_as_itself(pool):
    with pytest.raises(FrozenError, match="cold") as caught:
        pool.apply(fail, (FrozenError, "cold"))
    assert isinstance(caught.value.__cause__, RemoteTraceback)


def notes_of(error):
    return " ".join(getattr(error, "__notes__", ()))


REMEDY = "give forkful's locks and queues in place of those of threading and queue"


def apply_later(pool, *call):
    return pool.apply_async(*call).get(20)


def test_a_function_without_a_name_says_what_to_give_instead(pool):
    """Where it cannot be sent by value either, since it refers to what does not pickle."""
    lock = threading.Lock()
    for call in (
        lambda: pool.map(lambda item: (item, lock), [1, 2]),
        lambda: pool.apply(lambda: lock),
        lambda: next(pool.imap(lambda item: (item, lock), [1])),
    ):
        with pytest.raises(Exception, match="<lambda>") as raised:
            call()
        assert "top level of a module; functools.partial()" in notes_of(raised.value)


def test_an_item_that_does_not_pickle_says_which_it_is(pool):
    items = [0, 1, threading.Lock(), 3]
    with pytest.raises(TypeError, match="pickle") as raised:
        pool.map(abs, items, chunksize=1)
    assert "item 2 of the input" in notes_of(raised.value)
    assert REMEDY in notes_of(raised.value)
    with pytest.raises(TypeError) as raised:
        pool.map(abs, [0, *items], chunksize=2)
    assert "one of the items 2 to 3 of the input" in notes_of(raised.value)
    results = pool.imap(abs, items)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TypeError) as raised:
        next(results)
    assert "item 2 of the input" in notes_of(raised.value)
    assert next(results) == 3


@pytest.mark.parametrize("how", [lambda pool, *call: pool.apply(*call), apply_later])
def test_an_argument_that_does_not_pickle_says_which_it_is(pool, how):
    lock = threading.Lock()
    for args, named, which in (
        ((lock,), {}, "it is argument 0 of the call, counted from 0"),
        ((1, [2, lock]), {}, "it is argument 1 of the call, counted from 0"),
        ((1, lock), {"key": lock}, "it is argument 1 of the call, counted from 0"),
        ((1, 2), {"key": 3, "other": {"in": lock}}, "it is the argument other= of the call"),
    ):
        with pytest.raises(TypeError, match="pickle") as raised:
            how(pool, max, args, named)
        assert raised.value.__notes__ == [f"forkful: {which}", f"forkful: {REMEDY}"]


class PicklesOnce:
    """Fails to be pickled, once."""

    failed = False

    def __reduce__(self):
        if not self.failed:
            self.failed = True
            raise ArithmeticError("not now")
        return int, ()


def test_an_argument_that_pickles_the_second_time_has_no_note(pool):
    with pytest.raises(ArithmeticError, match="not now") as raised:
        pool.apply(abs, (PicklesOnce(),))
    assert notes_of(raised.value) == ""


class Interrupts:
    """Fails to be pickled, and the second time it is interrupted."""

    failed = False

    def __reduce__(self):
        if self.failed:
            raise KeyboardInterrupt
        self.failed = True
        raise ArithmeticError("not now")


def test_an_interrupt_of_the_search_for_the_argument_is_the_callers(pool):
    with pytest.raises(KeyboardInterrupt):
        pool.apply_async(abs, (Interrupts(),))
    assert pool.apply(abs, (-1,)) == 1


def test_a_function_that_is_newer_than_the_workers_says_so(pool):
    globals()["newer"] = type(square_of)(square_of.__code__, globals(), "newer")
    globals()["newer"].__qualname__ = "newer"
    try:
        with pytest.raises(AttributeError, match="newer") as raised:
            pool.map(globals()["newer"], [1])
        assert "define it at the top level of a module" in notes_of(raised.value)
    finally:
        del globals()["newer"]


def square_of(number):
    return number * number


@pytest.mark.parametrize("arguments", [1, 2.5, None])
def test_arguments_that_are_no_tuple_are_told_how_to_be_one(pool, arguments):
    with pytest.raises(TypeError, match=rf"one argument is written \({arguments},\)"):
        pool.apply(abs, arguments)
    with pytest.raises(TypeError, match=rf"one argument is written \({arguments},\)"):
        pool.apply_async(int, arguments, {"base": 10})
    with pytest.raises(TypeError, match=rf"one argument is written \({arguments},\)"):
        forkful.Process(target=abs, args=arguments)


def test_a_worker_that_was_forked_in_the_midst_of_an_import_tells_of_its_errors(tmp_path):
    # The child has the locks of modules whose thread it has not.
    (tmp_path / "textwrap.py").write_text(
        "import __main__\n__main__.begun.set()\n__main__.go_on.wait()\n"
    )
    done = run_python(
        """
        import sys
        import threading
        import forkful

        begun, go_on = threading.Event(), threading.Event()

        def fail():
            raise ValueError("of the task")

        for name in ("traceback", "textwrap"):
            sys.modules.pop(name, None)
        sys.path.insert(0, sys.argv[1])
        thread = threading.Thread(target=__import__, args=("traceback",))
        thread.start()
        begun.wait()
        with forkful.get_context("fork").Pool(1) as pool:
            try:
                pool.apply_async(fail, timeout=30).get()
            except ValueError as error:
                print(error, "in fail" in str(error.__cause__))
        go_on.set()
        thread.join()
        """,
        str(tmp_path),
    )
    assert done.stderr == ""
    assert done.stdout == "of the task True\n"


def test_an_error_is_told_where_traceback_cannot_be_had(monkeypatch):
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError

    def deep(number):
        if number:
            deep(number - 1)
        raise Bad

    monkeypatch.setattr(ending, "can_print_tracebacks", lambda: False)
    try:
        try:
            deep(200)
        except Bad as error:
            raise KeyError("of it") from error
    except KeyError as error:
        error.add_note("a note")
        text = results.traceback_text(error, error.__traceback__)
    assert text.splitlines()[0] == (f"{Bad.__qualname__}: <Bad, whose str raised RuntimeError>")
    assert text.endswith("KeyError: 'of it'\na note\n")
    try:
        deep(200)
    except Bad as error:
        text = results.traceback_text(error, error.__traceback__)
    assert text.count("in deep") == 50
