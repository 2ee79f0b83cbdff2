"""SharedMemoryManager: its blocks are there for everybody, and go with it."""

from __future__ import annotations

import pytest
from forkful.managers import SharedMemoryManager
from forkful.shared_memory import ShareableList, SharedMemory
from helpers import await_condition, no_new_files, runs, shared_memory_files, start_python


@pytest.fixture
def manager(context):
    with SharedMemoryManager(ctx=context) as manager:
        yield manager


def fill(name):
    memory = SharedMemory(name)
    memory.buf[:3] = b"abc"
    memory.close()


def test_blocks_go_when_the_manager_shuts_down(context):
    with SharedMemoryManager(ctx=context) as manager:
        block, items = manager.SharedMemory(100), manager.ShareableList([1, "two", None])
        child = context.Process(target=fill, args=(block.name,))
        child.start()
        child.join()
        assert bytes(block.buf[:3]) == b"abc" and block.size >= 100
        assert list(ShareableList(name=items.shm.name)) == [1, "two", None]
        assert sorted(manager._ask("list_segments")) == sorted([block.name, items.shm.name])
    for name in (block.name, items.shm.name):
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)
    block.close()
    items.shm.close()


def test_a_block_can_be_given_back_earlier(manager):
    block = manager.SharedMemory(size=10)
    manager._ask("release_segment", block.name)
    assert manager._ask("list_segments") == []
    with pytest.raises(FileNotFoundError):
        SharedMemory(block.name)
    block.close()


def test_a_block_that_somebody_has_unlinked_keeps_no_other(context):
    with SharedMemoryManager(ctx=context) as manager:
        first, second = manager.SharedMemory(10), manager.SharedMemory(10)
        first.unlink()
        first.close()
        second.close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(second.name)


def test_nothing_is_made_that_no_server_would_unlink(context):
    before = shared_memory_files()
    manager = SharedMemoryManager(ctx=context)
    for make in (lambda: manager.SharedMemory(10), lambda: manager.ShareableList([1])):
        with pytest.raises(ValueError, match="has no server: call start"):
            make()
    manager.start()
    with pytest.raises(ValueError, match="size"):
        manager.SharedMemory(0)
    manager._process.kill()
    manager._process.join()
    with pytest.raises(ConnectionError):
        manager.SharedMemory(10)
    manager.shutdown()
    assert no_new_files(before)


def test_blocks_go_with_a_family_that_is_killed():
    program = """
        import signal
        from forkful.managers import SharedMemoryManager
        manager = SharedMemoryManager()
        manager.start()
        print(manager.SharedMemory(10).name, manager._process.pid, flush=True)
        signal.pause()
    """
    with start_python(program) as owner:
        name, server = owner.stdout.readline().split()
        owner.kill()
        owner.wait()
        await_condition(lambda: not runs(int(server)))
        await_condition(lambda: name not in shared_memory_files())
