// Messages of 64 bytes from one process to another: Queue<T> beside a socket pair, ZeroMQ's ipc
// and Boost.Interprocess's message_queue. Each rival sends a message a call, blocking, as Queue
// does.

#include <sys/socket.h>

#include <array>
#include <forkful/event.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <memory>
#include <string>

#include "support.hpp"

#ifdef BENCH_HAS_BOOST
#include <boost/interprocess/ipc/message_queue.hpp>
#endif
#ifdef BENCH_HAS_ZMQ
#include <zmq.hpp>
#endif

namespace {

using bench::Clock;
using bench::Message;
using bench::Received;

// --- forkful ---

using Messages = forkful::Queue<Message>;

void send_all(Messages to, forkful::Queue<int> started, forkful::Event go, std::uint64_t count) {
  bench::pin_child();
  started.put(1);
  go.wait();
  for (std::uint64_t i = 0; i < count; ++i) to.put(bench::message(i));
}

double throughput(std::uint64_t count) {
  Messages messages;
  forkful::Queue<int> started;
  forkful::Event go;
  forkful::Process child(send_all, messages, started, go, count);
  (void)started.get();
  Received received;
  const auto begin = Clock::now();
  go.set();
  for (std::uint64_t i = 0; i < count; ++i) received.add(messages.get());
  const double seconds = bench::seconds_since(begin);
  received.check(count);
  return seconds;
}

void echo_all(Messages there, Messages back, std::uint64_t count) {
  bench::pin_child();
  for (std::uint64_t i = 0; i < count; ++i) back.put(there.get());
}

double round_trips(std::uint64_t count) {
  Messages there;
  Messages back;
  const std::uint64_t warm_up = count / 10;
  forkful::Process child(echo_all, there, back, warm_up + count);
  Received received;
  const auto trip = [&](std::uint64_t i) {
    there.put(bench::message(i));
    return back.get();
  };
  for (std::uint64_t i = 0; i < warm_up; ++i) (void)trip(i);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) received.add(trip(i));
  const double seconds = bench::seconds_since(begin);
  received.check(count);
  return seconds;
}

// --- rivals: one direction each, made before the fork; Sender and Receiver behind it ---

class SocketPair {
 public:
  SocketPair() {
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends_.data()) != 0) {
      throw std::runtime_error("no socket pair");
    }
  }
  ~SocketPair() {
    for (const int end : ends_) ::close(end);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  struct Sender {
    explicit Sender(SocketPair& way) : end(way.ends_[0]) {}
    void put(const Message& message) const {
      if (::send(end, &message, sizeof message, 0) != sizeof message) {
        throw std::runtime_error("send failed");
      }
    }
    int end;
  };
  struct Receiver {
    explicit Receiver(SocketPair& way) : end(way.ends_[1]) {}
    [[nodiscard]] Message get() const {
      Message message;
      if (::recv(end, &message, sizeof message, 0) != sizeof message) {
        throw std::runtime_error("recv failed");
      }
      return message;
    }
    int end;
  };

 private:
  std::array<int, 2> ends_{};
};

#if defined(BENCH_HAS_BOOST) || defined(BENCH_HAS_ZMQ)
std::string fresh_name() {
  static int number = 0;
  return "forkful-bench-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}
#endif

#ifdef BENCH_HAS_BOOST
class BoostQueue {
 public:
  BoostQueue()
      : queue_(boost::interprocess::create_only, fresh().c_str(), kMessages, sizeof(Message)) {
    // Both processes have it mapped by the fork.
    boost::interprocess::message_queue::remove(name().c_str());
  }
  struct Sender {
    explicit Sender(BoostQueue& way) : queue(way.queue_) {}
    void put(const Message& message) { queue.send(&message, sizeof message, 0); }
    boost::interprocess::message_queue& queue;
  };
  struct Receiver {
    explicit Receiver(BoostQueue& way) : queue(way.queue_) {}
    [[nodiscard]] Message get() {
      Message message;
      boost::interprocess::message_queue::size_type size = 0;
      unsigned priority = 0;
      queue.receive(&message, sizeof message, size, priority);
      if (size != sizeof message) throw std::runtime_error("receive failed");
      return message;
    }
    boost::interprocess::message_queue& queue;
  };

 private:
  static constexpr std::size_t kMessages = 4096;
  static std::string& name() {
    static std::string last;
    return last;
  }
  static const std::string& fresh() { return name() = fresh_name(); }
  boost::interprocess::message_queue queue_;
};
#endif

#ifdef BENCH_HAS_ZMQ
// In the abstract namespace of sockets, so that no file is left behind. A context must not cross a
// fork: each side makes its own.
class ZeroMq {
 public:
  struct Sender {
    explicit Sender(ZeroMq& way) : socket(context, zmq::socket_type::push) {
      socket.set(zmq::sockopt::sndhwm, kMessages);
      socket.connect(way.address_);
    }
    void put(const Message& message) {
      if (!socket.send(zmq::buffer(&message, sizeof message))) {
        throw std::runtime_error("send failed");
      }
    }
    zmq::context_t context;
    zmq::socket_t socket;
  };
  struct Receiver {
    explicit Receiver(ZeroMq& way) : socket(context, zmq::socket_type::pull) {
      socket.set(zmq::sockopt::rcvhwm, kMessages);
      socket.bind(way.address_);
    }
    [[nodiscard]] Message get() {
      Message message;
      const auto size = socket.recv(zmq::buffer(&message, sizeof message));
      if (!size || size->size != sizeof message) throw std::runtime_error("recv failed");
      return message;
    }
    zmq::context_t context;
    zmq::socket_t socket;
  };

 private:
  static constexpr int kMessages = 100'000;
  std::string address_ = "ipc://@" + fresh_name();
};
#endif

template <class Way>
double rival_throughput(std::uint64_t count) {
  Way way;
  const bench::Signal ready;
  const bench::Signal go;
  const bench::Child child([&] {
    typename Way::Sender to(way);
    to.put(bench::message(0));  // whatever it sets up, it has set up
    ready.send();
    go.await();
    for (std::uint64_t i = 0; i < count; ++i) to.put(bench::message(i));
  });
  typename Way::Receiver from(way);
  (void)from.get();
  ready.await();
  Received received;
  const auto begin = Clock::now();
  go.send();
  for (std::uint64_t i = 0; i < count; ++i) received.add(from.get());
  const double seconds = bench::seconds_since(begin);
  received.check(count);
  return seconds;
}

template <class Way>
double rival_round_trips(std::uint64_t count) {
  Way there;
  Way back;
  const std::uint64_t warm_up = count / 10;
  const bench::Child child([&] {
    typename Way::Receiver from(there);
    typename Way::Sender to(back);
    for (std::uint64_t i = 0; i < warm_up + count; ++i) to.put(from.get());
  });
  typename Way::Sender to(there);
  typename Way::Receiver from(back);
  Received received;
  const auto trip = [&](std::uint64_t i) {
    to.put(bench::message(i));
    return from.get();
  };
  for (std::uint64_t i = 0; i < warm_up; ++i) (void)trip(i);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) received.add(trip(i));
  const double seconds = bench::seconds_since(begin);
  received.check(count);
  return seconds;
}

void add_all() {
  bench::add("Queue, 64 bytes: one way/forkful", 8'000'000, throughput);
  bench::add("Queue, 64 bytes: one way/socketpair", 500'000, rival_throughput<SocketPair>);
#ifdef BENCH_HAS_BOOST
  bench::add("Queue, 64 bytes: one way/Boost message_queue", 1'000'000,
             rival_throughput<BoostQueue>);
#endif
#ifdef BENCH_HAS_ZMQ
  bench::add("Queue, 64 bytes: one way/ZeroMQ ipc", 2'000'000, rival_throughput<ZeroMq>);
#endif
  bench::add("Queue, 64 bytes: round trip/forkful", 400'000, round_trips);
  bench::add("Queue, 64 bytes: round trip/socketpair", 20'000, rival_round_trips<SocketPair>);
#ifdef BENCH_HAS_BOOST
  bench::add("Queue, 64 bytes: round trip/Boost message_queue", 20'000,
             rival_round_trips<BoostQueue>);
#endif
#ifdef BENCH_HAS_ZMQ
  bench::add("Queue, 64 bytes: round trip/ZeroMQ ipc", 10'000, rival_round_trips<ZeroMq>);
#endif
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
