"""What a signal's handler raises is the caller's, and costs no other call its result."""

from __future__ import annotations

import functools
import os
import signal
import threading

import forkful
import pytest
from helpers import await_condition, kill_self


class Alarm(Exception):
    """What a handler raises."""


class Handler:
    def __init__(self, error):
        self.error = error

    def method(self, number, frame):
        raise self.error

    def __call__(self, number, frame):
        raise self.error


def plain(number, frame):
    raise Alarm


def tidy(number, frame):
    del number, frame
    raise Alarm


def once(number, frame):
    signal.signal(number, signal.SIG_DFL)
    raise Alarm


def raise_it(error, number, frame):
    raise error


_HANDLERS = {
    "function": plain,
    "lambda": lambda *_: raise_it(Alarm, 0, None),
    "tidy": tidy,
    "once": once,
    "method": Handler(Alarm).method,
    "object": Handler(Alarm),
    "partial": functools.partial(raise_it, Alarm),
    "exit": Handler(SystemExit),
    "interrupt": signal.default_int_handler,
}
_ERRORS = {"exit": SystemExit, "interrupt": KeyboardInterrupt}


# Why a list: what it has is to be done while the next value is read, in this process only.
_while_reading: list[object] = []


def read(value):
    if _while_reading:
        _while_reading.pop()()
    return value


class Read:
    """Its value, where it is read; then Python code runs."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return read, (self.value,)


class OddError(Exception):
    def __reduce__(self):
        return read, (OddError2(self.args),)


class OddError2(Exception):
    pass


def give(value, go=None):
    if go is not None:
        go.wait(20)
    return Read(value)


def fail(_):
    raise OddError("odd")


def ring():
    signal.raise_signal(signal.SIGUSR1)


@pytest.fixture(autouse=True)
def handle():
    """Sets a handler of SIGUSR1."""
    before = signal.signal(signal.SIGUSR1, plain)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)
    _while_reading.clear()


@pytest.fixture
def pool():
    with forkful.Pool(2) as pool:
        yield pool


@pytest.fixture
def never(pool):
    """A result that comes with the end of the test."""
    go = forkful.Event()
    result = pool.apply_async(go.wait, (60,))
    yield result
    go.set()
    assert result.get(20) is True


@pytest.mark.parametrize("kind", _HANDLERS)
def test_what_a_handler_raises_while_anothers_result_is_read_is_the_callers(
    pool, never, handle, kind
):
    handle(_HANDLERS[kind])
    _while_reading.append(ring)
    other = pool.apply_async(give, (1,))
    with pytest.raises(_ERRORS.get(kind, Alarm)):
        never.get(20)
    assert not _while_reading
    assert other.get(20) == 1


@pytest.mark.parametrize("call", ["get", "wait", "ready", "apply", "map", "imap"])
def test_what_a_handler_raises_comes_out_of_each_call(pool, call):
    go = forkful.Event()
    other = pool.apply_async(give, (1, go))
    _while_reading.append(ring)
    go.set()
    with pytest.raises(Alarm):
        while True:
            if call == "apply":
                pool.apply(abs, (-2,))
            elif call == "map":
                pool.map(abs, [-2, -3])
            elif call == "imap":
                list(pool.imap(abs, [-2, -3]))
            elif call == "ready":
                other.ready()
            else:
                getattr(other, call)(20)
    assert other.get(20) == 1


def test_a_result_whose_own_reading_a_handler_interrupts_is_read_again(pool):
    result = pool.apply_async(give, (1,))
    for _ in range(3):
        _while_reading.append(ring)
        with pytest.raises(Alarm):
            result.get(20)
        if result.ready():
            break
    _while_reading.clear()
    assert result.get(20) == 1
    assert result.successful()


def test_an_error_whose_reading_a_handler_interrupts_comes_as_it_is(pool, never):
    _while_reading.append(ring)
    other = pool.apply_async(fail, (1,))
    with pytest.raises(Alarm):
        never.get(20)
    with pytest.raises(OddError2):
        other.get(20)


@pytest.mark.parametrize("error", [ValueError, SystemExit, Alarm])
def test_what_a_value_itself_raises_is_its_own(pool, error):
    def refuse():
        raise error("not to be read")

    _while_reading.append(refuse)
    other = pool.apply_async(give, (1,))
    assert pool.apply_async(abs, (-2,)).get(20) == 2
    with pytest.raises(error, match="not to be read"):
        other.get(20)
    assert pool.apply(abs, (-3,)) == 3


@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize("call", ["map_async", "imap", "imap_unordered"])
def test_no_item_is_lost_or_doubled_by_what_a_handler_raises(pool, never, call, chunk):
    _while_reading.extend([list] * 3 + [ring] + [list] * 4 + [ring])
    items = list(range(40))
    results = getattr(pool, call)(give, items, chunksize=chunk)
    alarms = 0
    while _while_reading:
        try:
            never.get(0.1)
        except Alarm:
            alarms += 1
        except forkful.TimeoutError:
            pass
    assert alarms >= 1
    got = results.get(20) if call == "map_async" else list(results)
    assert sorted(got) == items
    if call != "imap_unordered":
        assert got == items


def test_a_callback_hears_of_a_result_once_though_its_reading_was_interrupted(pool, never):
    seen: list[int] = []
    _while_reading.append(ring)
    result = pool.apply_async(give, (1,), callback=seen.append, error_callback=seen.append)
    with pytest.raises(Alarm):
        never.get(20)
    assert result.get(20) == 1
    assert seen == [1]


def test_who_collects_reads_again_where_no_thread_can_be_started(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    with forkful.Pool(1) as pool:
        _while_reading.append(ring)
        result = pool.apply_async(give, (1,))
        with pytest.raises(Alarm):
            pool.apply(abs, (-1,))
        assert result.get(20) == 1
        assert pool.apply(abs, (-1,)) == 1
        # One that raises each time is not read for ever.
        _while_reading.extend([ring] * 2)
        result = pool.apply_async(give, (1,))
        for _ in range(2):
            with pytest.raises(Alarm):
                pool.apply(abs, (-1,))
        with pytest.raises(Alarm):
            result.get(20)
        assert pool.apply(abs, (-1,)) == 1


def test_a_handler_that_raises_while_a_pool_is_terminated_costs_no_result():
    pool = forkful.Pool(1)
    done = forkful.Event()
    results = [pool.apply_async(give, (n,)) for n in range(3)]
    pool.apply_async(done.set)
    _while_reading.append(ring)
    try:
        assert done.wait(20)
    except Alarm:  # a thread of the pool has read them already
        assert done.wait(20)
    try:
        pool.terminate()
    except Alarm:
        pool.terminate()
    pool.join()
    assert not _while_reading
    assert [each.get(0) for each in results if each.successful()] in ([0, 1, 2], [1, 2])


def test_a_death_is_told_though_a_handler_raises_while_its_error_is_made(pool, never):
    make = pool._workers.make_error

    def make_error(*args):
        if not rung:
            rung.append(True)
            ring()
        return make(*args)

    rung: list[bool] = []
    pool._workers.make_error = make_error
    other = pool.apply_async(kill_self)
    with pytest.raises(Alarm):
        never.get(20)
    with pytest.raises(forkful.WorkerDied):
        other.get(20)


class Rings:
    """Rings while it is pickled, once."""

    def __init__(self):
        self.function = ring

    def __reduce__(self):
        function, self.function = self.function, None
        if function is not None:
            function()
        return int, (1,)


@pytest.mark.parametrize("call", ["apply", "apply_async", "map", "map_async", "imap"])
def test_what_a_handler_raises_while_a_task_is_pickled_is_the_callers(pool, call):
    seen: list[object] = []
    one = Rings()
    with pytest.raises(Alarm):
        if call == "apply":
            pool.apply(int, (one,))
        elif call == "apply_async":
            pool.apply_async(int, (one,), callback=seen.append, error_callback=seen.append)
        else:
            getattr(pool, call)(int, [1, one])
    assert pool.apply(int, (one,)) == 1
    assert seen == []


def test_what_a_handler_raises_reaches_the_main_thread_whoever_reads(pool):
    """Another thread reads, where no handler runs; the main thread is told, and loses nothing."""
    result = pool.apply_async(give, (1,))
    _while_reading.append(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(result.get(20)))
    with pytest.raises(Alarm):
        thread.start()
        await_condition(lambda: False)
    thread.join(20)
    assert got == [1]
