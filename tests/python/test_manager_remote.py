"""Managers and the standard library's: each connects to the other, by sockets and TCP.

The programs at the other end run in this interpreter, without forkful.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import forkful
import pytest
from forkful.managers import BaseManager, SyncManager
from helpers import run, start_python

KEY = "a key"

CLIENT = """
    import multiprocessing, os, pickle, sys
    from multiprocessing import managers

    class Manager(managers.SyncManager): pass
    for name, proxy in (("get_dict", managers.DictProxy), ("get_list", managers.ListProxy),
                        ("get_names", managers.NamespaceProxy), ("numbers", None)):
        Manager.register(name, proxytype=proxy)
    address, key = eval(sys.argv[1]), sys.argv[2].encode()
    multiprocessing.current_process().authkey = key
    manager = Manager(address, key)
    manager.connect()
"""


def stock(program: str, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(CLIENT) + textwrap.dedent(program)
    done = run([sys.executable, "-I", "-c", code, *arguments], **options)
    assert "forkful" not in done.stderr
    return done


shared_dict: dict[str, object] = {"one": 1}
shared_list: list[object] = []


def get_dict():
    return shared_dict


def get_list():
    return shared_list


class Numbers:
    def double(self, n):
        return 2 * n

    def fail(self):
        raise forkful.ProcessError("such is life")


class Manager(SyncManager):
    pass


Manager.register("get_dict", get_dict, forkful.managers.DictProxy)
Manager.register("get_list", get_list, forkful.managers.ListProxy)
Manager.register("get_names", forkful.managers.Namespace, forkful.managers.NamespaceProxy)
Manager.register("numbers", Numbers)


@pytest.fixture(params=["socket", "TCP"])
def ours(request, context):
    address = ("localhost", 0) if request.param == "TCP" else None
    with Manager(address, KEY.encode(), ctx=context) as manager:
        yield manager


def test_a_stock_client_uses_our_manager(ours):
    done = stock(
        """
        d, l, n = manager.get_dict(), manager.get_list(), manager.numbers()
        d["two"] = 2
        print(sorted(d.items()), list(d), d)
        l.extend([1, "text", None])
        l.append(d)                       # a proxy in a container
        print(type(l[3]).__name__, l[3]["two"], type(l[3]).__module__)
        print(n.double(4))
        for call in (n.fail, n._callmethod):
            try:
                call(*(["odd"] if call != n.fail else []))
            except Exception as error:
                print(type(error).__name__, type(error).__module__)
        names = manager.get_names(a=1)
        names.b = [2]
        print(names, names._getvalue(), type(names._getvalue()).__module__)
        made = manager.list([3])
        made.append(4)
        print(made[:], manager._number_of_objects() > 3)
        """,
        repr(ours.address),
        KEY,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "[('one', 1), ('two', 2)] ['one', 'two'] {'one': 1, 'two': 2}",
        "DictProxy 2 multiprocessing.managers",
        "8",
        "ProcessError multiprocessing.context",
        "RemoteError multiprocessing.managers",
        "Namespace(a=1, b=[2]) Namespace(a=1, b=[2]) multiprocessing.managers",
        "[3, 4] True",
    ]
    assert ours.get_dict()["two"] == 2
    assert ours.get_list()[:3] == [1, "text", None]


def test_a_stock_client_with_another_key_is_refused(ours):
    done = stock("", repr(ours.address), "another key")
    assert "AuthenticationError" in done.stderr
    assert ours.get_dict().get("one") == 1


SERVER = """
    import multiprocessing, sys
    from multiprocessing import managers

    class Numbers:
        def double(self, n): return 2 * n
        def fail(self): raise multiprocessing.ProcessError("such is life")

    class Manager(managers.SyncManager): pass
    Manager.register("numbers", Numbers)
    multiprocessing.current_process().authkey = b"a key"
    server = Manager(eval(sys.argv[1]), b"a key").get_server()
    print(repr(server.address), flush=True)
    server.serve_forever()
"""


@pytest.fixture(params=["None", "('localhost', 0)"], ids=["socket", "TCP"])
def theirs(request):
    with start_python(SERVER, request.param) as program:
        manager = Manager(eval(program.stdout.readline()), KEY.encode())
        manager.connect()
        forkful.current_process().authkey, old = KEY.encode(), forkful.current_process().authkey
        yield manager
        forkful.current_process().authkey = old
        manager._ask("shutdown")


def put(shared, key):
    shared[key] = os.getpid()


def test_our_client_uses_a_stock_manager(theirs, context):
    shared, items = theirs.dict(a=1), theirs.list()
    items.append(shared)
    assert items[0]["a"] == 1 and isinstance(items[0], forkful.managers.DictProxy)
    child = context.Process(target=put, args=(shared, "pid"))
    child.start()
    child.join()
    assert shared.keys() == ["a", "pid"] == list(shared)
    names = theirs.Namespace(x=1)
    assert isinstance(names._getvalue(), forkful.managers.Namespace)
    numbers = theirs.numbers()
    assert numbers.double(4) == 8
    with pytest.raises(forkful.ProcessError, match="such is life"):
        numbers.fail()
    with pytest.raises(forkful.managers.RemoteError, match="not in exposed"):
        numbers._callmethod("odd")
    queue = theirs.Queue()
    queue.put({"any": shared})
    assert queue.get()["any"]["a"] == 1


def test_our_client_with_another_key_is_refused_by_a_stock_manager(theirs):
    with pytest.raises(forkful.AuthenticationError):
        Manager(theirs.address, b"another key").connect()
    assert theirs.dict(a=1)["a"] == 1


class XmlManager(BaseManager):
    pass


XmlManager.register("get_list", get_list)


def test_messages_may_be_xml(context):
    with XmlManager(serializer="xmlrpclib", ctx=context) as manager:
        items = manager.get_list()
        items.append(("text", 2.5, None, True))
        assert items.pop() == ["text", 2.5, None, True]
        with pytest.raises(TypeError):
            items.append(print)
        assert items.count(1) == 0


def test_no_standard_module_is_loaded(context):
    with Manager(ctx=context) as manager:
        assert "forkful.managers" in sys.modules
        items = manager.list()
        items.append(1)
        program = "import forkful, sys; forkful.Manager().list([1]).append(2)\n"
        program += "print([n for n in sys.modules if n.partition('.')[0] in "
        program += "('multiprocessing', '_multiprocessing', '_posixshmem')])"
        done = run([sys.executable, "-c", program])
        assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
