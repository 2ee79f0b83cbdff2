// Finding the line of a program that makes an object: a walk up the stack, past forkful's frames.
//
// Called once for each object that is made. GIL: held; no code runs but a frame's own bookkeeping.
#include "label.hpp"

#include <cstring>
#include <string_view>

#include "ref.hpp"

namespace forkful::python {
namespace {

using Frame = PyFrameObject;

PyObject* as_object(Frame* frame) { return reinterpret_cast<PyObject*>(frame); }

// Whether it runs code of a module of ours.
bool is_ours(Frame* frame) {
  const Ref globals(PyFrame_GetGlobals(frame));
  // A borrowed reference, which the frame's globals keep. What has no name is not ours: exec() with
  // globals of its own.
  PyObject* module = PyDict_GetItemString(globals.get(), "__name__");
  if (module == nullptr || !PyUnicode_Check(module)) return false;
  const char* name = PyUnicode_AsUTF8(module);
  constexpr std::string_view kPackage = "forkful";
  if (name == nullptr) {
    PyErr_Clear();
    return false;
  }
  const std::string_view text(name);
  return text.starts_with(kPackage) &&
         (text.size() == kPackage.size() || text[kPackage.size()] == '.');
}

// Why no error: an object is made all the same where nobody can say where.
Label place_of(Frame* frame) {
  const Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  const Ref file(PyObject_GetAttrString(code.get(), "co_filename"));
  const char* name = file ? PyUnicode_AsUTF8(file.get()) : nullptr;
  if (name == nullptr) {
    PyErr_Clear();
    return {};
  }
  const int line = PyFrame_GetLineNumber(frame);
  return {std::string_view(name), static_cast<std::uint_least32_t>(line > 0 ? line : 0)};
}

}  // namespace

bool parse_label(PyObject* name, Label& label) {
  if (name != nullptr && name != Py_None) {
    if (!PyUnicode_Check(name)) {
      PyErr_Format(PyExc_TypeError, "name must be a str or None, not %.100s",
                   Py_TYPE(name)->tp_name);
      return false;
    }
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(name, &size);
    if (text == nullptr) return false;
    label = Label(std::string_view(text, static_cast<std::size_t>(size)));
    return true;
  }
  // Null where no Python code runs, and when all of the stack is ours: then there is no label.
  Ref frame = Ref::borrow(as_object(PyEval_GetFrame()));
  while (frame && is_ours(reinterpret_cast<Frame*>(frame.get()))) {
    frame = Ref(as_object(PyFrame_GetBack(reinterpret_cast<Frame*>(frame.get()))));
  }
  label = frame ? place_of(reinterpret_cast<Frame*>(frame.get())) : Label();
  return true;
}

}  // namespace forkful::python
