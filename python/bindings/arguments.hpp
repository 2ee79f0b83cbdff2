// What a method is called with, and the deadline in it: one parser for all methods that wait.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <chrono>
#include <forkful/wait.hpp>
#include <span>

#include "ref.hpp"

namespace forkful::python {

// The arguments of a METH_FASTCALL | METH_KEYWORDS call by the names that they may have, in order;
// those that are not given keep their value. False with a TypeError set for others.
bool parse_arguments(const char* function, std::span<const char* const> names,
                     PyObject* const* args, Py_ssize_t count, PyObject* keywords,
                     PyObject** values);

// The deadline that Python's (block, timeout) say, either of which may be nullptr; false with an
// exception set where timeout is no number.
bool to_deadline(PyObject* block, PyObject* timeout, Deadline& deadline);

// A limit in seconds, 0 or more; without one, or beyond what can be counted, kNoLimit. False with
// an exception set where it is no such number.
inline constexpr std::chrono::nanoseconds kNoLimit = std::chrono::nanoseconds::max();
bool to_limit(PyObject* timeout, std::chrono::nanoseconds& limit);

// The arguments of a call, as a tuple; null with a TypeError set.
Ref to_tuple(PyObject* args);
// Those by name, as a dict of their own; null with a TypeError set.
Ref to_dict(PyObject* named);

// f(block=True, timeout=None)
bool parse_block_and_timeout(const char* function, PyObject* const* args, Py_ssize_t count,
                             PyObject* keywords, Deadline& deadline);
// f(timeout=None)
bool parse_timeout(const char* function, PyObject* const* args, Py_ssize_t count,
                   PyObject* keywords, Deadline& deadline);

}  // namespace forkful::python
