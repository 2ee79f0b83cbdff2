// PoolHandle: a pool as its workers know it. A worker that is forked inherits the object, any other
// one adopts what its pickle names.
#include "pool_client.hpp"

namespace forkful::python {
namespace {

using bytes::Cancellations;
using bytes::TaskPool;
using Object = Wrapped<PoolHandle>;

PyTypeObject* g_type;

// (name of the pool, name of its cancellations or None)
PyObject* getstate(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    const PoolHandle& handle = Object::of(self);
    Ref pool(id_of(handle.pool));
    Ref cancellations(handle.cancellations ? id_of(handle.cancellations->shared())
                                           : Py_NewRef(Py_None));
    if (!pool || !cancellations) return nullptr;
    return PyTuple_Pack(2, pool.get(), cancellations.get());
  });
}

PyObject* setstate(PyObject* self, PyObject* state) {
  PyObject* pool = nullptr;
  PyObject* cancellations = nullptr;
  if (!PyArg_Parse(state, "(OO):__setstate__", &pool, &cancellations)) return nullptr;
  bytes::Shared::Id pool_id{};
  bytes::Shared::Id cancellations_id{};
  if (!parse_id(pool, pool_id)) return nullptr;
  if (cancellations != Py_None && !parse_id(cancellations, cancellations_id)) return nullptr;
  return guarded([&]() -> PyObject* {
    PoolHandle handle{TaskPool::adopt(pool_id), std::nullopt};
    if (cancellations != Py_None) handle.cancellations = Cancellations::adopt(cancellations_id);
    Object::set(self, std::move(handle));
    Py_RETURN_NONE;
  });
}

PyMethodDef g_methods[] = {{"__getstate__", getstate, METH_NOARGS,
                            "__getstate__($self, /)\n--\n\nIts names for relatives."},
                           {"__setstate__", setstate, METH_O,
                            "__setstate__($self, state, /)\n--\n\nBecome what was named."},
                           {nullptr, nullptr, 0, nullptr}};
PyType_Slot g_slots[] = {
    {Py_tp_doc, const_cast<char*>("PoolHandle()\n--\n\nA pool as its workers know it.")},
    {Py_tp_new, reinterpret_cast<void*>(Object::blank)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Object::dealloc)},
    {Py_tp_methods, g_methods},
    {0, nullptr}};
PyType_Spec g_spec = {"forkful._core.PoolHandle", sizeof(Object), 0, Py_TPFLAGS_DEFAULT, g_slots};

}  // namespace

PyTypeObject* handle_type() { return g_type; }

PyObject* new_handle(const PoolClient* client) {
  PyObject* self = Object::blank(g_type, nullptr, nullptr);
  if (self != nullptr) Object::set(self, {client->pool(), client->cancellations});
  return self;
}

const PoolHandle& handle_in(PyObject* self) { return Object::of(self); }

bool add_pool_handle(PyObject* module) { return add_type(module, g_spec, &g_type); }

}  // namespace forkful::python
