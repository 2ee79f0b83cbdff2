// ResultLine: the iterator of a pool of threads, as far as it has to be quick.
//
// Its results lie in a deque of Python's, into which workers put them without a lock. What is no
// plain result, and what to do when there is none, is for the subclass: forkful._pool has it.
//
// GIL: held throughout. Taking from the deque is one step for other threads.
#include "core.hpp"

namespace forkful::python {
namespace {

struct ResultLine {
  PyObject_HEAD PyObject* take;  // the popleft() of its deque
  PyTypeObject* mark;            // what is of this class is no result
};

ResultLine& line_of(PyObject* self) { return *reinterpret_cast<ResultLine*>(self); }

// ResultLine(results, mark, /)
PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* results = nullptr;
  PyTypeObject* mark = nullptr;
  if (!PyArg_ParseTuple(args, "OO!:ResultLine", &results, &PyType_Type, &mark)) return nullptr;
  Ref take(PyObject_GetAttrString(results, "popleft"));
  if (!take) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  line_of(self).take = take.release();
  line_of(self).mark = reinterpret_cast<PyTypeObject*>(Py_NewRef(mark));
  return self;
}

PyObject* next(PyObject* self) {
  const ResultLine& line = line_of(self);
  Ref result(PyObject_CallNoArgs(line.take));
  if (result && Py_TYPE(result.get()) != line.mark) return result.release();
  if (!result) {
    if (!PyErr_ExceptionMatches(PyExc_IndexError)) return nullptr;
    PyErr_Clear();
    result = Ref::borrow(Py_None);
  }
  Ref name(PyUnicode_InternFromString("_go_on"));
  return name ? PyObject_CallMethodOneArg(self, name.get(), result.get()) : nullptr;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(line_of(self).take);
  Py_VISIT(line_of(self).mark);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(line_of(self).take);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  (void)clear(self);
  Py_CLEAR(line_of(self).mark);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot g_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(make)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(next)},
    {Py_tp_doc,
     const_cast<char*>("ResultLine(results, mark, /)\n--\n\n"
                       "An iterator of what others put into a deque.\n\n"
                       "Where that has something of the class `mark`, or nothing, the next item is "
                       "what self._go_on(it), or self._go_on(None), gives.")},
    {0, nullptr}};

PyType_Spec g_spec{"forkful._core.ResultLine", sizeof(ResultLine), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, g_slots};

}  // namespace

bool add_result_line(PyObject* module) { return add_type(module, g_spec); }

}  // namespace forkful::python
