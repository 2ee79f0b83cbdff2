// What the engine's owner of a pool asks of Python: processes, and the ends of items.
//
// An exception that comes up in the middle of its work waits until that is done: a worker that is
// being buried is buried whole.
#include "pool_client.hpp"

namespace forkful::python {

void Workers::keep_error() { keep_error(take_error()); }

void Workers::keep_error(Ref error) {
  if (!error_) error_ = std::move(error);
}

bool Workers::restore() {
  if (!error_) return true;
  give_back_error(std::move(error_));
  return false;
}

int Workers::traverse(visitproc visit, void* arg) const {
  Py_VISIT(error_.get());
  Py_VISIT(start_error_.get());
  return 0;
}

void Workers::drop_errors() {
  // Out of the members first: what a traceback has kept may run code, and come back here.
  const Ref error(std::move(error_));
  const Ref start_error(std::move(start_error_));
}

// Calls a method until it has gone through: what signals' handlers raise within it is for later.
// Returns what it does; nothing where it fails by itself, as it would do again.
template <class... Arguments>
Ref Workers::insist(const char* method, const char* format, Arguments... arguments) {
  for (;;) {
    Ref done(PyObject_CallMethod(client_->workers, method, format, arguments...));
    if (done) return done;
    const bool again = is_callers();
    keep_error();
    if (!again) return {};
  }
}

// A signal's handler may raise after the fork: the worker is there all the same.
int Workers::start(std::uint32_t slot) {
  (void)take_forked();
  Ref pid(PyObject_CallMethod(client_->workers, "start", "OI", reinterpret_cast<PyObject*>(client_),
                              slot));
  if (!pid) {
    if (const Forked forked = take_forked(); forked.pid != 0) {
      keep_error();
      insist("adopt", "IiI", slot, forked.pid, forked.member);
      return forked.pid;
    }
    // What the system refuses may be there later; anything else is for who called.
    if (!PyErr_ExceptionMatches(PyExc_OSError)) throw PythonError();
    start_error_ = take_error();
    return 0;
  }
  return static_cast<int>(PyLong_AsLong(pid.get()));
}

std::optional<int> Workers::ended(std::uint32_t slot) {
  Ref code(PyObject_CallMethod(client_->workers, "ended", "I", slot));
  if (!code) keep_error();
  if (!code || code.get() == Py_None) return std::nullopt;
  return static_cast<int>(PyLong_AsLong(code.get()));
}

bool Workers::send_signal(std::uint32_t slot, int signal) {
  Ref done(PyObject_CallMethod(client_->workers, "send_signal", "Ii", slot, signal));
  if (done) return true;
  Ref error = take_error();  // an object: the type that is set may still be OSError
  if (PyErr_GivenExceptionMatches(error.get(), PyExc_PermissionError) != 0) return false;
  keep_error(std::move(error));
  return true;
}

std::string Workers::name(std::uint32_t slot) {
  Ref name(PyObject_CallMethod(client_->workers, "name", "I", slot));
  const char* text = name ? PyUnicode_AsUTF8(name.get()) : nullptr;
  if (text == nullptr) keep_error();
  return text != nullptr ? text : "";
}

void Workers::give_back(std::uint32_t slot) { insist("give_back", "I", slot); }

// Not analysed: the owner calls it, when a worker is buried; its caller has the baton or ends the
// pool.
void Workers::deliver(bytes::ByteMessage& results) FORKFUL_NO_THREAD_SAFETY_ANALYSIS {
  if (!receive(client_, results)) keep_error();
}

bool Workers::is_one_call(std::uint64_t id) {
  const auto found = client_->jobs.find(id);
  return found != client_->jobs.end() && job_of(found->second)->kind == JobKind::call;
}

void Workers::lose(std::uint64_t id, const bytes::Death& why) {
  const auto found = client_->jobs.find(id);
  if (found == client_->jobs.end()) {
    note_gone(client_, id, 1);
    return;
  }
  Ref keep = Ref::borrow(found->second);
  Job* job = job_of(keep.get());
  if (why.item >= job->total || job->have[why.item]) return;
  Ref error = insist("make_error", "siiIO", why.text.c_str(), why.pid, why.exit_code, why.item,
                     why.late ? Py_True : Py_False);
  if (!error) error = Ref::borrow(error_.get());
  python::deliver(client_, job, why.item, false, error.get());
}

void Workers::give_up(const bytes::Death* why) {
  Ref error = insist("give_up", "zi", why != nullptr ? why->text.c_str() : nullptr,
                     why != nullptr ? why->pid : 0);
  if (!error) error = Ref::borrow(error_.get());
  if (error.get() == Py_None) error = std::move(start_error_);
  break_pool(client_, std::move(error));
}

namespace {

template <class Work>
bool supervised(PoolClient* client, Work&& work) {
  try {
    work();
  } catch (const PythonError&) {
    return false;
  }
  return client->hooks->restore();
}

}  // namespace

bool look_after_workers(PoolClient* client) {
  return supervised(client, [&] { client->owner->look(); });
}

bool start_missing_workers(PoolClient* client) {
  client->leaving = false;
  return supervised(client, [&] { client->owner->start_missing(); });
}

}  // namespace forkful::python
