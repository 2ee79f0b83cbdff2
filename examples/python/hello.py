"""A process of one's own, started and waited for."""

import forkful


def greet(name: str) -> None:
    print(f"Hello, {name}!", flush=True)


if __name__ == "__main__":
    child = forkful.Process(target=greet, args=("world",))
    child.start()
    child.join()
    print("The child ended with exit code", child.exitcode)
