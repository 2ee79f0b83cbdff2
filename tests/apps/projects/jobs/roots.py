"""joblib over its backend of processes, with results, errors and a generator."""

import joblib


def root(number):
    return number**0.5


def fail(number):
    if number == 2:
        raise ValueError(f"not {number}")


if __name__ == "__main__":
    for backend in ("multiprocessing", "loky"):
        run = joblib.Parallel(n_jobs=2, backend=backend)
        print(backend, run(joblib.delayed(root)(n) for n in range(20)))
        try:
            run(joblib.delayed(fail)(n) for n in range(3))
        except ValueError as error:
            print("ValueError", error)
