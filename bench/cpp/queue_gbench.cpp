// Messages of 64 bytes from one process to another: Queue<T> beside a socket pair, ZeroMQ's ipc
// and Boost.Interprocess's message_queue. Each rival sends a message a call, blocking, as Queue
// does, and holds as many messages as the queue beside it:
//
//   Boost message_queue  exactly as many
//   ZeroMQ ipc           no limit, beside the queue without one
//   socketpair           its buffer takes some 270, so it is beside a queue of 100

#include <sys/socket.h>

#include <array>
#include <forkful/event.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
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

double throughput(std::uint32_t bound, std::uint64_t count) {
  Messages messages(bound);
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

// --- rivals: one direction each, made before the fork; Sender and Receiver after it ---

class SocketPair {
 public:
  explicit SocketPair(std::uint32_t /*bound*/) {
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
  explicit BoostQueue(std::uint32_t bound)
      : queue_(boost::interprocess::create_only, fresh().c_str(), bound, sizeof(Message)) {
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
  explicit ZeroMq(std::uint32_t /*bound*/) {}
  struct Sender {
    explicit Sender(ZeroMq& way) : socket(context, zmq::socket_type::push) {
      socket.set(zmq::sockopt::sndhwm, kNoLimit);
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
      socket.set(zmq::sockopt::rcvhwm, kNoLimit);
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
  static constexpr int kNoLimit = 0;
  std::string address_ = "ipc://@" + fresh_name();
};
#endif

// One message is under way at a time.
constexpr std::uint32_t kOfRoundTrips = 100;

template <class Way>
double rival_throughput(std::uint32_t bound, std::uint64_t count) {
  Way way(bound);
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
  Way there(kOfRoundTrips);
  Way back(kOfRoundTrips);
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

// --- what is measured ---

using Throughput = double (*)(std::uint32_t bound, std::uint64_t count);

void add_one_way(std::uint32_t bound, const std::string& who, std::uint64_t count,
                 Throughput measure) {
  const std::string queue = bound == 0 ? "Queue" : "Queue of " + std::to_string(bound);
  bench::add(queue + ", 64 bytes: one way/" + who, count,
             [=](std::uint64_t operations) { return measure(bound, operations); });
}

using RoundTrips = double (*)(std::uint64_t count);

// Alone, and with as many busy processes besides as there are CPUs on most small machines.
void add_round_trips(const std::string& who, std::uint64_t count, std::uint64_t count_when_busy,
                     RoundTrips measure) {
  bench::add("Queue, 64 bytes: round trip/" + who, count, measure);
  bench::add("Queue, 64 bytes: round trip beside 2 busy processes/" + who, count_when_busy,
             [=](std::uint64_t operations) {
               const bench::Busy first;
               const bench::Busy second;
               return measure(operations);
             });
}

void add_all() {
  add_one_way(0, "forkful", 8'000'000, throughput);
  for (const std::uint32_t bound : {10u, 100u, 1'000u, 4'096u, 100'000u}) {
    add_one_way(bound, "forkful", bound == 10 ? 2'000'000 : 8'000'000, throughput);
#ifdef BENCH_HAS_BOOST
    add_one_way(bound, "Boost message_queue", bound == 10 ? 200'000 : 1'000'000,
                rival_throughput<BoostQueue>);
#endif
  }
  add_one_way(100, "socketpair", 500'000, rival_throughput<SocketPair>);

  add_round_trips("forkful", 400'000, 100'000, round_trips);
  add_round_trips("socketpair", 20'000, 100'000, rival_round_trips<SocketPair>);
#ifdef BENCH_HAS_BOOST
  add_round_trips("Boost message_queue", 20'000, 20'000, rival_round_trips<BoostQueue>);
#endif
#ifdef BENCH_HAS_ZMQ
  add_one_way(0, "ZeroMQ ipc", 2'000'000, rival_throughput<ZeroMq>);
  add_round_trips("ZeroMQ ipc", 10'000, 10'000, rival_round_trips<ZeroMq>);
#endif
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
