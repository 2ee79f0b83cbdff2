"""What shared objects are called: a name of their own, or the line that makes them."""

import inspect
from functools import partial

import forkful
import pytest
from forkful import synchronize
from helpers import kill_self


def here() -> str:
    return f"test_labels.py:{inspect.currentframe().f_back.f_lineno}"


MAKERS = {
    "Lock": forkful.Lock,
    "RLock": forkful.RLock,
    "Semaphore": forkful.Semaphore,
    "BoundedSemaphore": forkful.BoundedSemaphore,
    "Event": forkful.Event,
    "Queue": forkful.Queue,
    "SimpleQueue": forkful.SimpleQueue,
    "Lock of its module": synchronize.Lock,
    "Lock of a context": forkful.get_context("fork").Lock,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
class TestALabel:
    def test_is_the_line_that_makes_the_object(self, make):
        label, line = make()._label, here()
        assert label == line

    def test_may_be_a_name(self, make):
        assert make(name="orders of today")._label == "orders of today"

    def test_that_is_no_text_is_refused(self, make):
        with pytest.raises(TypeError, match="name must be a str or None, not int"):
            make(name=3)


def die_with(lock):
    lock.acquire()
    kill_self()


class TestAnError:
    """of an object calls it by its label."""

    @pytest.mark.parametrize(
        ("make", "error", "called"),
        [
            (forkful.Lock, ValueError, 'the Lock "till" is not held'),
            (forkful.RLock, AssertionError, 'acquire the RLock "till" first'),
            (partial(forkful.BoundedSemaphore, 1), ValueError, 'the semaphore "till" is at its'),
        ],
    )
    def test_of_a_release_too_many(self, make, error, called):
        with pytest.raises(error, match=called):
            make(name="till").release()

    @pytest.mark.parametrize("make", [forkful.Lock, forkful.RLock])
    def test_of_an_owner_that_died(self, make):
        lock = make(name="till")
        owner = forkful.Process(target=die_with, args=(lock,))
        owner.start()
        owner.join()
        with pytest.raises(forkful.LockOwnerDied, match='held the lock "till" died'):
            lock.acquire()

    def test_of_a_values_owner_that_died(self):
        value = forkful.Value("i", name="till")
        owner = forkful.Process(target=die_with, args=(value,))
        owner.start()
        owner.join()
        with pytest.raises(forkful.LockOwnerDied, match='the lock "till" of a Value died'):
            value.value = 1

    def test_of_a_queue_that_was_shut_down(self):
        queue = forkful.Queue(name="orders")
        queue.shutdown()
        with pytest.raises(forkful.ShutDown, match='the queue "orders" was shut down'):
            queue.put(1)
        with pytest.raises(forkful.ShutDown, match='the queue "orders" was shut down'):
            queue.get()

    @pytest.mark.parametrize(
        ("make", "error"), [(forkful.Queue, ValueError), (forkful.SimpleQueue, OSError)]
    )
    def test_of_a_queue_that_was_closed(self, make, error):
        queue = make(name="orders")
        queue.close()
        for use in (queue.get, partial(queue.put, 1)):
            with pytest.raises(error, match=f'the {make.__name__} "orders" is closed'):
                use()

    def test_of_an_object_whose_name_is_not_ascii(self):
        lock = forkful.Lock(name="\u00fc" * 9)
        with pytest.raises(ValueError, match="\u00fc" * 9):
            lock.release()


class TestAValue:
    def test_and_its_lock_have_the_line_that_makes_them(self):
        value, line = forkful.Value("i", 3), here()
        assert (value._cell._label, value.get_lock()._label) == (line, line)

    def test_and_its_lock_have_its_name(self):
        value = forkful.Value("i", 3, name="count")
        assert (value._cell._label, value.get_lock()._label) == ("count", "count")
        assert value.value == 3

    def test_leaves_the_name_of_a_lock_that_it_is_given(self):
        value = forkful.Value("i", lock=forkful.RLock(name="mine"), name="count")
        assert (value._cell._label, value.get_lock()._label) == ("count", "mine")

    def test_without_a_lock_has_a_name_too(self):
        assert forkful.RawValue("d", 0.5, name="half")._wrapper._label == "half"
        assert forkful.Value("d", 0.5, lock=False, name="half")._wrapper._label == "half"


def test_a_subclass_is_called_by_the_line_that_makes_it():
    class Mine(synchronize.Lock):
        def __init__(self):
            super().__init__()
            self.owner = None

    # The line of its own constructor: that is the program's too.
    assert Mine()._label.startswith("test_labels.py:")


def test_a_relative_sees_the_label():
    queue = forkful.Queue()
    answer = forkful.Queue()

    def tell():
        answer.put(queue.get()._label)

    child = forkful.Process(target=tell)
    child.start()
    queue.put(forkful.Event(name="for the child"))
    assert answer.get() == "for the child"
    child.join()


def test_a_long_name_is_cut_between_characters():
    assert forkful.Event(name="x" * 54 + "ü")._label == "x" * 54
    assert forkful.Event(name="x" * 53 + "ü")._label == "x" * 53 + "ü"


def test_code_without_a_module_or_a_file_has_a_label_too():
    made = {}
    exec(compile("made['it'] = make()", "<one line>", "exec"), {"make": forkful.Lock, "made": made})
    assert made["it"]._label == "<one line>:1"
    exec(
        compile("made['it'] = make()", "odd\udcff", "exec"),
        {"make": forkful.Lock, "made": made, "__name__": 7},
    )
    assert made["it"]._label == ""
