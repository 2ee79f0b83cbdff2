"""Array and RawArray: types, slices, sharing, and what they refuse."""

from __future__ import annotations

import array
import ctypes
import gc
import pickle

import forkful
import pytest
from forkful import sharedctypes
from helpers import INTEGERS, run_python

NUMBERS = {
    **INTEGERS,
    "f": (-1.5, 2.25),
    "d": (-0.1, 1e300),
}
SLICES = [
    slice(None),
    slice(2, 7),
    slice(-3, None),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(8, 1, -3),
    slice(5, 5),
    slice(7, 3),
    slice(50, 100),
    slice(-100, 3),
]


@pytest.mark.parametrize("code", NUMBERS)
def test_numbers_are_as_in_ctypes(code):
    twin = (sharedctypes.typecode_to_type[code] * 4)(*NUMBERS[code])
    for made in (
        forkful.Array(code, NUMBERS[code] + (0, 0)),
        forkful.RawArray(code, [*NUMBERS[code], 0, 0]),
        forkful.Array(code, twin),
    ):
        assert made[:] == list(made) == twin[:]
        assert made[0] == made[-4] == twin[0]
        assert type(made[1]) is type(twin[1])
        made[2] = made[1]
        made[-1] = 1
        assert made[:] == [*NUMBERS[code], twin[1], 1]


@pytest.mark.parametrize("kind", [ctypes.c_bool, ctypes.c_longdouble])
def test_types_without_a_typecode_are_read_and_written_as_well(kind):
    twin = (kind * 4)(1, 0, 1, 1)
    made = forkful.Array(kind, twin)
    assert made[:] == list(made) == twin[:]
    assert made[::-1] == twin[::-1]
    made[1], made[2:] = 1, [0, 0]
    assert [type(each) for each in made] == [type(each) for each in twin]
    assert made[:] == [1, 1, 0, 0]


@pytest.mark.parametrize("code", [code for code in NUMBERS if code not in "fd"])
def test_too_large_numbers_wrap_as_in_ctypes(code):
    wide = [NUMBERS[code][1] + 1, NUMBERS[code][0] - 1]
    expected = (sharedctypes.typecode_to_type[code] * 2)(*wide)[:]
    made = forkful.Array(code, wide)
    assert made[:] == expected
    made[:] = [0, 0]
    made[0], made[1] = wide
    assert made[:] == expected


@pytest.mark.parametrize("key", SLICES)
@pytest.mark.parametrize("code", ["d", "h", "c", "u"])
def test_slices_are_as_in_ctypes(code, key):
    first = {"c": b"abcdefghij", "u": "abcdefghij"}.get(code, list(range(10)))
    other = {"c": b"0123456789", "u": "0123456789"}.get(code, list(range(10, 20)))
    kind = sharedctypes.typecode_to_type[code]
    made, twin = forkful.Array(code, first), (kind * 10)(*first)
    assert made[key] == twin[key]
    made[key] = twin[key] = other[key]
    assert made[:] == twin[:]


def test_random_accesses_are_as_in_ctypes(seeded):
    def some():
        return seeded.choice([None, seeded.randrange(-30, 30)])

    for _ in range(300):
        code = seeded.choice("bBhHiIlLqQfd")
        kind, length = sharedctypes.typecode_to_type[code], seeded.randrange(20)
        made, twin = forkful.Array(code, length), (kind * length)()
        for _ in range(10):
            key = slice(some(), some(), seeded.choice([None, 1, 2, -1, -2, 7]))
            values = [seeded.randrange(100) for _ in range(seeded.choice([len(twin[key]), 3]))]
            outcomes = []
            for each in (made, twin):
                try:
                    each[key] = seeded.choice([list, tuple])(values)
                    outcomes.append(each[key])
                except ValueError:
                    outcomes.append(None)
            assert outcomes[0] == outcomes[1]
            assert made[:] == twin[:]


def test_a_size_makes_zeros():
    for size in (0, 1, 10):
        made = forkful.Array("i", size)
        assert len(made) == size
        assert list(made) == [0] * size
    assert forkful.Array("d", 3)[:] == [0.0] * 3
    assert len(forkful.RawArray("i", Index())) == 7
    assert forkful.Array("c", 3).raw == b"\0\0\0"


class Index:
    def __index__(self):
        return 7


def test_freed_memory_is_zeroed_before_it_is_an_array_again():
    for size in (10, 10_000, 1 << 20):
        for _ in range(3):
            made = forkful.Array("B", size)
            assert made.get_obj()[:] == [0] * size
            ctypes.memset(made.get_obj(), 0xFF, size)
            del made


@pytest.mark.parametrize(
    "values",
    [
        (1, 2, 3),
        range(1, 4),
        array.array("i", [1, 2, 3]),
        array.array("b", [1, 2, 3]),
        memoryview(array.array("i", [9, 1, 2, 3]))[1:],
        memoryview(array.array("i", [1, 9, 2, 9, 3]))[::2],
        (ctypes.c_int * 3)(1, 2, 3),
        {1: 0, 2: 0, 3: 0},
        {1, 2, 3},
        b"\x01\x02\x03",
    ],
    ids=lambda each: type(each).__name__,
)
def test_any_sized_iterable_initialises(values):
    for made in (forkful.Array("i", values), forkful.RawArray("i", values)):
        assert made[:] == [1, 2, 3]


def test_arrays_are_assigned_from_whatever_has_the_values():
    made = forkful.Array("i", 4)
    for values in (
        [1, 2, 3, 4],
        array.array("i", [1, 2, 3, 4]),
        array.array("q", [1, 2, 3, 4]),
        forkful.Array("i", [1, 2, 3, 4]),
        forkful.RawArray("h", [1, 2, 3, 4]),
        [ctypes.c_int(1), 2, 3, ctypes.c_int(4)],
    ):
        made[:] = [0] * 4
        made[:] = values
        assert made[:] == [1, 2, 3, 4]
    own = memoryview(made.get_obj()).cast("B").cast("i")
    made[1:] = own[:3]
    assert made[:] == [1, 1, 2, 3]
    made[::-1] = own
    assert made[:] == [3, 2, 1, 1]
    made[:2] = [True, Index()]
    assert made[:] == [1, 7, 1, 1]
    made[0] = ctypes.c_int(5)
    assert made[0] == 5


def test_a_byte_that_numbers_share_with_characters_keeps_its_sign():
    made = forkful.Array("b", 2)
    made[:] = b"\xff\x01"
    assert made[:] == [-1, 1]
    with pytest.raises(TypeError):
        forkful.Array("c", 1)[:] = array.array("b", [-1])


def test_what_does_not_fit_is_refused_and_changes_nothing():
    made = forkful.Array("i", range(4))
    for index in (4, -5, 10**30):
        with pytest.raises(IndexError):
            made[index]
        with pytest.raises(IndexError):
            made[index] = 1
    for key in ("x", 1.0, None):
        with pytest.raises(TypeError, match="indices must be integers"):
            made[key]
        with pytest.raises(TypeError, match="indices must be integers"):
            made[key] = 1
    for values in ([1], range(5), b"", array.array("i", [1]), iter(range(4)), 5):
        with pytest.raises(ValueError, match="Can only assign sequence of same size"):
            made[:] = values
    for values in ([9, 9, 9, "x"], [9, 9, 1.5, 9]):
        with pytest.raises(TypeError):
            made[:] = values
    with pytest.raises(TypeError, match="an integer is required for typecode 'i', not 'x'"):
        made[0] = "x"
    with pytest.raises(TypeError, match="deletion"):
        del made[0]
    assert made[:] == [0, 1, 2, 3]
    assert made.get_lock().acquire(block=False)
    made.get_lock().release()


def test_what_is_no_size_and_no_sequence_is_named():
    for make in (forkful.Array, forkful.RawArray):
        with pytest.raises(TypeError, match=r"has no length: give .* list\(\)"):
            make("i", iter([1, 2]))
        with pytest.raises(TypeError, match="has no length"):
            make("i", None)
        with pytest.raises(ValueError, match="no -1 elements"):
            make("i", -1)
        with pytest.raises(TypeError, match="'z' is no typecode"):
            make("z", 1)
        with pytest.raises(TypeError, match="the type comes first"):
            make(5, "i")
        with pytest.raises(TypeError):
            make("i", [1, "x"])
        with pytest.raises(TypeError, match=r"it is \w*Array\("):
            make("i")
    with pytest.raises(OSError, match="memory|growth|arena"):
        forkful.Array("d", 1 << 40)


def test_an_element_is_converted_before_the_lock_is_taken():
    made = forkful.Array("d", [1.5, 0], lock=forkful.Lock())

    class Next:
        def __float__(self):
            return made[0] + 1

    made[1] = Next()
    made[:] = [Next(), Next()]
    assert made[:] == [2.5, 2.5]


def test_a_list_that_changes_while_it_is_assigned_does_no_harm():
    made = forkful.Array("d", [1, 2, 3])
    values = [0.0, None, 5.0]

    class Clears:
        def __float__(self):
            values.clear()
            return 4.0

    values[1] = Clears()
    with pytest.raises(IndexError):
        made[:] = values
    assert made[:] == [1, 2, 3]


def test_ctypes_sees_the_array():
    made = forkful.Array("i", [3, 1, 2])
    obj = made.get_obj()
    assert obj is made.get_obj()
    assert isinstance(obj, ctypes.Array)
    assert ctypes.sizeof(obj) == 12
    pointer = ctypes.cast(ctypes.byref(obj), ctypes.POINTER(ctypes.c_int))
    pointer[1] = 7
    assert made[1] == 7
    assert ctypes.c_int.from_address(ctypes.addressof(obj)).value == 3
    assert bytes(memoryview(obj).cast("B"))[:4] == b"\3\0\0\0"
    with pytest.raises(ValueError, match="cannot be resized"):
        ctypes.resize(obj, 1000)


def test_a_large_array_takes_memory_where_it_is_written():
    done = run_python("""
        import ctypes, forkful, pathlib
        def resident_bytes():
            return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
        before = resident_bytes()
        made = forkful.Array("d", 1 << 27)
        made[-1] = 1.5
        forkful.RawArray(ctypes.c_char, 1 << 30)[1 << 29] = b"x"
        assert resident_bytes() - before < 32 << 20
        print(len(made), made[0], made[-1], made[1 << 26])
    """)
    assert (done.stdout, done.stderr) == ("134217728 0.0 1.5 0.0\n", "")


def test_numpy_sees_the_array():
    np = pytest.importorskip("numpy")
    made = forkful.Array("d", 6)
    flat = np.frombuffer(made.get_obj())
    flat[:] = np.arange(6)
    assert made[:] == [0, 1, 2, 3, 4, 5]
    square = np.ctypeslib.as_array(made.get_obj()).reshape(2, 3)
    square[1, 2] = 9
    assert made[-1] == 9
    made[:] = np.ones(6)
    made[::2] = np.arange(3.0)
    made[1] = np.float64(7)
    assert flat.tolist() == [0, 7, 1, 1, 2, 1]
    assert forkful.Array("i", np.arange(3))[:] == [0, 1, 2]
    assert forkful.Array("d", np.arange(3))[:] == [0, 1, 2]
    assert forkful.Array("i", np.int64(3))[:] == [0, 0, 0]
    del made
    gc.collect()
    assert flat[1] == 7
    own = sharedctypes.synchronized(np.ctypeslib.as_ctypes(np.arange(4.0)))
    own[0] = 5
    assert own[:] == [5, 1, 2, 3]


def test_subclasses_of_the_arrays_class():
    made = Ring([1, 2, 3])
    assert made[4] == 2
    made.label = "mine"
    for twin in (pickle.loads(pickle.dumps(made)), through(made)):
        assert type(twin) is Ring
        assert twin.label == "mine"
        assert twin[5] == 3
        twin[0] = 7
        assert made[0] == 7
        made[0] = 1
    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Unmade()[0]


class Ring(sharedctypes.SynchronizedArray):
    def __init__(self, values):
        super().__init__(forkful.RawArray("i", values))

    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


class Unmade(sharedctypes.SynchronizedArray):
    def __init__(self):
        pass


def through(value):
    queue = forkful.SimpleQueue()
    queue.put(value)
    return queue.get()
