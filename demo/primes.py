"""Counts primes: in a loop, with threads, with processes.

A thread waits for the interpreter's lock while another computes, so threads gain nothing here;
processes do.
"""

import threading

import forkful
from times import timed

LIMIT = 1_000_000
SHARES = 8


def count_primes(begin: int, end: int) -> int:
    count = 0
    for number in range(max(begin, 2), end):
        divisor = 2
        while divisor * divisor <= number and number % divisor:
            divisor += 1
        count += divisor * divisor > number
    return count


def main() -> None:
    bounds = [LIMIT * i // SHARES for i in range(SHARES + 1)]
    shares = list(zip(bounds, bounds[1:], strict=False))
    workers = forkful.cpu_count()
    print(f"Python: primes below {LIMIT:,} in {SHARES} shares, {workers} workers")

    with timed("primes", "in a loop"):
        sequential = [count_primes(*share) for share in shares]

    threaded: dict[int, int] = {}

    def thread_main(first: int) -> None:
        for index in range(first, SHARES, workers):
            threaded[index] = count_primes(*shares[index])

    with timed("primes", f"{workers} threads"):
        threads = [threading.Thread(target=thread_main, args=(i,)) for i in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with timed("primes", f"{workers} processes"), forkful.Pool(workers) as pool:
        parallel = pool.starmap(count_primes, shares, chunksize=1)

    assert sequential == parallel == [threaded[i] for i in range(SHARES)]
    print(f"  {sum(parallel):,} primes, the same in all three")


if __name__ == "__main__":
    main()
