// Where the threads of a pool's client wait without collecting: for each other's news, and for its
// workers' ends. The interpreter lock is given away meanwhile.
#include "pool_client.hpp"

namespace forkful::python {

void notify(PoolClient* client) {
  PoolClient::Local::News& news = client->local->changed;
  {
    const std::lock_guard lock(client->local->mutex);
    ++news.count;
  }
  news.told.notify_all();
}

void wait_a_moment(PoolClient* client, std::chrono::nanoseconds most) {
  PoolClient::Local::News& news = client->local->changed;
  const std::uint64_t seen = news.count;
  ++client->local_waiters;
  Py_BEGIN_ALLOW_THREADS;
  {
    std::unique_lock lock(client->local->mutex);
    news.told.wait_for(lock, most, [&] { return news.count != seen; });
  }
  Py_END_ALLOW_THREADS;
  --client->local_waiters;
}

void await_an_end(PoolClient* client) {
  const int pid = client->owner->running_pid();
  Py_BEGIN_ALLOW_THREADS;
  bytes::await_end(pid, Deadline::in(bytes::PoolOwner::kLookEvery));
  Py_END_ALLOW_THREADS;
}

}  // namespace forkful::python
