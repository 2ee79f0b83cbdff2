"""Three that put and three that get, objects of several kinds, in one queue."""

from __future__ import annotations

import gc
import time

import forkful
import pytest
from forkful import _core
from storm import Actor, Cast, Storm, Words, in_time

SENDERS, RECEIVERS = 3, 3
MOST_WAITING = 2_000  # in a queue without a bound
PAGES_THAT_STAY = 256 << 10  # some for each size of small blocks
SPACE = 1 << 34  # messages of all lives; a byte of sparse memory each

pytestmark = in_time


def payload(life: int, number: int) -> object:
    """What a message carries: told by its numbers alone."""
    size = (life * 31 + number * 7919) % 70_000
    match (life + number) % 5:
        case 0:
            return (f"{life} {number} " * (size // 8 + 1)).encode()[:size]
        case 1:
            return f"{life} ä {number} " * (size % 1000)
        case 2:
            return {"life": life, number: [size, float(size), None, True]}
        case 3:
            return list(range(number, number + size % 500))
        case _:
            return number


class Traffic:
    """The queue, a lock of the user's, and what was sent and seen."""

    def __init__(self, bound: int, lives: int) -> None:
        self.queue = forkful.Queue(bound)
        self.bound = bound
        self.lock = forkful.Lock(policy="recover")
        self.inside = Words(3)  # the life that is inside, and two words that agree otherwise
        self.each = SPACE // lives
        self.sent = Words(lives)
        self.seen = Words(SPACE, "B")

    def send(self, actor: Actor) -> None:
        number = 0
        while not actor.over():
            if self.bound == 0 and self.queue.qsize() > MOST_WAITING:
                time.sleep(0.001)  # Why: the queue itself never makes a sender wait
                continue
            self.queue.put((actor.life, number, payload(actor.life, number)))
            number += 1
            self.sent.at[actor.life] = number
            actor.step()
            if number % 16 == 0:
                self.go_inside(actor)
            assert number < self.each, "too many messages of one life: a shorter storm is needed"

    def receive(self, actor: Actor) -> None:
        while (message := self.queue.get()) is not None:
            life, number, content = message
            assert content == payload(life, number), "a message is not whole"
            at = life * self.each + number
            assert self.seen.at[at] == 0, "a message came twice"
            self.seen.at[at] = 1
            actor.step()
            if number % 16 == 0:
                self.go_inside(actor)

    def go_inside(self, actor: Actor) -> None:
        with self.lock:
            words = self.inside.at
            before, words[0] = words[0], actor.life
            assert before == 0 or actor.is_doomed(before), "two are inside"
            assert before != 0 or words[1] == words[2]
            words[1] = words[2] = words[1] + 1
            words[0] = 0

    def sum_up(self, lives: int) -> tuple[int, int]:
        """How many were received, and how many were lost."""
        received = lost = 0
        for life in range(1, lives + 1):
            begin, sent = life * self.each, self.sent.at[life]
            # The one after them may have been put by a sender that was killed before it said so.
            seen = sum(self.seen.at[begin : begin + sent + 1])
            received += seen
            lost += sent - sum(self.seen.at[begin : begin + sent])
        return received, lost


@pytest.mark.parametrize(
    ("name", "bound", "receivers_die", "stops"),
    [
        ("bounded to 64", 64, True, 10),
        ("bounded to 4", 4, True, 10),
        ("unbounded", 0, True, 10),
        ("where only senders die", 64, False, 10),
        ("of stops alone", 16, False, 100),
    ],
)
def test_a_storm_tears_doubles_and_loses_no_message(name, bound, receivers_die, stops):
    forkful.Process().start()  # what the first one makes stays
    forkful.active_children()
    used = _core.heap_use()["bytes_used"]
    traffic = Traffic(bound, lives=16 if stops == 100 else 1 << 15)
    cast = Cast([traffic.send] * SENDERS + [traffic.receive] * RECEIVERS)
    storm = Storm(f"Python queue {name}", 100, cast.progress, cast.pids)
    receivers_killed = 0
    while storm.rages():
        stop = storm.chance(stops)
        part = storm.random.randrange(SENDERS + RECEIVERS if stop or receivers_die else SENDERS)
        if stop:
            cast.stop(storm, part)
        else:
            cast.replace(storm, part)
            receivers_killed += part >= SENDERS
    cast.over.at[0] = 1
    cast.await_end(storm, range(SENDERS))
    for _ in range(RECEIVERS):
        traffic.queue.put(None)
    cast.await_end(storm, range(SENDERS, SENDERS + RECEIVERS))

    received, lost = traffic.sum_up(cast.lives)
    storm.report(received=received, lost=lost, inside=traffic.inside.at[1])
    assert lost <= receivers_killed, "a receiver takes one message with it at most"
    assert traffic.queue.empty()
    del traffic, cast, storm
    gc.collect()
    kept = _core.heap_use()["bytes_used"] - used
    assert kept <= PAGES_THAT_STAY, "memory stays behind"
