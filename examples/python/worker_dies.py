"""A worker that is killed costs the item it was running; the pool replaces it and goes on."""

import os
import signal

import forkful


def risky(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # a crash, or the kernel short of memory
    return number * number


if __name__ == "__main__":
    with forkful.Pool(2) as pool:
        results = [pool.apply_async(risky, (number,)) for number in range(6)]
        for number, result in enumerate(results):
            try:
                print(number, "gives", result.get(timeout=30))
            except forkful.WorkerDied as death:
                print(number, "is lost: its worker died of signal", death.signal)
        print("and the pool still works:", pool.map(risky, [10, 11]))
