"""Programs with connections as people write them: they print the same with and without us."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import forkful
import pytest
from helpers import run

# --- pipes ---

SQUARES_OVER_A_PIPE = """
    import multiprocessing as mp

    def worker(conn):
        while True:
            number = conn.recv()
            if number is None:
                break
            conn.send((number, number ** 2))
        conn.send_bytes(b"bye")
        conn.close()

    if __name__ == "__main__":
        mp.set_start_method(METHOD)
        parent, child = mp.Pipe()
        process = mp.Process(target=worker, args=(child,))
        process.start()
        child.close()
        for number in range(5):
            parent.send(number)
            print(parent.recv())
        parent.send(None)
        print(parent.recv_bytes(), parent.poll(5))
        try:
            parent.recv()
        except EOFError:
            print("the worker has closed its end")
        process.join()
        print(process.exitcode)
"""

A_CHAIN_OF_STAGES = """
    from multiprocessing import Pipe, Process, set_start_method

    def stage(source, sink, factor):
        with source, sink:
            try:
                while True:
                    sink.send(source.recv() * factor)
            except EOFError:
                pass

    if __name__ == "__main__":
        set_start_method(METHOD)
        first_in, first_out = Pipe(duplex=False)
        middle_in, middle_out = Pipe(duplex=False)
        last_in, last_out = Pipe(duplex=False)
        stages = [
            Process(target=stage, args=(first_in, middle_out, 2)),
            Process(target=stage, args=(middle_in, last_out, 5)),
        ]
        for text in ("ab", [1, 2], 7):
            first_out.send(text)
        for each in stages:
            each.start()
        print([last_in.recv() for _ in range(3)])
        for each in stages:
            each.terminate()
            each.join()
        print(first_out.writable, first_out.readable, last_in.closed)
"""

EVERY_READY_CONNECTION = """
    import multiprocessing
    from multiprocessing.connection import wait

    def count(conn, name, up_to):
        for i in range(up_to):
            conn.send((name, i))
        conn.close()

    if __name__ == "__main__":
        context = multiprocessing.get_context(METHOD)
        readers, processes = [], []
        for number in range(4):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=count, args=(writer, f"p{number}", number * 3))
            process.start()
            writer.close()
            readers.append(reader)
            processes.append(process)
        got = []
        while readers:
            for reader in wait(readers):
                try:
                    got.append(reader.recv())
                except EOFError:
                    readers.remove(reader)
        print(sorted(got))
        sentinels = [process.sentinel for process in processes]
        while len(wait(sentinels, timeout=10)) < 4:
            pass
        print([process.exitcode for process in processes if process.join() is None])
"""

# --- listeners ---

A_SERVER_AND_ITS_CLIENTS = """
    import array
    from multiprocessing import Process, Pipe, set_start_method
    from multiprocessing.connection import Client, Listener

    def serve(ready):
        with Listener(("localhost", 0), authkey=b"secret password") as listener:
            ready.send(listener.address)
            with listener.accept() as conn:
                print("accepted from", listener.last_accepted[0], flush=True)
                conn.send([2.25, None, "junk", float])
                conn.send_bytes(b"hello")
                conn.send_bytes(array.array("i", [42, 1729]))

    if __name__ == "__main__":
        set_start_method(METHOD)
        ready, tell = Pipe(False)
        server = Process(target=serve, args=(tell,))
        server.start()
        with Client(ready.recv(), authkey=b"secret password") as conn:
            print(conn.recv())
            print(conn.recv_bytes())
            arr = array.array("i", [0, 0, 0, 0, 0])
            print(conn.recv_bytes_into(arr))
            print(arr)
        server.join()
"""

WHO_HAS_ANOTHER_KEY = """
    import os, tempfile
    from multiprocessing import AuthenticationError, Process, set_start_method
    from multiprocessing.connection import Client, Listener

    def come(path, key):
        try:
            with Client(path, "AF_UNIX", authkey=key) as conn:
                conn.send(key)
        except AuthenticationError:
            raise SystemExit(3)

    if __name__ == "__main__":
        set_start_method(METHOD)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            with Listener(path, authkey=b"right") as listener:
                for key in (b"right", b"wrong", b"right"):
                    client = Process(target=come, args=(path, key))
                    client.start()
                    try:
                        with listener.accept() as conn:
                            print(conn.recv())
                    except AuthenticationError:
                        print("AuthenticationError")
                    client.join()
                    print(client.exitcode)
            print(os.listdir(folder))
"""

AN_ECHO_SERVER_OF_THREADS = """
    import threading
    from multiprocessing import Process, set_start_method
    from multiprocessing.connection import Client, Listener

    def echo(conn):
        try:
            while True:
                conn.send(conn.recv())
        except EOFError:
            conn.close()

    def ask(address, word):
        with Client(address, authkey=b"key") as conn:
            for i in range(50):
                conn.send((word, i))
                assert conn.recv() == (word, i)

    if __name__ == "__main__":
        set_start_method(METHOD)
        listener = Listener(authkey=b"key", backlog=5)
        clients = [Process(target=ask, args=(listener.address, w)) for w in ("a", "b", "c")]
        for client in clients:
            client.start()
        threads = [threading.Thread(target=echo, args=(listener.accept(),)) for _ in clients]
        for thread in threads:
            thread.start()
        for each in clients + threads:
            each.join()
        print([client.exitcode for client in clients])
        listener.close()
        try:
            listener.accept()
        except OSError as error:
            print(type(error).__name__)
"""

# --- connections and sockets that travel ---

A_CONNECTION_THROUGH_A_CONNECTION = """
    import multiprocessing as mp

    def helper(control):
        while True:
            conn = control.recv()
            if conn is None:
                return
            with conn:
                conn.send("answered")

    if __name__ == "__main__":
        mp.set_start_method(METHOD)
        control, there = mp.Pipe()
        process = mp.Process(target=helper, args=(there,))
        process.start()
        for _ in range(3):
            mine, theirs = mp.Pipe()
            control.send(theirs)
            theirs.close()
            print(mine.recv())
        control.send(None)
        process.join()
"""

A_SERVER_THAT_HANDS_SOCKETS_TO_WORKERS = """
    import multiprocessing, socket

    def worker(queue):
        while True:
            sock = queue.get()
            if sock is None:
                return
            with sock:
                data = sock.recv(100)
                sock.sendall(data.upper())

    if __name__ == "__main__":
        context = multiprocessing.get_context(METHOD)
        queue = context.Queue()
        workers = [context.Process(target=worker, args=(queue,)) for _ in range(2)]
        for each in workers:
            each.start()
        server = socket.create_server(("localhost", 0))
        for word in (b"one", b"two", b"three"):
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
            queue.put(accepted)
            client.sendall(word)
            print(client.recv(100))
            client.close()
            accepted.close()
        for _ in workers:
            queue.put(None)
        for each in workers:
            each.join()
        server.close()
"""

A_FILE_FOR_A_CHILD = """
    import os, tempfile
    from multiprocessing import Pipe, Process, reduction, set_start_method

    def write(conn):
        fd = reduction.recv_handle(conn)
        with os.fdopen(fd, "w") as file:
            file.write("by the child")

    if __name__ == "__main__":
        set_start_method(METHOD)
        here, there = Pipe()
        child = Process(target=write, args=(there,))
        child.start()
        with tempfile.TemporaryFile("w+") as file:
            reduction.send_handle(here, file.fileno(), child.pid)
            child.join()
            file.seek(0)
            print(file.read(), child.exitcode)
"""

PROGRAMS = {
    name.lower(): text
    for name, text in list(globals().items())
    if name.isupper() and isinstance(text, str)
}


@pytest.mark.parametrize("method", forkful.get_all_start_methods())
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_prints_the_same(name, method, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAMS[name]).replace("METHOD", repr(method)))
    ours = run([str(Path(sys.executable).with_name("forkful")), "run", str(script)])
    standard = run([sys.executable, str(script)])
    assert standard.returncode == 0, standard.stderr
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, standard.stdout, standard.stderr)
