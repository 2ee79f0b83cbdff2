"""Who runs what: an initializer gives each worker a name, and each task says where it ran."""

import os

import forkful

_name = ""


def set_up(prefix: str) -> None:
    global _name
    _name = f"{prefix}-{os.getpid()}"


def who(task: int) -> tuple[int, str]:
    return task, _name


if __name__ == "__main__":
    print("This is", os.getpid(), "and it may use", forkful.cpu_count(), "CPUs")
    with forkful.Pool(2, initializer=set_up, initargs=("worker",)) as pool:
        for task, name in pool.map(who, range(6), chunksize=1):
            print(f"task {task} ran in {name}")
