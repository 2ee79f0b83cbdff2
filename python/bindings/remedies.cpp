#include "remedies.hpp"

namespace forkful::python {

// Why not str(): that may run code of the program's.
std::string_view text_of(PyObject* error) {
  PyObject* args = reinterpret_cast<PyBaseExceptionObject*>(error)->args;
  if (args == nullptr || PyTuple_GET_SIZE(args) == 0) return {};
  PyObject* text = PyTuple_GET_ITEM(args, 0);
  if (!PyUnicode_CheckExact(text)) return {};
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) PyErr_Clear();
  return data == nullptr ? std::string_view{}
                         : std::string_view(data, static_cast<std::size_t>(size));
}

namespace {

using namespace std::string_view_literals;

// What is not there, and where it has to be. A child has what its main module defines for every
// process, and a forked one what its parent had by then.
constexpr const char kWhereDefined[] =
    "this process has no such function or class: define it at the top level of a module, in the "
    "main module above `if __name__ == '__main__':`, and before the pool or process that uses it "
    "is made";
constexpr const char kLocks[] =
    "give forkful's locks and queues in place of those of threading and queue";
constexpr const char kOpenThere[] = "give the path of the file, and open it there";
constexpr const char kAsList[] = "give list() of it";

// The beginning of a type's name in the text of an exception. Of the first one that fits.
struct Remedy {
  std::string_view type;
  const char* text;
};
constexpr Remedy kRemedies[] = {
    {"_thread.lock'", kLocks},
    {"_thread.RLock'", kLocks},
    {"_queue.SimpleQueue'", kLocks},
    {"_io.", kOpenThere},
    {"TextIOWrapper'", kOpenThere},  // from Python 3.12 on
    {"BufferedReader'", kOpenThere},
    {"BufferedWriter'", kOpenThere},
    {"BufferedRandom'", kOpenThere},
    {"FileIO'", kOpenThere},
    {"generator'", kAsList},
    {"dict_keys'", kAsList},
    {"dict_values'", kAsList},
    {"dict_items'", kAsList},
    {"module'", "import the module in the function that uses it"},
    {"", "leave it out in __getstate__() of what has it, and make it in the process that uses it"},
};

// What to give instead; null: the exception is none of pickle's own, and says itself what it says.
const char* remedy_for(PyObject* error) {
  const std::string_view text = text_of(error);
  if (text.starts_with("Can't pickle "sv) || text.starts_with("Can't get local "sv)) {
    return "give functions and classes that are defined at the top level of a module";
  }
  constexpr auto kRefused = "cannot pickle '"sv;
  if (!text.starts_with(kRefused)) return nullptr;
  for (const Remedy& each : kRemedies) {
    if (text.substr(kRefused.size()).starts_with(each.type)) return each.text;
  }
  return nullptr;
}

bool is_missing(PyObject* error) {
  return Py_IS_TYPE(error, reinterpret_cast<PyTypeObject*>(PyExc_AttributeError)) &&
         text_of(error).starts_with("Can't get attribute '"sv);
}

bool is_exception(PyObject* error) {
  if (PyExceptionInstance_Check(error)) return true;
  PyErr_SetString(PyExc_TypeError, "this is no exception");
  return false;
}

PyObject* remedy_for_python(PyObject*, PyObject* error) {
  if (!is_exception(error)) return nullptr;
  const char* remedy = remedy_for(error);
  if (remedy == nullptr) Py_RETURN_NONE;
  return PyUnicode_FromString(remedy);
}

PyObject* note_missing_python(PyObject*, PyObject* error) {
  if (!is_exception(error)) return nullptr;
  if (!is_missing(error)) Py_RETURN_NONE;
  return PyObject_CallMethod(error, "add_note", "s",
                             (std::string("forkful: ") + kWhereDefined).c_str());
}

PyMethodDef g_functions[] = {
    {"remedy_for", remedy_for_python, METH_O,
     "remedy_for(error, /)\n--\n\nWhat to give in place of what could not be pickled, or None."},
    {"note_missing", note_missing_python, METH_O,
     "note_missing(error, /)\n--\n\n"
     "Note where to define a function or class that unpickling has not found, if it is that."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void note_refusal(const std::string& what, const char* between) {
  Ref error = take_error();
  const char* remedy = remedy_for(error.get());
  give_back_error(std::move(error));
  if (remedy == nullptr || between == nullptr) {
    add_note("forkful: " + what);
    if (remedy != nullptr) add_note(std::string("forkful: ") + remedy);
  } else {
    add_note("forkful: " + what + between + remedy);
  }
}

void note_missing() {
  Ref error = take_error();
  const bool missing = is_missing(error.get());
  give_back_error(std::move(error));
  if (missing) add_note(std::string("forkful: ") + kWhereDefined);
}

bool add_remedies(PyObject* module) {
  return PyModule_AddFunctions(module, g_functions) == 0 &&
         PyModule_AddStringConstant(module, "NAMED_FUNCTIONS", kNamedFunctions) == 0;
}

}  // namespace forkful::python
