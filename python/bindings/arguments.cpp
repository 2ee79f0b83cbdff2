// Arguments of methods that wait, which programs call in loops: they come as they lie on the stack
// of the interpreter (METH_FASTCALL), and no tuple or dict is made of them.
//
// References: the values are borrowed from the caller, who has them until the method returns.
// Code of others may run where a number is asked for (__float__, __bool__), before anything else
// has been done.
#include "arguments.hpp"

#include <chrono>
#include <cmath>

namespace forkful::python {
namespace {

// The place of `keyword` in `names`, or their number.
// By comparing in turn: there are three names at most.
std::size_t place_of(PyObject* keyword, std::span<const char* const> names) {
  std::size_t place = 0;
  while (place < names.size() && PyUnicode_CompareWithASCIIString(keyword, names[place]) != 0) {
    ++place;
  }
  return place;
}

// Whether it says how it becomes a float. A str does not, nor does a timedelta.
bool is_number(PyObject* object) {
  const PyNumberMethods* methods = Py_TYPE(object)->tp_as_number;
  return PyIndex_Check(object) != 0 || (methods != nullptr && methods->nb_float != nullptr);
}

// False with an exception set where it is no number, or its own conversion has raised that.
bool to_seconds(PyObject* timeout, double& seconds) {
  seconds = PyFloat_AsDouble(timeout);
  if (seconds == -1.0 && PyErr_Occurred()) {
    if (!is_number(timeout)) {
      PyErr_Format(PyExc_TypeError, "timeout must be a number of seconds or None, not %.100s",
                   Py_TYPE(timeout)->tp_name);
    }
    return false;
  }
  if (!std::isnan(seconds)) return true;
  PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds, not nan");
  return false;
}

// Requires: not below zero. What an integer has no room for must not be converted to it.
std::chrono::nanoseconds in_nanoseconds(double seconds) {
  // About 285 years: what still fits into 64 bits of nanoseconds.
  constexpr double kMostSeconds = 9e9;
  if (seconds > kMostSeconds) return kNoLimit;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace

bool parse_arguments(const char* function, std::span<const char* const> names,
                     PyObject* const* args, Py_ssize_t count, PyObject* keywords,
                     PyObject** values) {
  const auto given = static_cast<std::size_t>(count);
  if (given > names.size()) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %zu arguments (%zd given)", function,
                 names.size(), count);
    return false;
  }
  for (std::size_t i = 0; i < given; ++i) values[i] = args[i];
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    const std::size_t place = place_of(keyword, names);
    if (place == names.size()) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function,
                   keyword);
      return false;
    }
    if (place < given) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", function,
                   keyword);
      return false;
    }
    values[place] = args[count + i];
  }
  return true;
}

// As the standard library has it: where it does not block, a time-out is not even looked at; one of
// 0 or less only tries.
bool to_deadline(PyObject* block, PyObject* timeout, Deadline& deadline) {
  deadline = Deadline::never();
  if (block != nullptr && block != Py_True) {
    const int blocks = PyObject_IsTrue(block);
    if (blocks < 0) return false;
    if (blocks == 0) {
      deadline = Deadline::poll();
      return true;
    }
  }
  if (timeout == nullptr || timeout == Py_None) return true;
  double seconds = 0;
  if (!to_seconds(timeout, seconds)) return false;
  if (seconds <= 0) {
    deadline = Deadline::poll();
    return true;
  }
  const std::chrono::nanoseconds time = in_nanoseconds(seconds);
  deadline = time == kNoLimit ? Deadline::never() : Deadline::in(time);
  return true;
}

// Of a task, which nobody can run in less than no time: below 0 is a mistake here.
bool to_limit(PyObject* timeout, std::chrono::nanoseconds& limit) {
  limit = kNoLimit;
  if (timeout == nullptr || timeout == Py_None) return true;
  double seconds = 0;
  if (!to_seconds(timeout, seconds)) return false;
  if (seconds < 0) {
    PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds, 0 or more");
    return false;
  }
  limit = in_nanoseconds(seconds);
  return true;
}

// Mostly the mistake is args=(x), which is no tuple: the message says how one is written.
Ref to_tuple(PyObject* args) {
  if (Py_TYPE(args)->tp_iter == nullptr && PySequence_Check(args) == 0) {
    PyErr_Format(PyExc_TypeError,
                 "args must be a tuple or another iterable, not %R: one argument is written (%R,)",
                 args, args);
    return {};
  }
  return Ref(PySequence_Tuple(args));
}

Ref to_dict(PyObject* named) {
  Ref dict(PyDict_New());
  if (dict && !PyDict_Check(named) && PyObject_HasAttrString(named, "keys") == 0) {
    PyErr_Format(PyExc_TypeError, "kwds must be a dict or another mapping, not %R", named);
    return {};
  }
  return dict && PyDict_Update(dict.get(), named) == 0 ? std::move(dict) : Ref();
}

bool parse_block_and_timeout(const char* function, PyObject* const* args, Py_ssize_t count,
                             PyObject* keywords, Deadline& deadline) {
  // As nearly every call is: with nothing, or with a word for whether to wait.
  if (keywords == nullptr && (count == 0 || (count == 1 && PyBool_Check(args[0]) != 0))) {
    deadline = count == 0 || args[0] == Py_True ? Deadline::never() : Deadline::poll();
    return true;
  }
  static constexpr const char* kNames[] = {"block", "timeout"};
  PyObject* values[2] = {};
  return parse_arguments(function, kNames, args, count, keywords, values) &&
         to_deadline(values[0], values[1], deadline);
}

bool parse_timeout(const char* function, PyObject* const* args, Py_ssize_t count,
                   PyObject* keywords, Deadline& deadline) {
  static constexpr const char* kNames[] = {"timeout"};
  PyObject* timeout = nullptr;
  return parse_arguments(function, kNames, args, count, keywords, &timeout) &&
         to_deadline(nullptr, timeout, deadline);
}

}  // namespace forkful::python
