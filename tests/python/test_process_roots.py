"""Who goes with whom: daemons, programs that end themselves, and lost descriptors."""

from __future__ import annotations

import os
import signal

import pytest
from helpers import await_condition, run_python, runs, start_python, stat_of

_TOOLS = """
    import os, signal, sys, time
    import forkful

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def nothing():
        pass

    def stay(*_):
        time.sleep(60)

    def begin_to_stay(begun):
        begun.set()
        stay()

    def await_end(pid):
        # Of one whose parent may not wait for it, so that it stays a zombie.
        def state():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    return file.read().rpartition(")")[2].split()[0]
            except OSError:
                return "gone"
        while state() not in ("Z", "X", "gone"):
            time.sleep(0.002)  # Why: the interval at which the condition is looked at
"""

_DAEMONISING = (
    _TOOLS
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


@pytest.mark.timeout(300)  # thousands of processes
def test_a_daemon_starts_processes_though_many_others_have_begun_since_its_root_left():
    code = (
        _TOOLS
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
    assert run_python(code, timeout=280).stdout == "0\n"


@pytest.mark.parametrize("end", ["os._exit(3)", "os.execvp('sleep', ['sleep', '60'])"])
def test_plain_children_outlive_a_program_that_ends_itself_and_daemons_do_not(end):
    code = (
        _TOOLS
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
        _TOOLS
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
        _TOOLS
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
        _TOOLS
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
        _TOOLS
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
        _TOOLS
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
        _TOOLS
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


@pytest.mark.timeout(300)  # thousands of processes
def test_a_lock_that_a_leaver_left_locked_stays_so_for_ever():
    code = (
        _TOOLS
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
    assert run_python(code, timeout=280).stdout == "False False\ndied\nTrue\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_that_drops_its_privileges_starts_processes():
    code = (
        _TOOLS
        + """
    def drop():
        os.setuid(65534)
        child = forkful.Process(target=nothing)
        child.start()
        child.join()
        say("grandchild", child.exitcode)

    child = forkful.Process(target=drop)
    child.start()
    child.join()
    os.setgid(65534)
    os.setuid(65534)
    for daemon in (False, True):
        child = forkful.Process(target=nothing, daemon=daemon)
        child.start()
        child.join()
        say("child", child.exitcode)
    """
    )
    result = run_python(code)
    assert result.stdout == "grandchild 0\nchild 0\nchild 0\n", result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("end", "goes"), [("os.kill(os.getpid(), signal.SIGKILL)", True), ("os._exit(0)", False)]
)
@pytest.mark.parametrize("waited_for", [False, True])
def test_after_privileges_are_dropped_plain_children_go_with_a_root_that_is_killed(
    end, goes, waited_for
):
    code = (
        _TOOLS
        + f"""
    begun = [forkful.Event(), forkful.Event()]
    os.setuid(65534)
    root = os.fork()  # a root of its own
    if root == 0:
        plain = forkful.Process(target=begin_to_stay, args=(begun[0],))
        daemon = forkful.Process(target=begin_to_stay, args=(begun[1],), daemon=True)
        for child in (plain, daemon):
            child.start()
        for event in begun:
            event.wait()
        say(plain.pid, daemon.pid)
        {end}
    if {waited_for}:
        os.waitpid(root, 0)
    stay()
    """
    )
    with start_python(code) as program:
        plain, daemon = map(int, program.stdout.readline().split())
        await_condition(lambda: not runs(daemon))
        if goes:
            await_condition(lambda: not runs(plain))
        else:
            assert runs(plain)
            os.kill(plain, signal.SIGKILL)
        program.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that")
@pytest.mark.parametrize(
    "change", ["os.chroot(sys.argv[1]); os.chdir('/')", "os.setuid(65534)"], ids=["root", "user"]
)
def test_a_pool_goes_on_when_its_program_changes_its_root_or_user(change, tmp_path):
    code = (
        _TOOLS
        + f"""
    def die(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    def fail(number):
        raise ValueError(number)

    with forkful.Pool(2) as pool:
        pool.map(abs, [1])
        {change}
        for task in (die, fail):
            try:
                pool.map(task, range(3, 6), chunksize=1)
            except Exception as error:
                say(type(error).__name__)
        say(pool.map(die, range(3)))
    child = forkful.Process(target=sys.exit, args=(7,))
    child.start()
    child.join()
    say(child.exitcode)
    """
    )
    result = run_python(code, str(tmp_path))
    assert result.stdout == "WorkerDied\nValueError\n[0, 1, 2]\n7\n", result.stderr
    assert result.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_that_may_not_signal_its_daemons_and_workers_ends_all_the_same_and_they_with_it():
    code = (
        _TOOLS
        + """
    pool = forkful.Pool(1)
    begun = forkful.Event()
    pool.apply_async(begin_to_stay, (begun,))
    begun.wait()
    daemon = forkful.Process(target=stay, daemon=True)
    daemon.start()
    say(pool._pool[0].pid, daemon.pid)
    os.setuid(65534)
    pool.terminate()
    pool.join()
    say("done")
    """
    )
    with start_python(code) as program:
        worker, daemon = map(int, program.stdout.readline().split())
        assert program.stdout.readline() == "done\n"
        assert program.wait(20) == 0
        assert program.stderr.read() == ""
        await_condition(lambda: not runs(worker) and not runs(daemon))


_NAMESPACES = """
    import ctypes
    def own_pid_namespace():
        CLONE_NEWPID, CLONE_NEWNS = 0x20000000, 0x00020000
        assert ctypes.CDLL(None).unshare(CLONE_NEWPID | CLONE_NEWNS) == 0
    def own_proc():
        assert os.system("mount --make-rprivate / && mount -t proc proc /proc") == 0
"""


def _can_unshare() -> bool:
    return os.geteuid() == 0 and os.system("unshare --pid --fork true 2>/dev/null") == 0


@pytest.mark.skipif(not _can_unshare(), reason="pid namespaces take privileges")
def test_a_member_in_a_pid_namespace_of_its_own_is_known_to_be_dead():
    code = (
        _TOOLS
        + _NAMESPACES
        + """
    lock = forkful.Lock()
    held = forkful.Event()
    sandbox = os.fork()
    if sandbox == 0:
        own_pid_namespace()
        pid = os.fork()
        if pid == 0:
            lock.acquire()
            held.set()
            stay()
        held.wait()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os._exit(0)
    os.waitpid(sandbox, 0)
    try:
        lock.acquire(timeout=20)
    except forkful.LockOwnerDied:
        say("died")
    """
    )
    result = run_python(code)
    assert result.stdout == "died\n", result.stderr


@pytest.mark.skipif(not _can_unshare(), reason="pid namespaces take privileges")
def test_a_member_outside_the_pid_namespace_is_not_taken_for_dead():
    code = (
        _TOOLS
        + _NAMESPACES
        + """
    lock = forkful.Lock(policy="recover")
    go = forkful.Event()
    sandbox = os.fork()
    if sandbox == 0:
        own_pid_namespace()
        pid = os.fork()
        if pid == 0:
            own_proc()
            go.wait()
            say(lock.acquire(timeout=0.5))
            os._exit(0)
        os.waitpid(pid, 0)
        os._exit(0)
    lock.acquire()
    os.closerange(3, 4096)
    go.set()
    os.waitpid(sandbox, 0)
    say(lock.locked())
    """
    )
    result = run_python(code)
    assert result.stdout == "False\nTrue\n", result.stderr


@pytest.mark.skipif(not _can_unshare(), reason="mount namespaces take privileges")
def test_processes_start_and_go_with_their_root_without_proc():
    code = (
        _TOOLS
        + """
    import ctypes
    CLONE_NEWNS = 0x00020000
    assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
    assert os.system("mount --make-rprivate / && mount -t tmpfs none /proc") == 0
    with forkful.Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
    child = forkful.Process(target=sys.exit, args=(7,))
    child.start()
    child.join()
    plain = forkful.Process(target=stay)
    daemon = forkful.Process(target=stay, daemon=True)
    plain.start()
    daemon.start()
    say(child.exitcode, plain.pid, daemon.pid)
    stay()
    """
    )
    with start_python(code) as program:
        words = program.stdout.readline().split()
        code, plain, daemon = map(int, words)
        assert code == 7
        assert runs(plain)
        assert runs(daemon)
        program.kill()
        await_condition(lambda: not runs(plain) and not runs(daemon))


def test_a_child_forked_after_a_daemons_start_was_interrupted_is_the_root_of_what_it_starts():
    done = run_python(
        """
        import os, select, signal, time
        import forkful

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        forkful.Queue()
        fork, forkful._fork.fork = forkful._fork.fork, interrupt
        try:
            forkful.Process(target=print, daemon=True).start()
        except KeyboardInterrupt:
            forkful._fork.fork = fork
        alive, held = os.pipe()
        pid = os.fork()
        if pid == 0:
            child = forkful.Process(target=time.sleep, args=(100,))
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
