"""Shared memory that nobody unlinks goes with its family, never before, and never by another's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import forkful
import pytest
from forkful import resource_tracker
from forkful.resource_tracker import ResourceTracker
from forkful.shared_memory import SharedMemory
from helpers import await_condition, eventually, run, run_python, shared_memory_files, start_python

LEAKED = "resource_tracker: There appear to be {} leaked shared_memory objects"


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other test has, and that is free afterwards."""
    chosen = f"forkful_test_{os.getpid()}"
    yield chosen
    Path("/dev/shm", chosen).unlink(missing_ok=True)


def is_there(name: str) -> bool:
    return name in shared_memory_files()


def test_what_was_not_unlinked_is_removed_at_the_end_and_told_of(name):
    done = run_python(
        """
        import sys
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10)
        """,
        name,
    )
    assert done.returncode == 0
    assert LEAKED.format(1) in done.stderr
    assert name in done.stderr
    assert not is_there(name)


def test_what_was_unlinked_is_not_told_of(name):
    done = run_python(
        """
        import sys
        from forkful.shared_memory import SharedMemory, ShareableList
        memory = SharedMemory(sys.argv[1], create=True, size=10)
        memory.close()
        memory.unlink()
        values = ShareableList(range(3))
        values.shm.close()
        values.shm.unlink()
        """,
        name,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("way", ["kill", "terminate", "group"])
def test_however_its_maker_ends(name, way):
    with start_python(
        """
        import signal, sys
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10)
        print("made", flush=True)
        signal.pause()
        """,
        name,
    ) as program:
        assert program.stdout.readline() == "made\n"
        assert is_there(name)
        if way == "group":
            os.killpg(program.pid, signal.SIGKILL)
        else:
            getattr(program, way)()
        assert LEAKED.format(1) in program.stderr.read()
        assert not is_there(name)


MAKER = """
    import os, signal, sys
    import forkful
    from forkful.shared_memory import SharedMemory

    def make(name, how):
        memory = SharedMemory(name, create=True, size=10)
        memory.buf[0] = 42
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        name, method, how, after = sys.argv[1:]
        child = forkful.get_context(method).Process(target=make, args=(name, how))
        child.start()
        child.join()
        memory = SharedMemory(name)
        assert memory.buf[0] == 42
        memory.close()
        if after == "unlink":
            memory.unlink()
"""


@pytest.mark.parametrize("how", ["ends", "killed"])
@pytest.mark.parametrize("after", ["unlink", "leave"])
def test_what_a_child_has_made_outlives_it(name, context, how, after, tmp_path):
    import textwrap

    script = tmp_path / "maker.py"
    script.write_text(textwrap.dedent(MAKER))
    done = run([sys.executable, str(script), name, context.get_start_method(), how, after])
    assert done.returncode == 0, done.stderr
    assert (LEAKED.format(1) in done.stderr) == (after == "leave")
    assert (done.stderr == "") == (after == "unlink")
    assert not is_there(name)


ATTACHER = """
    import sys
    from forkful.shared_memory import SharedMemory
    memory = SharedMemory(sys.argv[1], **{})
    memory.buf[0] = 1
"""


def test_a_stranger_that_attaches_it_leaves_it_alone(name):
    memory = SharedMemory(name, create=True, size=10)
    done = run_python(ATTACHER.format("{}"), name)
    assert (done.returncode, done.stderr, memory.buf[0]) == (0, "", 1)
    assert is_there(name)
    memory.close()
    memory.unlink()


def test_a_stranger_that_tracks_it_removes_it(name):
    SharedMemory(name, create=True, size=10, track=False)
    done = run_python(ATTACHER.format("dict(track=True)"), name)
    assert LEAKED.format(1) in done.stderr
    assert not is_there(name)


def test_what_is_not_tracked_stays(name):
    done = run_python(
        """
        import sys
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10, track=False)
        """,
        name,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert is_there(name)


def test_another_memory_that_has_the_name_by_then_stays(name):
    with start_python(
        """
        import sys
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10)
        print("made", flush=True)
        input()
        """,
        name,
    ) as program:
        assert program.stdout.readline() == "made\n"
        Path("/dev/shm", name).rename(f"/dev/shm/{name}_old")
        Path("/dev/shm", name).write_text("another's")
        _, said = program.communicate("\n")
        assert f"resource_tracker: '/{name}': [Errno 2]" in said
        assert Path("/dev/shm", name).read_text() == "another's"
        Path("/dev/shm", f"{name}_old").unlink()


def test_unregistering_what_was_made_leaves_it_to_the_program(name):
    done = run_python(
        """
        import sys
        from forkful import resource_tracker
        from forkful.shared_memory import SharedMemory
        memory = SharedMemory(sys.argv[1], create=True, size=10)
        resource_tracker.unregister(memory._name, "shared_memory")
        resource_tracker.unregister(memory._name, "shared_memory")
        """,
        name,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert is_there(name)


def test_programs_can_put_their_functions_in_place(name):
    done = run_python(
        """
        import sys
        from forkful import resource_tracker
        from forkful.shared_memory import SharedMemory
        calls = []
        resource_tracker.register = lambda name, rtype: calls.append((name, rtype))
        resource_tracker.unregister = lambda name, rtype: calls.append((name, rtype))
        memory = SharedMemory(sys.argv[1], create=True, size=10)
        memory.unlink()
        assert calls == [("/" + sys.argv[1], "shared_memory")] * 2
        assert not resource_tracker._made
        """,
        name,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_trackers_death_loses_nothing(name):
    done = run_python(
        """
        import os, signal, sys
        from forkful import resource_tracker
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10)
        tracker = resource_tracker._resource_tracker
        first = tracker._pid
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert not tracker._check_alive()
        other = SharedMemory(create=True, size=10)
        assert tracker._pid != first and tracker._check_alive()
        """,
        name,
    )
    assert done.returncode == 0, done.stderr
    assert LEAKED.format(2) in done.stderr
    assert not is_there(name)


def test_one_serves_the_family(name):
    done = run_python(
        """
        import os, sys
        import forkful
        from forkful import resource_tracker
        from forkful.shared_memory import SharedMemory
        from forkful.resource_tracker import _resource_tracker

        def make(index, found):
            memory = SharedMemory(f"{sys.argv[1]}_{index}", create=True, size=10)
            found.put(_resource_tracker._check_alive())
            memory.unlink()

        found = forkful.Queue()
        children = [
            forkful.get_context("fork").Process(target=make, args=(i, found)) for i in range(4)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [found.get() for _ in children] == [True] * 4
        assert _resource_tracker._pid is None
        resource_tracker.ensure_running()
        assert _resource_tracker._check_alive()
        assert _resource_tracker._pid is None, "there is one already"
        """,
        name,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_works_after_the_program_has_closed_every_descriptor(name):
    done = run_python(
        """
        import os, sys
        from forkful.shared_memory import SharedMemory
        SharedMemory(sys.argv[1], create=True, size=10)
        os.closerange(3, 100)
        files = [open(os.devnull, "wb") for _ in range(50)]
        SharedMemory(sys.argv[1] + "_second", create=True, size=10)
        for each in files:
            each.close()
        """,
        name,
    )
    assert done.returncode == 0, done.stderr
    assert not is_there(name)
    assert not is_there(name + "_second")


@pytest.mark.parametrize("flags", [["-I", "-S"], ["-E"], ["-W", "ignore"], ["-W", "error", "-O"]])
def test_it_starts_whatever_flags_the_program_has(name, flags, tmp_path):
    (tmp_path / "os.py").write_text("raise SystemExit('a foreign module')")
    (tmp_path / "warnings.py").write_text("raise SystemExit('a foreign module')")
    code = f"""if 1:
        import sys
        sys.path.append({os.path.dirname(os.path.dirname(forkful.context.__file__))!r})
        from importlib.util import module_from_spec, spec_from_file_location
        spec = spec_from_file_location("forkful._core", {forkful._core.__file__!r})
        core = sys.modules["forkful._core"] = module_from_spec(spec)
        spec.loader.exec_module(core)
        from forkful.shared_memory import SharedMemory
        SharedMemory({name!r}, create=True, size=10)
    """
    done = run([sys.executable, "-P", *flags, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (LEAKED.format(1) in done.stderr) == ("ignore" not in flags)
    assert not is_there(name)


def test_nothing_is_started_where_nothing_is_registered():
    done = run_python("""
        import sys
        import forkful
        with forkful.Pool(1) as pool:
            pool.map(abs, range(3))
        forkful.Queue().put(1)
        forkful.Lock()
        assert "forkful.resource_tracker" not in sys.modules
        from forkful import resource_tracker
        from forkful.shared_memory import SharedMemory
        resource_tracker.unregister("/nothing", "shared_memory")
        assert resource_tracker._resource_tracker._pid is None
    """)
    assert (done.returncode, done.stderr) == (0, "")


# --- one that is told by its pipe, as programs make them ---


@pytest.mark.parametrize(("left", "code"), [([], 0), (["somename"], 1)])
def test_its_exit_code_says_whether_something_was_left(left, code, capfd):
    tracker = ResourceTracker()
    for name in ["somename", "other"]:
        tracker.register(name, "dummy")
    assert tracker._check_alive()
    assert tracker._exitcode is None
    for name in {"somename", "other"} - set(left):
        tracker.unregister(name, "dummy")
    tracker._stop()
    assert tracker._exitcode == code
    assert ("leaked dummy objects" in capfd.readouterr().err) == bool(left)
    tracker._stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_do_not_end_it(number):
    tracker = ResourceTracker()
    fd = tracker.getfd()
    os.write(fd, b"PROBE:0:noop\n")
    await_condition(lambda: Path(f"/proc/{tracker._pid}/cwd").readlink() == Path("/"))
    os.kill(tracker._pid, number)
    assert tracker._check_alive()
    tracker._stop()
    assert tracker._exitcode == 0


def test_its_death_is_warned_of_and_it_is_started_again():
    tracker = ResourceTracker()
    tracker.ensure_running()
    first = tracker._pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    with pytest.warns(UserWarning, match="process died unexpectedly"):
        tracker.register("x", "noop")
    assert tracker._pid != first
    tracker.unregister("x", "noop")
    tracker._stop()
    assert tracker._exitcode == 0


def test_what_it_cannot_do_it_says_and_goes_on(capfd):
    tracker = ResourceTracker()
    tracker.register("x", "teapot")
    tracker.register("/forkful_none", "shared_memory")
    tracker._stop()
    said = capfd.readouterr().err
    assert "Cannot register x for automatic cleanup: unknown resource type teapot" in said
    assert "'/forkful_none': [Errno 2]" in said


def test_names_that_are_too_long_are_refused():
    with pytest.raises(ValueError, match="too long"):
        resource_tracker.register("a" * 500, "shared_memory")


def test_the_end_of_a_family_is_not_that_of_its_first_process(name):
    """A child of a process that has left in order goes on, and so does its memory."""
    with start_python(
        """
        import os, sys
        import forkful
        from forkful.shared_memory import SharedMemory

        def stay():
            memory = SharedMemory(sys.argv[1])
            input_end = os.fdopen(reading, "rb")
            input_end.read(1)
            memory.buf[0] = 1

        SharedMemory(sys.argv[1], create=True, size=10)
        reading, writing = os.pipe()
        child = forkful.get_context("fork").Process(target=stay)
        child.start()
        os.close(reading)
        print(child.pid, flush=True)
        os.set_inheritable(writing, True)
        sys.stdin.readline()
        os._exit(0)
        """,
        name,
    ) as program:
        child = int(program.stdout.readline())
        program.stdin.write("\n")
        program.stdin.flush()
        program.wait()
        try:
            assert is_there(name)
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
        assert eventually(lambda: not is_there(name))


def test_a_standard_tracker_program_is_understood():
    """The words that frozen programs look for, and a command by the pipe alone."""
    read, write = os.pipe()
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from forkful.resource_tracker import main;main({read})",
        ],
        pass_fds=[read],
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(read)
    os.write(write, b"REGISTER:/forkful_none:shared_memory\n")
    os.close(write)
    said = program.communicate()[1]
    assert program.returncode == 1
    assert LEAKED.format(1) in said


def test_children_that_make_memory_leave_the_first_trackers_alone(name):
    """Trackers of programs are by themselves; that of the family is one for all."""
    assert forkful.current_process().name == "MainProcess"
    own = ResourceTracker()
    own.register("x", "noop")
    memory = SharedMemory(name, create=True, size=1)
    own.unregister("x", "noop")
    own._stop()
    assert own._exitcode == 0
    assert is_there(name)
    memory.close()
    memory.unlink()
