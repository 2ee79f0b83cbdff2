"""Results as they come, so that progress can be shown."""

import forkful


def digits_of_factorial(number: int) -> tuple[int, int]:
    product = 1
    for factor in range(2, number + 1):
        product *= factor
    return number, len(f"{product:x}")


if __name__ == "__main__":
    numbers = range(100, 2001, 100)
    with forkful.Pool() as pool:
        results = pool.imap_unordered(digits_of_factorial, numbers)
        for done, (number, digits) in enumerate(results, 1):
            print(f"[{done:2}/{len(numbers)}] {number}! has {digits} hexadecimal digits")
