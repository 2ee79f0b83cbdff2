"""A number that four processes count up together."""

import forkful
from forkful.sharedctypes import Synchronized

EACH = 10_000


def count(total: "Synchronized[int]") -> None:
    for _ in range(EACH):
        with total.get_lock():  # += reads and writes: both under one lock
            total.value += 1


if __name__ == "__main__":
    total = forkful.Value("i", 0)
    processes = [forkful.Process(target=count, args=(total,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(f"{total.value:,} counted by {len(processes)} processes")
