// Classes, functions and constants: each is written out in full once, and then known for a while.
//
// What is known is an item of the message, ready to be copied again. Each object is held meanwhile,
// so that its address is its own. The reader keeps the same objects by the same bytes, and both
// begin anew with each message, or with each chunk of results (forget()).
#include "attributes.hpp"
#include "object_writer.hpp"

namespace forkful::python {
namespace {

// Appends "module, 0, qualified name" when these lead to `object`. `name`: what its __reduce__
// said, or null.
Encoded find_name(PyObject* object, PyObject* name, std::string& into) {
  Ref qualified = Ref::borrow(name);
  Ref module;
  if (!qualified && !optional_attribute(object, "__qualname__", qualified)) return Encoded::failed;
  if (!optional_attribute(object, "__module__", module)) return Encoded::failed;
  if (!qualified || !module || !PyUnicode_Check(qualified.get()) || !PyUnicode_Check(module.get()))
    return Encoded::no;
  Py_ssize_t module_size = 0;
  Py_ssize_t name_size = 0;
  const char* module_text = PyUnicode_AsUTF8AndSize(module.get(), &module_size);
  const char* name_text =
      module_text != nullptr ? PyUnicode_AsUTF8AndSize(qualified.get(), &name_size) : nullptr;
  if (name_text == nullptr) {
    PyErr_Clear();
    return Encoded::no;
  }
  const std::string_view path(name_text, static_cast<std::size_t>(name_size));
  if (MainByValue::is_wanted() && std::strcmp(module_text, "__main__") == 0) return Encoded::no;
  // Imports nothing: an object of a module that is not imported is no object of it. The name has to
  // lead to this very object, or the reader would get another one.
  Ref found(PyImport_GetModule(module.get()));
  if (!found) return PyErr_Occurred() != nullptr ? Encoded::failed : Encoded::no;
  if (!follow_path(path, found)) return Encoded::failed;
  if (found.get() != object) return Encoded::no;
  into.append(module_text, static_cast<std::size_t>(module_size));
  into.push_back('\0');
  into.append(path);
  return Encoded::yes;
}

std::string sized(Tag tag, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string all(1, static_cast<char>(tag));
  all.append(reinterpret_cast<const char*>(&size), sizeof size);
  return all.append(bytes);
}

}  // namespace

// A walk: there are few of them, and mostly it is one of the first. Good until the next learn().
const std::string* ObjectWriter::known(PyObject* object) const {
  for (const Name& each : names_) {
    if (each.object.get() == object) return &each.bytes;
  }
  return nullptr;
}

Encoded ObjectWriter::put_known(const std::string& bytes) {
  std::byte* at = into_->extend(bytes.size());
  if (at == nullptr) return Encoded::failed;
  std::memcpy(at, bytes.data(), bytes.size());
  return Encoded::yes;
}

// All are forgotten at once where they become many, which costs a value of so many classes little.
Encoded ObjectWriter::learn(PyObject* object, std::string bytes) {
  if (names_.size() == kMostNames) names_.clear();
  names_.push_back({Ref::borrow(object), std::move(bytes)});
  return put_known(names_.back().bytes);
}

Encoded ObjectWriter::put_name(PyObject* object, PyObject* name) {
  if (const std::string* bytes = known(object)) return put_known(*bytes);
  std::string found;
  switch (find_name(object, name, found)) {
    case Encoded::yes:
      return learn(object, sized(kGlobal, found));
    case Encoded::failed:
      return Encoded::failed;
    case Encoded::no:
      break;
  }
  // Pickle looks further, and says why where there is no way.
  Ref pickled(pickle(object, parts_->gathered()));
  Py_buffer view{};
  if (!pickled || PyObject_GetBuffer(pickled.get(), &view, PyBUF_SIMPLE) != 0)
    return Encoded::failed;
  found.assign(1, static_cast<char>(kPickle));
  found.append(static_cast<const char*>(view.buf), static_cast<std::size_t>(view.len));
  PyBuffer_Release(&view);
  return learn(object, sized(kConstant, found));
}

// One of numpy's own types of numbers never changes. no: it is none of these.
Encoded ObjectWriter::put_constant(PyObject* object) {
  if (const std::string* bytes = known(object)) return put_known(*bytes);
  Ref builtin;
  if (!optional_attribute(object, "isbuiltin", builtin)) return Encoded::failed;
  if (!builtin || !PyLong_Check(builtin.get()) || PyLong_AsLong(builtin.get()) != 1)
    return Encoded::no;
  // With a writer and parts of its own, since its bytes are kept: they must name no object of this
  // message by its number, and refer to no memory outside.
  Parts parts;
  ObjectWriter writer;
  Ref reduced(reduce(object));
  if (!reduced) return Encoded::failed;
  if (!put_tag(parts.head(), kObject)) return Encoded::failed;
  const Encoded how = writer.write_reduced(object, reduced.get(), parts);
  if (how != Encoded::yes) return how;
  if (parts.span().size() != 1) return Encoded::no;
  const bytes::Bytes all = parts.span()[0];
  return learn(object, sized(kConstant, {reinterpret_cast<const char*>(all.data()), all.size()}));
}

}  // namespace forkful::python
