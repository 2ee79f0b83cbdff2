"""The end of processes that have proxies of a manager whose server is stopped."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from forkful._managers import giving_back
from forkful.futures import ProcessPoolExecutor
from forkful.managers import SyncManager
from helpers import await_condition, is_asleep, run_python, stat_of

_PROGRAM = """
    import os, signal
    import forkful
    from forkful.managers import SyncManager

    manager = SyncManager(shutdown_timeout=0.2)
    manager.start()
    shared = [manager.dict() for _ in range(200)]
    @
    os.kill(manager._process.pid, signal.SIGSTOP)
    print("end")
"""


@pytest.mark.parametrize("used", ["pass", "shared[0][1] = 1"])
def test_a_program_with_proxies_ends_though_its_server_is_stopped(used):
    done = run_python(_PROGRAM.replace("@", used))
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def stop(manager):
    os.kill(manager._process.pid, signal.SIGSTOP)
    await_condition(lambda: stat_of(manager._process.pid)[0] == "T")


def go_on(manager):
    os.kill(manager._process.pid, signal.SIGCONT)


def hold(proxy, begun, go):
    giving_back._LONG_PATIENCE_AT_EXIT = 0.2
    begun.set()
    go.wait()


def hold_longer(proxy, begun, go):
    begun.set()
    go.wait()


def begin_to_hold(context, target, proxy):
    begun, go = context.Event(), context.Event()
    child = context.Process(target=target, args=(proxy, begun, go))
    child.start()
    assert begun.wait(30)
    return child, go


@pytest.mark.parametrize("address", [None, ("localhost", 0)], ids=["unix", "inet"])
def test_a_child_with_proxies_ends_though_the_server_is_stopped(context, address):
    with SyncManager(address, ctx=context) as manager:
        shared = manager.list()
        child, go = begin_to_hold(context, hold, [shared] * 3)
        stop(manager)
        go.set()
        child.join(30)
        assert child.exitcode == 0
        go_on(manager)
        shared.append(1)
        del shared
        if address is None:  # of a client of this machine the server sees that it has ended
            manager.list()  # upon which it looks
            assert manager._number_of_objects() == 0


@pytest.mark.parametrize("address", [None, ("localhost", 0)], ids=["unix", "inet"])
def test_what_a_child_gives_back_at_its_end_is_not_lost_where_the_server_is_late(context, address):
    with SyncManager(address, ctx=context) as manager:
        shared = manager.list()
        child, go = begin_to_hold(context, hold_longer, shared)
        stop(manager)
        go.set()
        await_condition(lambda: is_asleep(child.pid))
        go_on(manager)
        child.join()
        del shared
        await_condition(lambda: manager._number_of_objects() == 0)


def test_a_child_ends_though_too_many_others_wait_for_the_stopped_server(context):
    with SyncManager(ctx=context) as manager:
        shared = manager.list()
        child, go = begin_to_hold(context, hold, shared)
        stop(manager)
        others = []
        try:
            while True:
                others.append(socket.socket(socket.AF_UNIX))
                others[-1].setblocking(False)
                others[-1].connect(manager.address)
        except BlockingIOError:
            pass  # there is no room for another one
        try:
            go.set()
            child.join(30)
            assert child.exitcode == 0
        finally:
            for each in others:
                each.close()
            go_on(manager)


@pytest.mark.parametrize("address", [None, ("localhost", 0)], ids=["unix", "inet"])
@pytest.mark.parametrize("later", ["another", "exit"])
def test_what_goes_while_the_server_is_stopped_is_given_back_later(context, address, later):
    with SyncManager(address, ctx=context) as manager:
        here, there = context.Pipe()
        child = context.Process(target=drop_each, args=(there,))
        child.start()
        lend(here, [manager.list() for _ in range(3)])
        stop(manager)
        here.send("drop")
        assert here.recv() == "goes on"  # the server is stopped still
        go_on(manager)
        if later == "another":
            await_condition(lambda: drops_another(here, manager))
            assert child.is_alive()
        here.send(None)
        child.join()
        assert child.exitcode == 0
        assert manager._number_of_objects() == 0


def lend(here, proxies):
    here.send(proxies)
    assert here.recv() == "has them"  # until then these keep the objects


def drop_each(connection):
    giving_back._PATIENCE = 0.2
    while (taken := connection.recv()) is not None:
        connection.send("has them")
        connection.recv()
        del taken
        connection.send("goes on")


def drops_another(here, manager):
    lend(here, manager.list())
    here.send("drop")
    assert here.recv() == "goes on"
    return manager._number_of_objects() == 0


def use(shared):
    shared.append(1)


@pytest.mark.parametrize("kind", ["pool", "executor"])
def test_workers_that_have_proxies_end_though_the_server_is_stopped(context, kind):
    with SyncManager(ctx=context) as manager:
        shared = manager.list()
        if kind == "pool":
            pool = context.Pool(1, impatient, (shared,))
            pool.map(use, [shared] * 2)
            end = [pool.close, pool.join]
        else:
            pool = ProcessPoolExecutor(1, context, impatient, (shared,))
            list(pool.map(use, [shared] * 2))
            end = [pool.shutdown]
        stop(manager)
        for each in end:
            each()
        go_on(manager)


def impatient(shared):
    giving_back._PATIENCE = 0.2
