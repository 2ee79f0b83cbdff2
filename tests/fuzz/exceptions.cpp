// Exceptions on their way back from another process.
#include <forkful/detail/calls/exception.hpp>
#include <forkful/errors.hpp>
#include <future>
#include <stdexcept>

#include "fuzzers.hpp"

namespace forkful::fuzz::exceptions {
namespace {

template <class E>
Input seed(const E& error) {
  detail::Writer to;
  try {
    throw error;
  } catch (...) {
    detail::write_current_exception(to);
  }
  return input_of(to.view());
}

// Whatever was built of the bytes is thrown, looked at, and sent on.
void use(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& caught) {
    (void)std::string_view(caught.what()).size();
    if (const RemoteInfo* info = remote_info(caught)) (void)info->stack();
    detail::Writer to;
    detail::write_current_exception(to);
  }
}

}  // namespace

void read(Bytes input) {
  tolerate([&] {
    detail::Reader from(input);
    use(detail::read_exception(from));
  });
}

std::vector<Input> seeds() {
  return {seed(Error("an error")),
          seed(std::out_of_range("beyond")),
          seed(std::bad_alloc()),
          seed(OsError(28, "growth", "the arena")),
          seed(std::future_error(std::future_errc::no_state)),
          seed(WorkerDied("a worker died", 17, 9, -1, 3)),
          seed(Cancelled("cancelled")),
          seed(7)};
}

}  // namespace forkful::fuzz::exceptions
