"""The same function for every item, in several processes."""

import forkful


def square(number: int) -> int:
    return number * number


if __name__ == "__main__":
    with forkful.Pool(2) as pool:
        print(pool.map(square, range(10)))
        print(pool.starmap(pow, [(2, 8), (3, 4), (10, 3)]))
        print(pool.apply_async(square, (12,)).get(timeout=10))
