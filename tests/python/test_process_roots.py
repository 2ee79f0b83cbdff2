"""Who goes with whom: daemons, programs that end themselves, and lost descriptors."""

from __future__ import annotations

import os
import signal

import pytest
from helpers import await_condition, run_python, runs, start_python, stat_of
from root_tools import TOOLS

_DAEMONISING = (
    TOOLS
    + """
    if "used" in sys.argv:
        with forkful.Pool(1) as pool:
            pool.apply(nothing)
        child = forkful.Process(target=nothing)
        child.start()
        child.join()
    first = os.getpid()
    leave = sys.exit if "in order" in sys.argv else os._exit
    if os.fork():
        leave(0)
    os.setsid()
    if os.fork():
        leave(0)
    await_end(first)
    if "closing" in sys.argv:
        os.closerange(3, 1024)
    child = forkful.Process(target=nothing)
    child.start()
    child.join()
    with forkful.Pool(2) as pool:
        squares = pool.map(abs, [-1, 2])
    say(child.exitcode, squares)
"""
)


@pytest.mark.parametrize(
    "how", [["used"], ["used", "in order"], ["used", "closing"], [], ["closing"]], ids=str
)
def test_a_daemon_starts_processes_whatever_its_elders_did(how):
    # The last line comes from a process that is nobody's child here, so only the pipe's end tells.
    result = run_python(_DAEMONISING, *how)
    assert result.stdout == "0 [1, 2]\n"
    assert result.stderr == ""


@pytest.mark.timeout(240)  # thousands of processes
def test_a_daemon_starts_processes_though_many_others_have_begun_since_its_root_left():
    code = (
        TOOLS
        + """
    child = forkful.Process(target=nothing)
    child.start()
    child.join()
    first = os.getpid()
    if os.fork():
        sys.exit(0)
    await_end(first)
    for _ in range(256 * 49):  # more than are remembered of every slot
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    child = forkful.Process(target=nothing)
    child.start()
    child.join()
    say(child.exitcode)
    """
    )
    assert run_python(code, timeout=220).stdout == "0\n"


@pytest.mark.parametrize("end", ["os._exit(3)", "os.execvp('sleep', ['sleep', '60'])"])
def test_plain_children_outlive_a_program_that_ends_itself_and_daemons_do_not(end):
    code = (
        TOOLS
        + f"""
    plain = forkful.Process(target=stay)
    daemon = forkful.Process(target=stay, daemon=True)
    plain.start()
    daemon.start()
    say(plain.pid, daemon.pid)
    {end}
    """
    )
    with start_python(code) as program:
        plain, daemon = map(int, program.stdout.readline().split())
        await_condition(lambda: not runs(daemon))
        os.kill(plain, 0)
        assert runs(plain)
        os.kill(plain, signal.SIGKILL)
        program.kill()


def test_plain_children_go_with_a_program_that_is_terminated():
    code = (
        TOOLS
        + """
    plain = forkful.Process(target=stay)
    plain.start()
    say(plain.pid)
    stay()
    """
    )
    with start_python(code) as program:
        plain = int(program.stdout.readline())
        program.terminate()
        await_condition(lambda: not runs(plain))


def test_closing_every_descriptor_ends_no_child_and_join_still_waits():
    code = (
        TOOLS
        + """
    go = forkful.Event()
    children = [forkful.Process(target=go.wait, daemon=daemon) for daemon in (False, True)]
    for child in children:
        child.start()
    os.closerange(3, 4096)
    for child in children:
        child.join(0.2)
        assert child.is_alive()
    go.set()
    for child in children:
        child.join()
    say([child.exitcode for child in children])
    """
    )
    result = run_python(code)
    assert result.stdout == "[0, 0]\n", result.stderr


def test_a_number_that_the_program_gives_to_a_file_of_its_own_is_spared():
    code = (
        TOOLS
        + """
    child = forkful.Process(target=nothing)
    child.start()
    child.join()
    mine = os.memfd_create("mine")
    for number in list(map(int, os.listdir("/proc/self/fd"))):
        if number > 2 and number != mine:
            os.dup2(mine, number)
    before = len(os.listdir("/proc/self/fd"))
    child = forkful.Process(target=nothing, daemon=True)
    child.start()
    child.join()
    os.write(mine, b"x")
    del child
    say(os.fstat(mine).st_size, len(os.listdir("/proc/self/fd")) >= before)
    """
    )
    result = run_python(code)
    assert result.stdout == "1 True\n", result.stderr


@pytest.mark.parametrize("how", ["closerange", "ignore"])
def test_a_child_that_loses_its_way_to_hear_of_it_goes_with_its_root(how):
    code = (
        TOOLS
        + f"""
    def child(ready):
        if "{how}" == "closerange":
            os.closerange(3, 4096)
        else:
            for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
                signal.signal(number, signal.SIG_IGN)
        ready.set()
        stay()

    ready = forkful.Event()
    plain = forkful.Process(target=child, args=(ready,))
    plain.start()
    ready.wait()
    say(plain.pid)
    stay()
    """
    )
    with start_python(code) as program:
        plain = int(program.stdout.readline())
        program.kill()
        await_condition(lambda: not runs(plain))


@pytest.mark.parametrize("daemon", [False, True])
def test_a_stopped_child_goes_with_its_root(daemon):
    code = (
        TOOLS
        + f"""
    def child(ready):
        ready.set()
        stay()

    ready = forkful.Event()
    child = forkful.Process(target=child, args=(ready,), daemon={daemon})
    child.start()
    ready.wait()
    os.kill(child.pid, signal.SIGSTOP)
    say(child.pid)
    stay()
    """
    )
    with start_python(code) as program:
        child = int(program.stdout.readline())
        await_condition(lambda: stat_of(child)[0] == "T")
        program.kill()
        await_condition(lambda: not runs(child))


def test_a_wait_with_all_signals_blocked_notices_that_the_root_is_gone():
    code = (
        TOOLS
        + """
    def child(ready):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ready.set()
        forkful.Event().wait()

    ready = forkful.Event()
    plain = forkful.Process(target=child, args=(ready,))
    plain.start()
    ready.wait()
    say(plain.pid)
    stay()
    """
    )
    with start_python(code) as program:
        plain = int(program.stdout.readline())
        program.kill()
        await_condition(lambda: not runs(plain))


@pytest.mark.timeout(240)  # thousands of processes
def test_a_lock_that_a_leaver_left_locked_stays_so_for_ever():
    code = (
        TOOLS
        + """
    def hold(*locks):
        for lock in locks:
            lock.acquire()

    def hold_and_die(lock):
        lock.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    left, recursive, died = forkful.Lock(), forkful.RLock(), forkful.Lock()
    for target, locks in ((hold, (left, recursive)), (hold_and_die, (died,))):
        child = forkful.Process(target=target, args=locks)
        child.start()
        child.join()
    for _ in range(256 * 49):  # more than are remembered of every slot
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    say(left.acquire(timeout=0.01), recursive.acquire(timeout=0.01))
    try:
        died.acquire(timeout=0.01)
    except forkful.LockOwnerDied:
        say("died")
    left.release()
    say(left.acquire(timeout=0.01))
    """
    )
    assert run_python(code, timeout=220).stdout == "False False\ndied\nTrue\n"


def test_a_child_forked_after_a_daemons_start_was_interrupted_is_the_root_of_what_it_starts():
    done = run_python(
        """
        import os, select, signal
        import forkful

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        def stay():
            while True: signal.pause()

        forkful.Queue()
        fork, forkful._fork.fork = forkful._fork.fork, interrupt
        try:
            forkful.Process(target=print, daemon=True).start()
        except KeyboardInterrupt:
            forkful._fork.fork = fork
        alive, held = os.pipe()
        pid = os.fork()
        if pid == 0:
            child = forkful.Process(target=stay)
            child.start()
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(held)
        os.waitpid(pid, 0)
        gone = bool(select.select([alive], [], [], 20)[0])
        print(gone)
        if not gone:
            os.kill(0, signal.SIGKILL)
        """,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
