"""What the Python storms share: the driver of storm.hpp and the cast of cast.hpp, in Python."""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import forkful
import pytest

SECONDS = int(os.environ.get("FORKFUL_CHAOS_SECONDS", "0"))  # 0: so many strikes
SEED = int(os.environ.get("FORKFUL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
PATIENCE = 20.0  # nothing takes so long, on a loaded machine either

in_time = [
    pytest.mark.timeout(120 + SECONDS),
    # The thread that continues the stopped holds nothing that a forked player uses.
    pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning"),
]


def show_stacks_when_asked() -> None:
    """In a process of the storm: SIGUSR1 prints its stacks."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def print_waits(pids: list[int]) -> None:
    """Say what each process waits for: its stacks, its state and the function of the kernel."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                wait, call = ((task / name).read_text().strip() for name in ("wchan", "syscall"))
                print(f"process {pid} thread {task.name}: state {state}, in {wait}, {call}")
        print(f"stacks of process {pid}:", file=sys.stderr, flush=True)
        if pid == os.getpid():
            faulthandler.dump_traceback(all_threads=True)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.2)  # Why: it prints meanwhile; nothing tells when it has


class Storm:
    """Strikes at random moments, as many as asked for or for SECONDS.

    A thread continues who was stopped: whoever strikes may have to wait for one of those.
    """

    def __init__(
        self,
        name: str,
        strikes: int,
        progress: Callable[[], int],
        pids: Callable[[], list[int]],
        most_pause: float = 0.02,
    ) -> None:
        self.random = random.Random(SEED)
        self.kills = self.stops = 0
        self._name = name
        self._strikes_left = float("inf") if SECONDS else strikes
        self._progress, self._pids = progress, pids
        self._most_pause = most_pause
        self._lock = threading.Lock()
        self._stopped: dict[int, float] = {}
        self._done = 0
        self._begin = self._progressed = time.monotonic()
        self._worst_silence = 0.0
        print(f"FORKFUL_SEED={SEED}", flush=True)
        self._over = threading.Event()
        threading.Thread(target=self._continue, daemon=True).start()

    def rages(self) -> bool:
        """Wait for the moment of the next strike; False when the storm is over."""
        time.sleep(self.random.uniform(0, self._most_pause))  # Why: strikes come at random
        self._look("the storm")
        self._strikes_left -= 1
        over = self._strikes_left < 0 or (SECONDS and time.monotonic() - self._begin > SECONDS)
        if over:
            self._over.set()
            self._continue_stopped(float("inf"))
        return not over

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Watch the progress until done()."""
        self._progressed = time.monotonic()
        while not done():
            self._look(what)
            time.sleep(0.001)  # Why: the interval at which the condition is looked at

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        with self._lock:
            self._stopped.pop(pid, None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
        self.kills += 1

    def stop(self, pid: int) -> None:
        """Stop a process, and continue it after some milliseconds."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if pid not in self._stopped:
                os.kill(pid, signal.SIGSTOP)
                self._stopped[pid] = time.monotonic() + self.random.uniform(0.001, 0.03)
                self.stops += 1

    def report(self, **counts: int) -> None:
        text = " ".join(f"{name}={value}" for name, value in counts.items())
        print(
            f"chaos: {self._name}: seed={SEED} kills={self.kills} stops={self.stops} {text} "
            f"worst_silence_ms={self._worst_silence * 1000:.0f}",
            flush=True,
        )

    def _look(self, what: str) -> None:
        now, done = time.monotonic(), self._progress()
        self._worst_silence = max(self._worst_silence, now - self._progressed)
        if done != self._done:
            self._done, self._progressed = done, now
        elif now - self._progressed > PATIENCE:
            self.report(stalled=1)
            self._continue_stopped(float("inf"))
            print_waits(self._pids())
            pytest.fail(f"nothing has happened for {PATIENCE:.0f} s during {what}")

    def _continue(self) -> None:
        while not self._over.wait(0.001):
            self._continue_stopped(time.monotonic())

    def _continue_stopped(self, now: float) -> None:
        with self._lock:
            for pid in [pid for pid, until in self._stopped.items() if until <= now]:
                del self._stopped[pid]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


class Words:
    """Numbers in memory that has nothing to do with forkful's."""

    def __init__(self, count: int, kind: str = "Q") -> None:
        size = {"Q": 8, "B": 1}[kind]
        # A file in memory takes no more of it than was written, however large it says that it is.
        fd = os.memfd_create("words")
        os.truncate(fd, max(count * size, mmap.PAGESIZE))
        self._memory = mmap.mmap(fd, 0)
        os.close(fd)
        self.at = memoryview(self._memory).cast(kind)


class Actor:
    """What a process of the cast knows of itself."""

    def __init__(self, cast: Cast, part: int, life: int) -> None:
        self.part, self.life = part, life
        self._cast = cast

    def step(self) -> None:
        self._cast.steps.at[self.part] += 1

    def over(self) -> bool:
        return bool(self._cast.over.at[0])

    def is_doomed(self, life: int) -> bool:
        return bool(self._cast.doomed.at[life])


class Cast:
    """Processes that each have a part; whoever is killed is replaced."""

    MOST_LIVES = 1 << 20

    def __init__(self, scripts: list[Callable[[Actor], None]]) -> None:
        self.steps = Words(len(scripts))
        self.over = Words(1)
        self.doomed = Words(self.MOST_LIVES, "B")
        self._scripts = scripts
        self.lives = 0
        self._life_of = [0] * len(scripts)
        self._unjoined: list[forkful.Process] = []
        self._players = [self._start(part) for part in range(len(scripts))]

    def _start(self, part: int) -> forkful.Process:
        self.lives += 1
        self._life_of[part] = self.lives
        player = forkful.Process(target=self._play, args=(part, self.lives), daemon=True)
        player.start()
        return player

    def _play(self, part: int, life: int) -> None:
        show_stacks_when_asked()
        self._scripts[part](Actor(self, part, life))

    def progress(self) -> int:
        return sum(self.steps.at)

    def pids(self) -> list[int]:
        return [player.pid or 0 for player in self._players]

    def replace(self, storm: Storm, part: int) -> None:
        """Kill the player of a part and start another one; half of the dead are joined later."""
        player = self._players[part]
        assert player.pid is not None
        self.doomed.at[self._life_of[part]] = 1
        storm.kill(player.pid)
        self._unjoined.append(player)
        if storm.chance(50):
            self._join_the_dead()
        self._players[part] = self._start(part)

    def stop(self, storm: Storm, part: int) -> None:
        storm.stop(self._players[part].pid or 0)

    def await_end(self, storm: Storm, parts: range) -> None:
        """Wait until the players of these parts have returned."""
        for part in parts:
            player = self._players[part]
            storm.wait_for(f"the end of part {part}", lambda player=player: not player.is_alive())
            assert player.exitcode == 0, f"part {part} ended by itself; its reason is above"
        self._join_the_dead()

    def _join_the_dead(self) -> None:
        for player in self._unjoined:
            player.join()
            assert player.exitcode == -signal.SIGKILL, "a player had ended by itself"
        self._unjoined.clear()
