// Python exceptions: the ones of this module, C++ exceptions turned into them, and taking the one
// that is set.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <exception>
#include <string>
#include <utility>

#include "ref.hpp"

namespace forkful::python {

// Thrown where a Python exception is set already.
class PythonError : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "a Python exception is set"; }
};

// Sets the Python exception for the C++ one in flight; returns nullptr. Called in a catch only.
PyObject* raise_current();

// Calls `body()`, which returns a new reference or nullptr, turning C++ exceptions into Python's.
template <class Body>
PyObject* guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return raise_current();
  }
}

// tp_init around a `body()` that returns true, or false with an exception set.
template <class Body>
int guarded_init(Body&& body) noexcept {
  try {
    return body() ? 0 : -1;
  } catch (...) {
    raise_current();
    return -1;
  }
}

// Takes the exception that is set, as an object with its traceback; none is set afterwards.
Ref take_error();
// Sets what take_error() has taken, in place of any that is set now. Requires: it is one, not null.
void give_back_error(Ref error);
// Adds a line to the exception that is set, which its traceback ends with. Requires: one is set.
void add_note(const std::string& text);
// The exception that is set, in words, and none is set any more.
std::string take_text();

// Takes the exception that is set, if any, and sets it again when it goes: whatever is called
// meanwhile may raise and be caught.
class ErrorKept {
 public:
  ErrorKept() : error_(PyErr_Occurred() != nullptr ? take_error() : Ref()) {}
  ~ErrorKept() {
    if (error_) give_back_error(std::move(error_));
  }
  ErrorKept(const ErrorKept&) = delete;
  ErrorKept& operator=(const ErrorKept&) = delete;

 private:
  Ref error_;
};

// Exceptions that are also Python's, made by add_errors().
extern PyObject* g_lock_owner_died;
extern PyObject* g_shut_down;
extern PyObject* g_layout_mismatch;
extern PyObject* g_timeout_error;
// Raises queue.Empty or queue.Full; returns nullptr. That module is imported for it, as
// forkful.queues has done already: to import it with this one would cost every program half a
// millisecond.
PyObject* raise_of_queue(const char* name);

bool add_errors(PyObject* module);

}  // namespace forkful::python
