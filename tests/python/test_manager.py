"""Managers: their server's life, what is registered, and what stays when proxies go."""

from __future__ import annotations

import gc
import os
import sys
import threading

import forkful
import pytest
from forkful import managers
from forkful.managers import BaseManager, BaseProxy, RemoteError, SyncManager
from helpers import await_condition, eventually, run, run_python, runs


class Counter:
    """What the tests register."""

    def __init__(self, start=0):
        self.number = start

    def add(self, n=1):
        self.number += n
        return self.number

    def fail(self):
        raise ValueError(f"not with {self.number}")

    def leave(self):
        raise SystemExit(3)

    def unpicklable(self):
        return threading.Lock()

    def twin(self):
        return Counter(self.number)

    def _secret(self):
        return "secret"


class CounterProxy(BaseProxy):
    _exposed_ = ("add", "twin")
    _method_to_typeid_ = {"twin": "Twin"}

    def add(self, n=1):
        return self._callmethod("add", (n,))

    def twin(self):
        return self._callmethod("twin")


class Manager(BaseManager):
    pass


def make_numbers():
    yield from range(3)


Manager.register("Counter", Counter)
Manager.register("Open", Counter, exposed=("_secret",))
Manager.register("Proxied", Counter, CounterProxy)
Manager.register("Twins", Counter, method_to_typeid={"twin": "Twin"})
Manager.register("Twin", create_method=False)
Manager.register("hidden", Counter, create_method=False)
Manager.register("numbers", make_numbers, managers.IteratorProxy)


@pytest.fixture
def manager(context):
    with Manager(ctx=context) as manager:
        yield manager


# --- the server's life ---


def test_a_server_ends_with_its_managers_with(context):
    with Manager(ctx=context) as manager:
        pid = manager._process.pid
        assert runs(pid) and os.path.exists(manager.address)
    assert manager._process.exitcode == 0
    assert not os.path.exists(manager.address)
    manager.join()
    assert manager._process is None


@pytest.mark.parametrize("method", forkful.get_all_start_methods())
def test_a_program_needs_no_import_of_its_own(method):
    program = f"""
        import forkful
        if __name__ == "__main__":
            with forkful.get_context({method!r}).Manager() as manager:
                print(manager.dict(a=manager.list([1])))
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{'a': <ListProxy object, typeid 'list' at 0x")


def test_a_server_ends_when_nobody_has_its_manager(context):
    manager = Manager(ctx=context)
    manager.start()
    pid = manager._process.pid
    del manager
    gc.collect()
    await_condition(lambda: not runs(pid))


def test_a_manager_starts_once(manager, context):
    for again in (manager.start, manager.get_server):
        with pytest.raises(forkful.ProcessError, match="Already started"):
            again()
    manager.shutdown()
    with pytest.raises(forkful.ProcessError, match="shut down"):
        manager.start()
    with pytest.raises(forkful.ProcessError, match="shut down"), manager:
        pass
    with pytest.raises(AssertionError, match="server not yet started"):
        manager.Counter()
    assert not hasattr(Manager(ctx=context), "shutdown")


def test_an_initializer_runs_in_the_server(context):
    manager = SyncManager(ctx=context)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        manager.start(initializer=3)
    manager.start(os.putenv, ("forkful_test", "1"))
    manager.shutdown()


@pytest.mark.parametrize("method", forkful.get_all_start_methods())
def test_a_server_that_does_not_begin_is_reported_at_once(method):
    # In a program of its own: what a fork server's children write goes to where its stderr was.
    program = f"""
        import forkful
        from forkful.managers import BaseManager
        if __name__ == "__main__":
            context = forkful.get_context({method!r})
            with BaseManager(ctx=context) as manager:
                for address, arguments in [(None, (int, ("no number",))), (manager.address, ())]:
                    try:
                        BaseManager(address, ctx=context).start(*arguments)
                    except EOFError as error:
                        print(error)
    """
    done = run_python(program)
    assert done.returncode == 0
    assert done.stdout.count("has ended with exit code 1 before it served") == 2
    assert "ValueError: invalid literal for int() with base 10: 'no number'" in done.stderr
    assert "OSError: [Errno 98] Address already in use" in done.stderr


def test_a_key_is_bytes(context):
    with pytest.raises(TypeError):
        Manager(authkey="text", ctx=context)
    with pytest.raises(TypeError, match="not bytes"):
        managers.Server({}, None, "text", "pickle")


def test_a_manager_starts_after_the_finalizers_have_run():
    program = """
        import forkful, os
        from forkful import util
        folder = util.get_temp_dir()
        util._run_finalizers()
        assert not os.path.exists(folder)
        with forkful.Manager() as manager:
            print(manager.list([1]))
    """
    done = run_python(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")


def test_a_server_may_run_in_a_thread_of_this_process():
    server = Manager(authkey=b"key").get_server()

    def serve():
        with pytest.raises(SystemExit):
            server.serve_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    client = Manager(server.address, b"key")
    client.connect()
    assert client.Counter(3).add() == 4
    client._ask("shutdown")
    thread.join()
    server.listener.close()


# --- what is registered ---


def test_a_type_has_its_public_methods_or_those_that_are_exposed(manager):
    counter = manager.Counter(5)
    assert counter.add() == 6 and counter.add(n=2) == 8
    assert not hasattr(counter, "_secret")
    with pytest.raises(RemoteError, match="'_secret' of .*Counter.* is not in exposed"):
        counter._callmethod("_secret")
    assert manager.Open()._secret() == "secret"
    assert not hasattr(manager, "hidden")
    assert type(counter).__name__ == "AutoProxy[Counter]"
    assert "typeid 'Counter'" in repr(counter) and "Counter object" in str(counter)


def test_a_method_may_return_a_proxy(manager):
    for proxy in (manager.Proxied(3), manager.Twins(3)):
        twin = proxy.twin()
        assert isinstance(twin, BaseProxy)
        assert (twin.add(), proxy.add()) == (4, 4)


def test_an_iterator_is_asked_in_the_server(manager):
    numbers = manager.numbers()
    assert list(numbers) == [0, 1, 2] and list(numbers) == []


def test_a_subclass_registers_for_itself():
    class Other(Manager):
        pass

    Other.register("more", Counter)
    assert "more" not in Manager._registry and "Counter" in Other._registry
    with pytest.raises(AssertionError, match="is not a string"):
        Other.register("odd", Counter, method_to_typeid={"twin": 3})


def test_what_a_method_raises_its_caller_gets(manager):
    counter = manager.Counter(7)
    with pytest.raises(ValueError, match="not with 7"):
        counter.fail()
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        counter.leave()
    with pytest.raises(RemoteError, match="(?s)Unserializable message: .*cannot pickle") as caught:
        counter.unpicklable()
    assert "Traceback" in str(caught.value)
    assert counter.add() == 8


def test_what_cannot_be_made_is_reported_with_the_servers_traceback(manager):
    with pytest.raises(RemoteError, match="(?s)Traceback.*unexpected keyword"):
        manager.Counter(begin=3)
    with pytest.raises(RemoteError, match="KeyError: 'unknown'"):
        manager._create("unknown")
    assert manager._number_of_objects() == 0


class Talkative(managers.Server):
    public = [*managers.Server.public, "who"]

    def who(self, c, name):
        return f"{name} asks {os.getpid()}"


class TalkativeManager(Manager):
    _Server = Talkative


def test_a_subclass_of_the_server_has_methods_of_its_own(context):
    with TalkativeManager(ctx=context) as manager:
        assert manager._ask("who", "Ann") == f"Ann asks {manager._process.pid}"
        with pytest.raises(RemoteError, match="'serve_forever' unrecognized"):
            manager._ask("serve_forever")


# --- what stays ---


class Counting(CounterProxy):
    """Counts itself, and takes no incref."""

    def __init__(self, token, serializer, manager=None, authkey=None, exposed=None):
        super().__init__(token, serializer, manager, authkey, exposed)


def refuse_to_be(token, serializer, **options):
    raise RuntimeError("no proxy")


Manager.register("Counting", Counter, Counting)
Manager.register("Refused", Counter, refuse_to_be)


def test_each_proxy_is_counted_once(manager):
    kept = [manager.Counter(), manager.Proxied(), manager.Counting(), manager.Twins()]
    kept.append(kept[1].twin())
    counts = [line for line in manager._debug_info().splitlines() if "refcount" in line]
    assert len(counts) == 5 and all("refcount=1" in line for line in counts)
    with pytest.raises(RuntimeError, match="no proxy"):
        manager.Refused()
    assert manager._number_of_objects() == 5
    kept.clear()
    gc.collect()
    assert manager._number_of_objects() == 0


def test_an_object_goes_with_its_last_proxy(manager):
    counter = manager.Counter()
    again = forkful.reducer.ForkingPickler.loads(forkful.reducer.ForkingPickler.dumps(counter))
    assert manager._number_of_objects() == 1
    assert "refcount=2" in manager._debug_info()
    del counter
    assert again.add() == 1
    del again
    gc.collect()
    assert manager._number_of_objects() == 0
    assert manager._debug_info() == ""


def take_and_leave(counter):
    counter.add(10)


def test_a_childs_references_go_with_it(manager, context):
    counter = manager.Counter()
    child = context.Process(target=take_and_leave, args=(counter,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert counter.add() == 11
    assert eventually(lambda: "refcount=1" in manager._debug_info())


def use(lock, counts, key):
    with lock:
        counts[key] = True


def test_a_child_gets_a_proxy_that_its_parent_does_not_keep(context):
    with context.Manager() as manager:
        counts = manager.dict()
        children = [
            context.Process(target=use, args=(manager.Lock(),), kwargs={"counts": counts, "key": n})
            for n in range(10)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert len(counts) == 10
        assert manager._number_of_objects() == 1


def test_no_connection_stays_when_the_proxies_have_gone(context, no_descriptor_stays_behind):
    with Manager(ctx=context) as manager:
        counters = [manager.Counter() for _ in range(5)]
        threads = [threading.Thread(target=counter.add) for counter in counters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        del counters, threads
    del manager


# --- the module ---


def test_messages_are_those_of_multiprocessing():
    assert managers.public_methods(Counter()) == ["add", "fail", "leave", "twin", "unpicklable"]
    assert "_secret" in managers.all_methods(Counter())
    error = managers.convert_to_error("#TRACEBACK", "the text\n")
    assert isinstance(error, RemoteError) and str(error).splitlines()[2] == "the text"
    assert isinstance(managers.convert_to_error("#ODD", None), ValueError)
    with pytest.raises(TypeError, match="not str"):
        managers.convert_to_error("#UNSERIALIZABLE", 3)
    token = managers.Token("dict", "/there", "1f")
    assert repr(token) == "Token(typeid='dict', address='/there', id='1f')"


def test_classes_are_called_as_multiprocessings():
    for name in ("BaseProxy", "DictProxy", "Namespace", "RemoteError", "SyncManager", "Token"):
        assert getattr(managers, name).__module__ == "forkful.managers"


def test_bytes_may_not_be_compared_with_text():
    program = "import forkful\nwith forkful.Manager() as manager: print(manager.list([1]))"
    done = run([sys.executable, "-bb", "-c", program])
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")
