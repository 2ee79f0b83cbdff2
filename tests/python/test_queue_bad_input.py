"""What a queue refuses, in which words, and that it works on afterwards."""

from __future__ import annotations

import queue as standard_queue
import threading

import forkful
import pytest


class FailsToPickle:
    def __reduce__(self):
        raise ArithmeticError("this one stays at home")


class FailsToUnpickle:
    def __reduce__(self):
        return divide, (1, 0)


def divide(a, b):
    return a / b


def leave(code):
    raise SystemExit(code)


class ExitsWhenUnpickled:
    def __reduce__(self):
        return leave, (3,)


@pytest.fixture
def queue():
    return forkful.Queue()


LOCKS = ": give forkful's locks and queues in place of those of threading and queue\n"


def works(queue):
    queue.put([1])
    return queue.get(timeout=5) == [1] and queue.empty()


@pytest.mark.parametrize(
    ("item", "words", "remedy"),
    [
        (threading.Lock(), "TypeError: cannot pickle '_thread.lock' object", LOCKS),
        (lambda: 0, "lambda", ": give functions and classes that are defined at the top level"),
        (FailsToPickle(), "ArithmeticError: this one stays at home", "\n"),
        ([1, (2, {3: threading.Lock()})], "cannot pickle", LOCKS),
        ((1, threading.Lock()), "cannot pickle", LOCKS),
    ],
)
def test_an_object_that_can_not_be_pickled_is_reported_and_dropped(
    queue, capfd, item, words, remedy
):
    assert queue.put(item) is None
    printed = capfd.readouterr().err
    assert "Traceback" in printed
    assert words in printed
    assert f"dropped an item, a {type(item).__name__}" in printed
    assert "assert queue.put(item) is None" in printed  # the caller's line
    last = printed.splitlines(keepends=True)[-1]
    assert last.startswith(f"forkful: an item of a queue was being pickled{remedy}")
    assert works(queue)


def test_a_strict_queue_raises_instead(capfd):
    queue = forkful.Queue(strict=True)
    with pytest.raises(ArithmeticError, match="stays at home"):
        queue.put(FailsToPickle())
    with pytest.raises(ArithmeticError):
        forkful.SimpleQueue().put(FailsToPickle())
    assert capfd.readouterr().err == ""
    assert works(queue)


@pytest.mark.parametrize("item", [threading.Lock(), lambda: 0], ids=["lock", "lambda"])
def test_a_strict_queue_says_what_it_takes(item):
    for strict in (forkful.Queue(strict=True), forkful.SimpleQueue()):
        with pytest.raises(Exception, match="pickle") as raised:
            strict.put(item)
        assert "an item of a queue was being pickled" in " ".join(raised.value.__notes__)
        assert strict.empty()


def test_a_strict_queue_stays_strict_elsewhere():
    outer = forkful.Queue()
    outer.put(forkful.Queue(strict=True))
    with pytest.raises(ArithmeticError):
        outer.get().put(FailsToPickle())


def test_deep_recursion_is_a_recursion_error():
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    strict = forkful.Queue(strict=True)
    with pytest.raises(RecursionError):
        strict.put(nested)
    assert works(strict)
    while nested:
        nested = nested.pop()


def test_a_subclass_may_handle_what_can_not_be_pickled():
    from forkful import queues

    seen = []

    class Careful(queues.Queue):
        @staticmethod
        def _on_queue_feeder_error(error, item):
            seen.append((type(error), item))

    queue, item = Careful(), FailsToPickle()
    queue.put(item)
    assert seen == [(ArithmeticError, item)]
    assert works(queue)


def test_what_does_not_unpickle_costs_only_itself(queue):
    queue.put(FailsToUnpickle())
    queue.put(ExitsWhenUnpickled())
    queue.put("next")
    with pytest.raises(ZeroDivisionError):
        queue.get()
    with pytest.raises(SystemExit):
        queue.get()
    assert queue.get() == "next"
    assert works(queue)


def test_a_closed_queue_says_which_it_is(queue):
    queue.put(1)
    queue.close()
    queue.close()
    queue.join_thread()
    for use in (
        lambda: queue.put(1),
        lambda: queue.put_nowait(1),
        queue.get,
        queue.get_nowait,
    ):
        with pytest.raises(
            ValueError, match=r'the Queue "test_.*py:\d+" is closed in this process'
        ):
            use()


def test_closing_is_one_processes_own_affair(queue):
    child = forkful.Process(target=queue.close)
    child.start()
    child.join()
    assert works(queue)


def test_join_thread_before_close_is_an_error(queue):
    with pytest.raises(AssertionError, match="is not closed"):
        queue.join_thread()
    queue.cancel_join_thread()
    assert works(queue)


def test_wrong_arguments_are_type_errors(queue):
    for use in (
        lambda: queue.put(),
        lambda: queue.put(1, True, 1, 1),
        lambda: queue.put(1, colour=2),
        lambda: queue.get(True, 1, 1),
        lambda: queue.get(obj=1),
        lambda: queue.get(timeout="soon"),
        lambda: queue.put(1, timeout="soon"),
        lambda: forkful.Queue("many"),
        lambda: forkful.Queue(1.5),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(ValueError, match="nan"):
        queue.get(timeout=float("nan"))
    assert works(queue)


@pytest.mark.parametrize("wrong", ["10", 1.5, None, [3]])
def test_a_bound_that_is_no_integer_is_named(wrong):
    with pytest.raises(TypeError) as raised:
        forkful.Queue(wrong)
    assert str(raised.value) == f"maxsize must be an int, not {wrong!r}"


def test_unusual_sizes_mean_no_bound():
    for maxsize in (0, -1, -(10**9), -(10**30), 2**31 - 1):
        queue = forkful.Queue(maxsize)
        for i in range(100):
            queue.put_nowait(i)
        assert not queue.full()


@pytest.mark.parametrize("maxsize", [2**31, 10**12, 10**30])
def test_a_bound_beyond_all_bounds_is_refused_as_by_the_standard_queue(maxsize):
    with pytest.raises(OverflowError, match="more than 2147483647.*; 0 is no bound"):
        forkful.Queue(maxsize)


def test_a_queue_that_was_shut_down_refuses_puts_and_empties(queue):
    queue.put(1)
    queue.shutdown()
    with pytest.raises(forkful.ShutDown):
        queue.put(2)
    assert queue.get() == 1
    with pytest.raises(forkful.ShutDown):
        queue.get()


def test_shutdown_wakes_who_waits(queue):
    def wait(ended):
        try:
            queue.get()
        except forkful.ShutDown:
            ended.set()

    ended = forkful.Event()
    child = forkful.Process(target=wait, args=(ended,))
    child.start()
    queue.shutdown()
    assert ended.wait(10)
    child.join()


def test_errors_are_those_of_the_standard_queue():
    with pytest.raises(standard_queue.Empty) as caught:
        forkful.Queue().get_nowait()
    assert caught.value.args == ()
