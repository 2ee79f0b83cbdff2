"""What the programs of tests about roots begin with: say(), and what their children run."""

TOOLS = """
    import os, signal, sys, time
    import forkful

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def nothing():
        pass

    def stay(*_):
        while True:  # the engine's own signals end a pause
            signal.pause()

    def begin_to_stay(begun):
        begun.set()
        stay()

    def await_end(pid):
        # Of one whose parent may not wait for it, so that it stays a zombie.
        def state():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    return file.read().rpartition(")")[2].split()[0]
            except OSError:
                return "gone"
        while state() not in ("Z", "X", "gone"):
            time.sleep(0.002)  # Why: the interval at which the condition is looked at
"""
