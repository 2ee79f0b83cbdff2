"""One process makes messages, another one adds them up."""

import forkful
from times import timed

MESSAGES = 2_000_000


def produce(numbers: forkful.Queue, count: int) -> None:
    for number in range(count):
        numbers.put(number)
    numbers.put(None)


def consume(numbers: forkful.Queue, answer: forkful.Queue) -> None:
    total = 0
    while (number := numbers.get()) is not None:
        total += number
    answer.put(total)


def main() -> None:
    print(f"Python: a producer and a consumer, {MESSAGES:,} integers through a Queue")
    numbers, answer = forkful.Queue(), forkful.Queue()
    with timed("producer and consumer", f"{MESSAGES:,} messages"):
        consumer = forkful.Process(target=consume, args=(numbers, answer))
        producer = forkful.Process(target=produce, args=(numbers, MESSAGES))
        consumer.start()
        producer.start()
        total = answer.get()
        producer.join()
        consumer.join()
    assert total == MESSAGES * (MESSAGES - 1) // 2
    print(f"  their sum is {total:,}, as it should be")


if __name__ == "__main__":
    main()
