"""One process makes jobs, two work them off, and the parent collects what they found."""

import forkful

WORKERS = 2


def produce(jobs: forkful.Queue) -> None:
    for number in range(10):
        jobs.put(number)
    for _ in range(WORKERS):
        jobs.put(None)


def work(jobs: forkful.Queue, answers: forkful.Queue) -> None:
    while (number := jobs.get()) is not None:
        answers.put((number, number**2))


if __name__ == "__main__":
    jobs, answers = forkful.Queue(), forkful.Queue()
    processes = [forkful.Process(target=produce, args=(jobs,))]
    processes += [forkful.Process(target=work, args=(jobs, answers)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()  # before reading the answers: they are in the queue already
    found = sorted(answers.get() for _ in range(answers.qsize()))
    print(*(f"{number}² = {result}" for number, result in found), sep="\n")
