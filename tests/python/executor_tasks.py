"""What the tests of the executor have its workers do, and how these die."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
import time


def get_pid(_=None):
    return os.getpid()


def add(a, b=0):
    return a + b


def sleep_and_return(seconds, value=None):
    time.sleep(seconds)  # Why: a task that takes its time
    return value


def pause(_=None):
    signal.pause()


def raise_it(error):
    raise error


def raise_at(number, bad):
    if number == bad:
        raise ValueError(number)
    return number


def exit_with(code):
    os._exit(code)


def sys_exit(code):
    sys.exit(code)


def kill_self(number=signal.SIGKILL):
    os.kill(os.getpid(), number)
    signal.pause()


def acquire(semaphore):
    semaphore.acquire()
    return os.getpid()


def release_and_pause(semaphore):
    semaphore.release()
    signal.pause()


def mark(path, text="x"):
    with open(path, "a") as file:
        file.write(text)


def return_lambda():
    return lambda: 1


class ReadBadly:
    """Raises where it is unpickled."""

    def __init__(self, error=None):
        self.error = error or ValueError("cannot be read")

    def __reduce__(self):
        return raise_it, (self.error,)


class WrittenBadly:
    """Raises where it is pickled."""

    def __reduce__(self):
        raise ValueError("cannot be written")


class OddError(Exception):
    """Cannot be made again from its args."""

    def __init__(self, a, b):
        super().__init__(a)


def raise_odd():
    raise OddError(1, 2)


def return_bad(cls):
    return cls()


class Holder:
    def get(self):
        return 1


STATUS = ["nothing"]


def set_status(value):
    STATUS[0] = value


def get_status(_=None):
    return STATUS[0]


def log_and_fail(log):
    logger = logging.getLogger("concurrent.futures")
    logger.addHandler(logging.handlers.QueueHandler(log))
    logger.propagate = False
    raise ValueError("error in initializer")


def make_holder(_=None):
    return Holder()
