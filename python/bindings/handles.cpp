#include "handles.hpp"

#include <utility>

namespace forkful::python {
namespace {

// Null: no message is being written by this thread, and a pickle is one made by hand.
thread_local std::vector<bytes::Shared>* t_gathered = nullptr;

}  // namespace

Gathering::Gathering(std::vector<bytes::Shared>& into) : outer_(std::exchange(t_gathered, &into)) {}
Gathering::~Gathering() { t_gathered = outer_; }

PyObject* id_of(const bytes::Shared& handle) {
  const auto id = handle.id();
  if (t_gathered != nullptr) {
    t_gathered->push_back(handle);
  } else {
    handle.pin();
  }
  return Py_BuildValue("KKK", static_cast<unsigned long long>(id.family),
                       static_cast<unsigned long long>(id.offset),
                       static_cast<unsigned long long>(id.serial));
}

// Any three numbers are taken: adopting them is what finds out whether they name anything.
bool parse_id(PyObject* state, bytes::Shared::Id& id) {
  unsigned long long family = 0;
  unsigned long long offset = 0;
  unsigned long long serial = 0;
  if (!PyArg_Parse(state, "(KKK):__setstate__", &family, &offset, &serial)) return false;
  id = {family, offset, serial};
  return true;
}

}  // namespace forkful::python
