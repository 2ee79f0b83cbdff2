"""What a context makes: the table of factories."""

# A factory is declared by its signature and its docstring, and has no body.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from forkful import connection, managers, pool, queues, synchronize
    from forkful._types import ArrayFactory, RawArrayFactory, RawValueFactory, ValueFactory

    _F = TypeVar("_F", bound=Callable[..., Any])

__all__ = ["Factories"]


def _check_call(
    declared: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise TypeError where a factory was called otherwise than it is declared.

    What Python says of that itself counts the context among the arguments of the call.
    """
    import inspect

    signature = inspect.signature(declared)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        plain = [
            each.replace(annotation=each.empty) for each in list(signature.parameters.values())[1:]
        ]
        name = declared.__name__
        raise TypeError(f"{name}(): {error}; it is {name}{inspect.Signature(plain)}") from None


def _made_in(module: str, context: str | None = "ctx") -> Callable[[_F], _F]:
    """A factory: calls what has its name in a module of ours, which is imported only then.

    Args:
        module: Where its class, or function, is.
        context: The keyword by which that is told of the context; None: it is not.
    """

    def decorate(declared: _F) -> _F:
        name = declared.__name__

        def make(self: Factories, *args: Any, **kwargs: Any) -> Any:
            made = getattr(__import__(module, fromlist=(name,)), name)
            try:
                if context is None:
                    return made(*args, **kwargs)
                return made(*args, **{context: self.get_context()}, **kwargs)
            except TypeError:
                _check_call(declared, (self, *args), kwargs)
                raise

        for attribute in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
            setattr(make, attribute, getattr(declared, attribute))
        make.__wrapped__ = declared  # type: ignore[attr-defined]
        return make  # type: ignore[return-value]

    return decorate


class Factories:
    """The factories of a context, which each makes what it is named after for the context."""

    def get_context(self, method: str | None = None) -> Any:
        """The context that these are the factories of.

        Raises:
            NotImplementedError: This is none.
        """
        raise NotImplementedError("these are the factories of a context, and not of this object")

    @_made_in("forkful.synchronize")
    def Lock(self, *, policy: str = "raise", name: str | None = None) -> synchronize.Lock:
        """A lock between processes: `with lock: …`, or acquire(timeout=seconds).

        A waiter whose lock's owner has died gets LockOwnerDied, and does not hold the lock; it
        calls recover() to have it. policy="recover" hands it over, "block" waits for ever, as
        multiprocessing does. name is what views of the family call it, by default the line of the
        program that makes it.

        Raises:
            ValueError: No such policy.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def RLock(self, *, policy: str = "raise", name: str | None = None) -> synchronize.RLock:
        """A lock that its thread may acquire again; otherwise as Lock().

        Raises:
            ValueError: No such policy.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Semaphore(self, value: int = 1, *, name: str | None = None) -> synchronize.Semaphore:
        """A counter of permits: acquire() takes one, release() gives one back.

        Raises:
            ValueError: value is less than 0, or more than 2**31 - 1.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def BoundedSemaphore(
        self, value: int = 1, *, name: str | None = None
    ) -> synchronize.BoundedSemaphore:
        """A Semaphore whose release() raises ValueError beyond its first value.

        Raises:
            ValueError: value is less than 0, or more than 2**31 - 1.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Event(self, *, name: str | None = None) -> synchronize.Event:
        """A flag to wait for: set(), clear(), is_set(), wait(timeout=None).

        wait() returns whether the flag is set; False means that `timeout` seconds have passed.

        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Condition(self, lock: Any = None, *, name: str | None = None) -> synchronize.Condition:
        """A place to wait for a notification, with a lock that is given away meanwhile.

            with condition:
                condition.wait_for(lambda: total.value > 9)

        help(forkful.synchronize.Condition) has its methods.

        Args:
            lock: A Lock or an RLock; by default an RLock of its own.
            name: As for Lock().
        Raises:
            TypeError: A lock of threading: processes would not exclude each other by it.
            AttributeError: `lock` is no lock.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Barrier(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        name: str | None = None,
    ) -> synchronize.Barrier:
        """A place where a number of processes or threads meet: wait() returns when all are there.

        Where a party comes too late, is interrupted, or dies while it waits, all others get
        threading.BrokenBarrierError.

        Args:
            parties: How many have to come.
            action: Called by the last one to come, before anybody goes on.
            timeout: How many seconds wait() waits at most, where it does not say so itself.
            name: As for Lock().
        Raises:
            ValueError: parties is less than 1, or more than 2**22.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def Queue(
        self, maxsize: int = 0, *, strict: bool = False, name: str | None = None
    ) -> queues.Queue[Any]:
        """A queue for any number of senders and receivers; see forkful.queues.Queue.

        put() has the item in the queue when it returns. get() waits for one; with a timeout, in
        seconds, it raises queue.Empty, and put() queue.Full, with nothing changed.

        Args:
            maxsize: The most items at a time; 0: as many as memory allows.
            strict: put() raises for an object that cannot be pickled, instead of printing that.
            name: As for Lock().
        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def JoinableQueue(
        self, maxsize: int = 0, *, strict: bool = False, name: str | None = None
    ) -> queues.JoinableQueue[Any]:
        """A Queue that knows which of its items are done with: task_done(), and join().

        Args: As for Queue().
        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def SimpleQueue(self, *, name: str | None = None) -> queues.SimpleQueue[Any]:
        """A queue with put(), get(), empty() and close() only, without a bound.

        Raises:
            OSError: The family has no memory left.
        """

    if TYPE_CHECKING:
        Value: ValueFactory
        RawValue: RawValueFactory
        Array: ArrayFactory
        RawArray: RawArrayFactory
    else:

        @_made_in("forkful.sharedctypes")
        def Value(self, typecode_or_type, *args, lock=True, name=None):
            """A number that processes share: .value, and `with number.get_lock():` to change it.

            Args:
                typecode_or_type: "i" (int), "d" (double), … as in the array module, or a ctypes
                    type.
                args: The initial value, by default 0.
                lock: True: a new RLock. False: none, as RawValue(). Or the lock to use.
                name: As for Lock().
            Raises:
                TypeError: No such type, or an initial value that is none of it.
                AttributeError: `lock` is no lock.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes", context=None)
        def RawValue(self, typecode_or_type, *args, name=None):
            """A number that processes share, without a lock: a ctypes object in shared memory.

            Args: As for Value().
            Raises:
                TypeError: No such type, or an initial value that is none of it.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes")
        def Array(self, typecode_or_type, size_or_initializer, *, lock=True, name=None):
            """An array that processes share: a[i], and `with a.get_lock():` to change it.

            Args:
                typecode_or_type: The type of the elements, as for Value().
                size_or_initializer: How many elements, all 0, or a sequence of their values.
                lock: True: a new RLock. False: none, as RawArray(). Or the lock to use.
                name: As for Lock().
            Raises:
                TypeError: No such type, or a value that is none of it.
                ValueError: size_or_initializer is less than 0.
                AttributeError: `lock` is no lock.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes", context=None)
        def RawArray(self, typecode_or_type, size_or_initializer, *, name=None):
            """An array that processes share, without a lock: a ctypes array in shared memory.

            Args: As for Array().
            Raises:
                TypeError: No such type, or a value that is none of it.
                ValueError: size_or_initializer is less than 0.
                OSError: The family has no memory left.
            """

    @_made_in("forkful.connection", context=None)
    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]:
        """Two connections, each of which receives what the other sends: send(), recv(), poll().

        They can be sent to other processes. When the last process that has one of them closes it,
        or has ended, the other's recv() raises EOFError and its send() BrokenPipeError.

        Args:
            duplex: False: the first can only receive, and the second only send.
        Raises:
            OSError: The system has no room for them.
        """

    @_made_in("forkful.pool", context="context")
    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> pool.Pool:
        """A pool of worker processes; help(forkful.pool.Pool) has its methods.

            with forkful.Pool(4) as pool:
                print(pool.map(square, range(10)))

        map(), starmap() and apply() wait for their results, the ones with _async return an
        AsyncResult, imap() and imap_unordered() an iterator. What a function raises, its caller
        gets. Where a worker is killed, its item raises WorkerDied and all others are run; where
        workers die at their start again and again, calls raise BrokenProcessPool.

        Args:
            processes: How many; by default as many as there are CPUs for this process.
            initializer: Called in each worker before its first task, with `initargs`.
            maxtasksperchild: Replace a worker after so many tasks (chunks).
        Raises:
            ValueError: processes or maxtasksperchild is less than 1.
            TypeError: initializer cannot be called.
            OSError: The system has no room for a worker; those that had started are ended.
        """

    @_made_in("forkful.managers")
    def Manager(self) -> managers.SyncManager:
        """A manager whose server process runs: it makes dicts, lists, queues and so on.

            with forkful.Manager() as manager:
                counts = manager.dict()

        What it makes can be sent to any process, and used there. The server ends with the manager,
        or with the process that has it.

        Raises:
            EOFError: The server's process has ended before it served.
            OSError: The system has no room for a process.
        """
