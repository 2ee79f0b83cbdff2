"""NumPy's views of arrays and values in shared memory, and arrays as what is assigned."""

from __future__ import annotations

import ctypes
import gc
import itertools

import forkful
import pytest
from forkful.sharedctypes import typecode_to_type
from helpers import INTEGERS

np = pytest.importorskip("numpy")

NUMBERS = [*INTEGERS, "f", "d"]
MAKERS = ["Array", "RawArray"]


def under(made):
    """The ctypes object, with a lock around it or without."""
    return made.get_obj() if hasattr(made, "get_obj") else made


def both_views(made, code):
    obj = under(made)
    return np.frombuffer(obj, dtype=np.dtype(typecode_to_type[code])), np.ctypeslib.as_array(obj)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("code", NUMBERS)
def test_views_are_the_memory_of_each_type(code, maker):
    made = getattr(forkful, maker)(code, range(5))
    extremes = INTEGERS.get(code, (-1.5, 2.25))
    for view in both_views(made, code):
        assert view.dtype == np.dtype(code if code not in "qQ" else {"q": "i8", "Q": "u8"}[code])
        assert view.tolist() == [0, 1, 2, 3, 4]
        view[1], view[-1] = extremes
        assert (made[1], made[4]) == extremes
        made[1], made[4] = 1, 4
        assert view.tolist() == [0, 1, 2, 3, 4]
        view += 1
        assert list(made[:]) == [1, 2, 3, 4, 5]
        view -= 1


@pytest.mark.parametrize("maker", MAKERS)
def test_views_of_truths_and_characters(maker):
    make = getattr(forkful, maker)
    truths = make(ctypes.c_bool, [True, False, True])
    view = np.ctypeslib.as_array(under(truths))
    assert view.dtype == bool
    view[:] = ~view
    assert list(truths[:]) == [False, True, False]
    letters = make("c", b"abc")
    view = np.frombuffer(under(letters), dtype="S1")
    assert view.tolist() == [b"a", b"b", b"c"]
    view[1] = b"x"
    assert letters[:] == b"axc"
    assert letters.value == b"axc"


@pytest.mark.parametrize("code", NUMBERS)
def test_a_value_has_a_view(code):
    value = forkful.Value(code, 3)
    view = np.frombuffer(value.get_obj(), dtype=np.dtype(typecode_to_type[code]))
    assert view.tolist() == [3]
    view[0] += 4
    assert value.value == 7
    value.value = 9
    assert view[0] == 9


STEPS = [None, 1, 2, 3, 7, -1, -2, -3, -7]
ENDS = [None, 0, 1, 3, 6, 9, -1, -2, -6, -9]
SLICES = [slice(*each) for each in itertools.product(ENDS, ENDS, STEPS)]


@pytest.mark.parametrize("code", ["b", "i", "Q", "f", "d"])
def test_slices_are_those_of_numpy(code):
    made = forkful.Array(code, range(6))
    view = both_views(made, code)[0]
    for each in SLICES:
        assert made[each] == view[each].tolist()


@pytest.mark.parametrize("code", ["b", "i", "Q", "f", "d"])
def test_slices_take_arrays(code):
    made = forkful.Array(code, range(6))
    view = both_views(made, code)[0]
    for each in SLICES:
        model = np.arange(6, dtype=view.dtype)
        count = len(model[each])
        # Of its own type; of others; every second one, backwards, of a longer array.
        for values in (
            np.arange(10, 10 + count, dtype=view.dtype),
            np.arange(10, 10 + count, dtype="i2"),
            np.arange(90, 90 - 2 * count, -1, dtype=view.dtype)[::-2],
        ):
            made[:] = range(6)
            made[each] = values
            model[:] = range(6)
            model[each] = values
            assert made[:] == model.tolist()


@pytest.mark.parametrize("code", ["b", "i", "d"])
def test_a_view_of_the_array_itself_may_be_assigned(code):
    made = forkful.Array(code, range(6))
    view = both_views(made, code)[0]
    for to, of in [
        (slice(None), slice(None, None, -1)),
        (slice(None, None, -1), slice(None)),
        (slice(1, None), slice(0, -1)),
        (slice(0, -1), slice(1, None)),
        (slice(0, None, 2), slice(0, 3)),
        (slice(4, None, -2), slice(2, 5)),
    ]:
        made[:] = range(6)
        model = np.arange(6)
        model[to] = model[of].copy()
        made[to] = view[of]
        assert made[:] == model.tolist(), (to, of)


def test_an_array_of_another_length_or_shape_is_refused():
    made = forkful.Array("d", range(6))
    for values in (np.zeros(5), np.zeros(7), np.zeros((2, 2))):
        with pytest.raises(ValueError):
            made[:] = values
    with pytest.raises(TypeError):
        made[:] = np.zeros((6, 2))
    assert made[:] == [0, 1, 2, 3, 4, 5]


def test_elements_take_scalars_of_numpy():
    for code in NUMBERS:
        made = forkful.Array(code, 2)
        made[0] = np.dtype(typecode_to_type[code]).type(7)
        made[np.int64(1)] = np.int8(5)
        assert (made[0], made[np.int16(-1)]) == (7, 5)
        value = forkful.Value(code)
        value.value = made.get_obj()[0]
        assert value.value == 7


class Particle(ctypes.Structure):  # without padding, of which ctypes and NumPy disagree
    _fields_ = [("at", ctypes.c_double * 3), ("mass", ctypes.c_float), ("id", ctypes.c_int32)]


@pytest.mark.parametrize("maker", MAKERS)
def test_structures_are_records(maker):
    made = getattr(forkful, maker)(Particle, [((1, 2, 3), 0.5, 7), ((4, 5, 6), 1.5, -8)])
    view = np.ctypeslib.as_array(under(made))
    assert view.dtype.names == ("at", "mass", "id")
    assert view["at"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert view["mass"].tolist() == [0.5, 1.5]
    assert view["id"].tolist() == [7, -8]
    view["at"] *= 2
    view[1]["id"] = 99
    assert list(made[1].at) == [8, 10, 12]
    assert made[-1].id == 99
    made[0].mass = 2.5
    assert view[0]["mass"] == 2.5
    assert [each.id for each in made[::-1]] == [99, 7]


def test_a_structure_by_itself_is_a_record():
    value = forkful.Value(Particle, (1, 2, 3), 0.5, 7)
    view = np.frombuffer(value.get_obj(), dtype=np.dtype(Particle))
    view["mass"] += 1
    assert value.mass == 1.5
    value.id = 3
    assert view["id"].tolist() == [3]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("code", ["B", "i", "d"])
def test_arrays_of_arrays_have_two_dimensions(code, maker):
    kind = typecode_to_type[code]
    made = getattr(forkful, maker)(kind * 4, 3)
    view = np.ctypeslib.as_array(under(made))
    assert view.shape == (3, 4)
    view[:] = np.arange(12).reshape(3, 4)
    assert list(made[1]) == [4, 5, 6, 7]
    assert made[-1][-1] == 11
    assert [row[0] for row in made[::-2]] == [8, 0]
    made[0][3] = 77
    made[2] = (kind * 4)(*range(4))
    assert view.tolist() == [[0, 1, 2, 77], [4, 5, 6, 7], [0, 1, 2, 3]]
    flat = np.frombuffer(under(made), dtype=np.dtype(kind))
    assert flat.shape == (12,)
    assert flat[3] == 77


def test_the_memory_lives_as_long_as_a_view():
    for make in (forkful.Array, forkful.RawArray):
        made = make("d", range(1000))
        views = both_views(made, "d")
        rows = np.ctypeslib.as_array(under(make(ctypes.c_int * 2, 5)))
        rows[:] = 3
        del made
        gc.collect()
        others = [forkful.RawArray("d", [-1.0] * 1000) for _ in range(5)]
        assert rows.sum() == 30
        for view in views:
            assert view.sum() == 499500
        del others


def fill(made, square, particles, done):
    np.frombuffer(made.get_obj(), dtype="f4")[::-2] = 5
    np.ctypeslib.as_array(square.get_obj())[:, 1] = [1, 2, 3]
    with particles.get_lock():
        np.ctypeslib.as_array(particles.get_obj())["at"][1] += 4
    done.value = 1


def test_what_a_child_writes_by_a_view_is_there(context):
    made, square = context.Array("f", 5), context.Array(ctypes.c_int64 * 2, 3)
    particles, done = context.Array(Particle, 2), context.Value("i")
    child = context.Process(target=fill, args=(made, square, particles, done))
    child.start()
    child.join()
    assert done.value == 1
    assert made[:] == [5, 0, 5, 0, 5]
    assert [list(row) for row in square] == [[0, 1], [0, 2], [0, 3]]
    assert list(particles[1].at) == [4, 4, 4]
