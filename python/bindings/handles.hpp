// Handles on their way to a relative, as names in a pickle.
//
// A pickle that travels as a message or a task is held together with what it names: encoding
// gathers that (Gathering), and the message has a share in it until its receiver has adopted the
// names. A pickle that somebody makes by hand may lie anywhere and be read at any time, so what it
// names is pinned and lives until the family ends.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <forkful/bytes/shared.hpp>
#include <vector>

namespace forkful::python {

// While it lives, what this thread's pickles name is gathered in `into`. They nest: pickling may
// run code that sends a message of its own.
//
// Threads: each has its own.
class Gathering {
 public:
  explicit Gathering(std::vector<bytes::Shared>& into);
  ~Gathering();
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

 private:
  std::vector<bytes::Shared>* outer_;
};

// (family, offset, serial), for the pickle of a handle. Throws: as Shared::name().
PyObject* id_of(const bytes::Shared& handle);
// The words of such a tuple; false with an exception set.
bool parse_id(PyObject* state, bytes::Shared::Id& id);

}  // namespace forkful::python
