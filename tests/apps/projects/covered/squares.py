"""Lines that only children run: coverage has to find them."""

import multiprocessing


def square(number):
    if number < 0:
        return None
    return number * number


def prepare():
    return "each worker runs a line, also one that gets no task"


def greet(name):
    print("hello", name)


if __name__ == "__main__":
    with multiprocessing.Pool(2, prepare) as pool:
        print(pool.map(square, range(5)))
        pool.close()
        pool.join()
    process = multiprocessing.Process(target=greet, args=("you",))
    process.start()
    process.join()
