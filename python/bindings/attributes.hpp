// Looking up attributes that may not be there.
#pragma once

#include <string_view>

#include "core.hpp"

namespace forkful::python {

// Null in `into` where there is none; false with an exception set where looking raised another one.
inline bool optional_attribute(PyObject* object, PyObject* name, Ref& into) {
  PyObject* found = nullptr;
#if PY_VERSION_HEX >= 0x030d0000
  const int how = PyObject_GetOptionalAttr(object, name, &found);
#else
  const int how = _PyObject_LookupAttr(object, name, &found);
#endif
  into = Ref(found);
  return how >= 0;
}

inline bool optional_attribute(PyObject* object, const char* name, Ref& into) {
  const Ref text(PyUnicode_InternFromString(name));
  return text && optional_attribute(object, text.get(), into);
}

// Goes from `from` by a dotted path; null where that leads nowhere. False with an exception set.
inline bool follow_path(std::string_view path, Ref& from) {
  while (from) {
    const std::size_t dot = path.find('.');
    const std::string_view step = path.substr(0, dot);
    const Ref name(PyUnicode_FromStringAndSize(step.data(), static_cast<Py_ssize_t>(step.size())));
    Ref next;
    if (!name || !optional_attribute(from.get(), name.get(), next)) return false;
    from = std::move(next);
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
  }
  return true;
}

}  // namespace forkful::python
