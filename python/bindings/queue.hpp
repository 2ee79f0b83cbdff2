// A queue as an object of Python, for the other files of the bindings that use one.
#pragma once

#include <forkful/bytes/queue.hpp>

#include "core.hpp"

namespace forkful::python {

// The ends of a queue, as far as they are closed.
enum Ends : unsigned char { kReading = 1, kWriting = 2, kBoth = 3 };

// Begins as every Wrapped<ByteQueue>, so that its functions serve for both. New objects are zeroed:
// open, not used and not strict, until __init__() says otherwise.
struct QueueObject {
  Wrapped<bytes::ByteQueue> shared;
  unsigned char closed;  // Ends, in this process, by this object: a copy that has travelled is open
  bool used;             // an item was put by this object
  bool strict;           // put() raises what pickling raises
  PyObject* on_empty;    // called when get() has taken the last item; or nullptr
};

inline QueueObject* queue_of(PyObject* self) { return reinterpret_cast<QueueObject*>(self); }
// Throws PythonError: __init__() has not run.
inline bytes::ByteQueue& ring_of(PyObject* self) { return Wrapped<bytes::ByteQueue>::of(self); }

// The engine's queue of a Queue or SimpleQueue. Throws PythonError: it is none, or its __init__()
// has not run.
bytes::ByteQueue& queue_argument(PyObject* object);
// Another object for the same queue, which was not pickled and so is not pinned. Throws likewise.
PyObject* twin_of(PyObject* queue);
// Sets what a pipe raises of which an end was closed.
PyObject* raise_closed_handle(PyObject* queue);

}  // namespace forkful::python
