"""A pool whose workers are killed, terminated and stopped, while several threads make all kinds of
calls. Each task writes its number into a queue, so that what runs twice or not at all shows."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time

import forkful
from storm import PATIENCE, SEED, Storm, in_time, show_stacks_when_asked

WORKERS, CALLERS = 4, 4
MOST_ITEMS = 300  # of a call

pytestmark = in_time

log: forkful.Queue


def begin(queue: forkful.Queue) -> None:
    global log
    log = queue
    show_stacks_when_asked()


def answer(number: int) -> int:
    return number * 7 + 3


def run(number: int) -> int:
    log.put((number, os.getpid()))
    return answer(number)


def run_slowly(number: int) -> int:
    time.sleep(0.05)  # Why: it is to be late for a caller that waits less
    return run(number)


class Ledger:
    """Which tasks have run, as they write it into the queue."""

    def __init__(self) -> None:
        self.queue = forkful.Queue()
        self.ran: set[int] = set()
        # Those that have begun a task. Workers that die before they have, again and again, are
        # another matter: there the pool gives up.
        self.pids: set[int] = set()
        self.doubled = 0
        self._next = itertools.count()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def draw(self, count: int) -> range:
        """Numbers for a call's tasks."""
        with self._lock:
            first = next(self._next) * (MOST_ITEMS + 1)
        return range(first, first + count)

    def end(self) -> None:
        self.queue.put(None)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive()

    def missing(self, numbers: list[range]) -> int:
        return sum(number not in self.ran for each in numbers for number in each)

    def _read(self) -> None:
        while (entry := self.queue.get()) is not None:
            number, pid = entry
            self.pids.add(pid)
            self.doubled += number in self.ran
            self.ran.add(number)


class Callers:
    """Threads that call the pool in every way."""

    def __init__(self, pool: forkful.Pool, ledger: Ledger) -> None:
        self.calls = self.died = 0
        self.over = False
        self.faults: list[str] = []
        self.done: list[range] = []
        self.unwaited: list[range] = []
        self.callbacks_due = self.callbacks_run = 0
        self._pool, self._ledger = pool, ledger
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call_on, args=(random.Random(SEED + i),), daemon=True)
            for i in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def have_ended(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _call_on(self, choose: random.Random) -> None:
        kinds = [self._map, self._imap, self._unordered, self._apply]
        kinds += [self._drop, self._call_back, self._lose_patience]
        try:
            while not self.over:
                numbers = self._ledger.draw(choose.randint(1, MOST_ITEMS))
                chunk = choose.choice([1, 1, 3, 10, 50])
                try:
                    choose.choice(kinds)(numbers, chunk)
                except forkful.WorkerDied:
                    with self._lock:
                        self.died += 1
                with self._lock:
                    self.calls += 1
        except BaseException as error:
            self.faults.append(repr(error))
            raise

    def _finish(self, numbers: range, results: list[int], into: list[range]) -> None:
        if results != [answer(number) for number in numbers]:
            self.faults.append(f"wrong results for {numbers}: {results}")
        with self._lock:
            into.append(numbers)

    def _map(self, numbers: range, chunk: int) -> None:
        size = None if chunk == 50 else chunk
        self._finish(numbers, self._pool.map(run, numbers, size), self.done)

    def _imap(self, numbers: range, chunk: int) -> None:
        self._finish(numbers, list(self._pool.imap(run, numbers, chunk)), self.done)

    def _unordered(self, numbers: range, chunk: int) -> None:
        results = sorted(self._pool.imap_unordered(run, numbers, chunk))
        self._finish(numbers, results, self.done)

    def _apply(self, numbers: range, chunk: int) -> None:
        self._finish(numbers[:1], [self._pool.apply(run, (numbers[0],))], self.done)

    def _drop(self, numbers: range, chunk: int) -> None:
        """Nobody waits for these."""
        numbers = numbers[:20]
        for number in numbers:
            self._pool.apply_async(run, (number,))
        with self._lock:
            self.unwaited.append(numbers)

    def _call_back(self, numbers: range, chunk: int) -> None:
        numbers = numbers[:20]
        for number in numbers:
            with self._lock:
                self.callbacks_due += 1
            self._pool.apply_async(
                run, (number,), callback=self._succeeded(number), error_callback=self._failed
            )
        with self._lock:
            self.unwaited.append(numbers)

    def _succeeded(self, number: int):
        def callback(result: int) -> None:
            if result != answer(number):
                self.faults.append(f"wrong result for {number}: {result}")
            with self._lock:
                self.callbacks_run += 1

        return callback

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, forkful.WorkerDied):
            self.faults.append(repr(error))
        with self._lock:
            self.callbacks_run += 1
            self.died += 1

    def _lose_patience(self, numbers: range, chunk: int) -> None:
        result = self._pool.apply_async(run_slowly, (numbers[0],))
        try:
            results = [result.get(0.001)]
        except forkful.TimeoutError:
            results = [result.get()]
        self._finish(numbers[:1], results, self.done)


def test_a_storm_leaves_no_call_without_its_answer_and_runs_no_task_twice():
    ledger = Ledger()
    pool = forkful.Pool(WORKERS, initializer=begin, initargs=(ledger.queue,))

    def pids() -> list[int]:
        return [worker.pid for worker in list(pool._pool) if worker.pid is not None]

    callers = Callers(pool, ledger)
    storm = Storm("Python pool", 100, lambda: callers.calls, lambda: [*pids(), os.getpid()])
    while storm.rages() and not callers.faults:
        workers = [pid for pid in pids() if pid in ledger.pids]
        if not workers:
            continue
        victim = storm.random.choice(workers)
        if storm.chance(30):
            storm.stop(victim)
        else:
            storm.kill(victim, storm.random.choice([signal.SIGKILL, signal.SIGTERM]))

    callers.over = True
    storm.wait_for("the last calls", callers.have_ended)
    pool.close()
    joiner = threading.Thread(target=pool.join, daemon=True)
    joiner.start()
    storm.wait_for("the pool's end", lambda: not joiner.is_alive())
    ledger.end()

    lost = ledger.missing(callers.unwaited)
    storm.report(calls=callers.calls, tasks=len(ledger.ran), died=callers.died, lost_unwaited=lost)
    assert not callers.faults
    assert ledger.doubled == 0
    assert ledger.missing(callers.done) == 0, "a call has results of tasks that never ran"
    assert callers.died <= storm.kills, "a death costs one item"
    assert lost <= storm.kills
    assert callers.callbacks_run == callers.callbacks_due
