"""Processes that wait for a condition, as targets and starters of tests."""

from __future__ import annotations

from helpers import await_condition


def wait_and_count(condition, woken, timeout=None):
    with condition:
        if condition.wait(timeout):
            with woken.get_lock():
                woken.value += 1


def start_waiters(context, condition, woken, number):
    children = [
        context.Process(target=wait_and_count, args=(condition, woken)) for _ in range(number)
    ]
    for child in children:
        child.start()
    await_condition(lambda: condition._waiters() == number)
    return children
