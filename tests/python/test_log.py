"""The names of processes in the records of every logger: logging asks no module of ours."""

from __future__ import annotations

import logging
import sys
import textwrap
from pathlib import Path

import forkful
import pytest
from forkful import pool, queues
from forkful.context import BaseContext
from helpers import run, run_python

# --- in children ---


class Record(logging.LogRecord):
    pass


def _name_in_record(_: object = None) -> tuple[str, str]:
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger(__name__)
    logger.addHandler(handler)
    logger.error("hello")
    logger.removeHandler(handler)
    return type(found[0]).__name__, str(found[0].processName)


def _tell(queue: queues.Queue[tuple[str, str]]) -> None:
    queue.put(_name_in_record())


def _tell_of_own_records(queue: queues.Queue[tuple[str, str]]) -> None:
    logging.setLogRecordFactory(Record)
    _tell(queue)
    given = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **more: given(*args, **more))
    _tell(queue)


def _grandchild(queue: queues.Queue[tuple[str, str]]) -> None:
    child = forkful.Process(target=_tell, args=(queue,), name="inner")
    child.start()
    child.join()


def test_a_record_has_the_name_of_the_child_that_logs(context: BaseContext) -> None:
    queue = context.Queue()
    child = context.Process(target=_tell, args=(queue,), name="worker-7")
    child.start()
    assert queue.get(timeout=30) == ("LogRecord", "worker-7")
    child.join()


def test_records_of_a_programs_own_factory_have_it_too(context: BaseContext) -> None:
    queue = context.Queue()
    child = context.Process(target=_tell_of_own_records, args=(queue,), name="worker-7")
    child.start()
    assert [queue.get(timeout=30) for _ in range(2)] == [("Record", "worker-7")] * 2
    child.join()


def test_a_grandchild_has_its_own(context: BaseContext) -> None:
    queue = context.Queue()
    child = context.Process(target=_grandchild, args=(queue,))
    child.start()
    assert queue.get(timeout=30)[1] == "inner"
    child.join()


def test_workers_of_pools_and_executors_have_theirs(context: BaseContext) -> None:
    # This module imports logging before they begin, as a program's main module does.
    with context.Pool(1, initializer=_name_in_record) as workers:
        assert "PoolWorker-" in workers.apply(_name_in_record)[1]
    with forkful.ProcessPoolExecutor(
        1, mp_context=context, initializer=_name_in_record
    ) as executor:
        assert "Process-" in executor.submit(_name_in_record).result()[1]
    with pool.ThreadPool(1) as threads:
        assert threads.apply(_name_in_record)[1] == forkful.current_process().name


# --- in programs ---

PROGRAM = """
    import sys, logging
    import {package} as multiprocessing

    logging.basicConfig(format="%(processName)s %(message)s", stream=sys.stdout)
    logging.warning("imported")

    def work():
        logging.warning("working")

    if __name__ == "__main__":
        multiprocessing.current_process().name = "boss"
        logging.warning("renamed")
        child = multiprocessing.get_context(sys.argv[1]).Process(target=work, name="worker")
        sys.stdout.flush()
        child.start()
        child.join()
    """


def _run(folder: Path, method: str, package: str, *command: str) -> list[str]:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).format(package=package))
    done = run([sys.executable, *command, str(path), method])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("method", forkful.get_all_start_methods())
def test_a_program_logs_what_it_does_by_the_standard_package(method: str, tmp_path: Path) -> None:
    standard = _run(tmp_path, method, "multiprocessing")
    assert standard[-1] == "worker working"
    # The main module imports logging, and logs, before a child has begun that is no fork.
    lines = _run(tmp_path, method, "forkful")
    assert [lines[0], lines[1], lines[-1]] == [standard[0], standard[1], standard[-1]]
    for package in ("forkful", "multiprocessing"):
        assert _run(tmp_path, method, package, "-m", "forkful", "run") == standard


def test_logging_is_left_alone_where_it_names_no_process_or_knows_another_name() -> None:
    done = run_python("""
        import logging, multiprocessing, forkful
        from forkful.pool import Pool
        def names():
            record = logging.makeLogRecord({"msg": "x"})
            sent = logging.makeLogRecord({"msg": "x", "processName": "another"})
            logging.logMultiprocessing = False
            none = logging.makeLogRecord({}).processName
            return record.processName, sent.processName, none
        forkful.get_logger()
        multiprocessing.current_process().name = "theirs"
        print(*names(), logging.getLogRecordFactory() is logging.LogRecord)
        multiprocessing.current_process().name = "MainProcess"
        child = forkful.Process(target=lambda: print(*names()), name="ours")
        logging.logMultiprocessing = True
        child.start(); child.join()
    """)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["theirs another None True", "ours another None"]


def test_logging_is_not_imported_for_it() -> None:
    done = run_python("""
        import sys, forkful
        child = forkful.Process(target=lambda: print("logging" in sys.modules))
        child.start(); child.join()
        forkful.current_process().name = "boss"
        print("logging" in sys.modules)
    """)
    assert (done.stdout, done.stderr) == ("False\nFalse\n", "")
