"""What is not there yet refuses by name when it is used, and never before."""

from __future__ import annotations

import importlib

import forkful
import pytest

MODULES = {
}


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in MODULES for n in MODULES[m]])
def test_a_name_of_a_module_refuses_when_called(module, name):
    placeholder = getattr(importlib.import_module(f"forkful.{module}"), name)
    with pytest.raises(NotImplementedError, match=name):
        placeholder()
    assert placeholder.__doc__


def test_exceptions_are_importable_where_the_standard_has_them():
    import queue

    from forkful import context, managers, queues

    assert (queues.Empty, queues.Full) == (queue.Empty, queue.Full)
    for name in ("AuthenticationError", "BufferTooShort", "ProcessError", "TimeoutError"):
        assert getattr(context, name) is getattr(forkful, name)
    assert issubclass(managers.RemoteError, Exception)


def test_the_start_method_is_set_once():
    assert forkful.get_all_start_methods() == ["fork", "spawn", "forkserver"]
    assert forkful.get_start_method() == "fork"
    with pytest.raises(RuntimeError, match="already been set"):
        forkful.set_start_method("fork")
    forkful.set_start_method("fork", force=True)
    with pytest.raises(
        ValueError, match="cannot find context for 'teleport'.* fork, spawn, forkserver$"
    ):
        forkful.get_context("teleport")
    with pytest.raises(ValueError, match="concrete context"):
        forkful.get_context("fork").set_start_method("fork")


def test_a_context_offers_what_the_package_does():
    context = forkful.get_context("fork")
    assert context.Queue().empty()
    assert context.Value("i", 3).value == 3
    assert context.cpu_count() == forkful.cpu_count()
    assert context.current_process() is forkful.current_process()
    with context.Pool(1) as pool:
        assert pool.apply(abs, (-1,)) == 1
    for lock in (context.Lock(), context.RLock(), context.Semaphore(), context.BoundedSemaphore()):
        assert lock.acquire()
        lock.release()


def test_the_logger_is_there(capfd):
    logger = forkful.get_logger()
    assert logger.name == "multiprocessing"
    handlers = list(logger.handlers)
    assert forkful.log_to_stderr("INFO") is logger
    child = forkful.Process(target=int, name="logging")
    child.start()
    child.join()
    for handler in set(logger.handlers) - set(handlers):
        logger.removeHandler(handler)
    logger.setLevel("NOTSET")
    assert "[INFO/logging] child process calling self.run()" in capfd.readouterr().err
