"""Programs that give up privileges, families in several namespaces: who goes with whom there."""

from __future__ import annotations

import os
import signal

import pytest
from helpers import await_condition, run_python, runs, start_python
from root_tools import TOOLS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_that_drops_its_privileges_starts_processes():
    code = (
        TOOLS
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
def test_no_child_of_forkserver_has_the_privileges_that_the_program_has_dropped():
    # Where this interpreter cannot be read by others, the new server cannot start.
    result = run_python("""
        import os
        import forkful
        context = forkful.get_context("forkserver")
        queue = context.Queue()
        child = context.Process(target=os.getresuid)
        child.start()
        child.join()
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        child = context.Process(target=queue.put, args=("started",))
        try:
            child.start()
        except OSError as error:
            print("refused")
        else:
            with open(f"/proc/{child.pid}/status") as status:
                print("Uid:\\t65534\\t65534\\t65534" in status.read())
            child.join()
    """)
    assert result.stdout in ("refused\n", "True\n"), result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("end", "goes"), [("os.kill(os.getpid(), signal.SIGKILL)", True), ("os._exit(0)", False)]
)
@pytest.mark.parametrize("waited_for", [False, True])
def test_after_privileges_are_dropped_plain_children_go_with_a_root_that_is_killed(
    end, goes, waited_for
):
    code = (
        TOOLS
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
        TOOLS
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
                say(type(error).__name__, "in fail" in str(error.__cause__))
        say(pool.map(die, range(3)))
    child = forkful.Process(target=sys.exit, args=(7,))
    child.start()
    child.join()
    say(child.exitcode)
    """
    )
    result = run_python(code, str(tmp_path))
    assert result.stdout == "WorkerDied False\nValueError True\n[0, 1, 2]\n7\n", result.stderr
    assert result.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_that_may_not_signal_its_daemons_and_workers_ends_all_the_same_and_they_with_it():
    code = (
        TOOLS
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
        TOOLS
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
        TOOLS
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
        TOOLS
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
