"""dask over its scheduler of processes."""

import dask.bag


def is_even(number):
    return number % 2 == 0


def main():
    numbers = dask.bag.from_sequence(range(100), npartitions=4)
    with dask.config.set(scheduler="processes", num_workers=2):
        print(numbers.filter(is_even).map(str).compute()[-3:])
        print(numbers.sum().compute())


if __name__ == "__main__":
    main()
