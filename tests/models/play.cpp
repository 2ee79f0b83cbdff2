#include "models/play.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "support/child.hpp"

namespace forkful::models {
namespace {

// Of a sequence: long enough for the heap to be full of holes, short enough to be shortened.
constexpr long kOperations = 250;
constexpr unsigned kMostSeconds = 120;
constexpr int kMostReplays = 200;

// What the process that plays a sequence tells whoever has started it.
struct Record {
  std::atomic<std::size_t> at;
  std::atomic<long> deaths;
  std::atomic<long> inside;
  std::size_t failure_size;
  char failure[1024];
  std::size_t text_size;
  char text[1 << 20];
};
Record& g_record = test::shared<Record>();

struct Disagreement : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Outcome {
  bool well = true;
  std::size_t played = 0;  // operations, the one that failed included
  std::string why;
  std::string text;
};

[[noreturn]] void play_here(const Subject& subject, const Sequence& sequence) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(kMostSeconds);
  try {
    const std::unique_ptr<Model> model = subject.make();
    model->check();
    for (const Operation& each : sequence) {
      model->step(each);
      model->check();
      ++g_record.at;
    }
    model->end();
    ::_exit(0);
  } catch (const std::exception& error) {
    g_record.failure_size = std::min(sizeof g_record.failure, std::strlen(error.what()));
    std::memcpy(g_record.failure, error.what(), g_record.failure_size);
  }
  ::_exit(1);
}

Outcome try_sequence(const Subject& subject, const Sequence& sequence) {
  g_record.at = 0;
  g_record.failure_size = 0;
  g_record.text_size = 0;
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) play_here(subject, sequence);
  int status = 0;
  ::waitpid(pid, &status, 0);
  Outcome outcome;
  outcome.well = status == 0;
  if (outcome.well) return outcome;
  outcome.played = std::min(g_record.at + 1, sequence.size());
  outcome.why.assign(g_record.failure, g_record.failure_size);
  if (WIFSIGNALED(status)) {
    outcome.why = WTERMSIG(status) == SIGALRM ? "it does not end"
                                              : "signal " + std::to_string(WTERMSIG(status));
  }
  outcome.text.assign(g_record.text, g_record.text_size);
  return outcome;
}

Sequence make_sequence(const Subject& subject, unsigned seed, long steps, long deaths) {
  Random random(seed);
  const auto pick = [&](std::uint32_t below) {
    return static_cast<std::uint32_t>(random() % below);
  };
  Sequence sequence(static_cast<std::size_t>(steps));
  for (Operation& each : sequence) {
    each.what = pick(1 << 30);
    each.who = pick(1 << 30);
    each.which = pick(1 << 30);
    each.size = pick(1 << 30);
  }
  if (subject.weight == 1) deaths = std::min(deaths, steps);
  while (deaths > 0) {
    Operation& operation = sequence[pick(static_cast<std::uint32_t>(steps))];
    if (subject.weight == 1 && operation.deaths != 0) continue;
    --deaths;
    ++operation.deaths;
    Death& death = operation.death;
    // Mostly at a point, since those are where it matters; few by steps, which take long.
    const std::uint32_t how = pick(20);
    death.how = how < 13   ? Death::How::at_point
                : how < 18 ? Death::How::at_time
                           : Death::How::at_instruction;
    death.point = subject.points[pick(static_cast<std::uint32_t>(subject.points.size()))];
    death.pass = 1 + static_cast<int>(pick(1u << pick(4)));
    death.after = pick(1u << (6 + pick(9)));
  }
  return sequence;
}

// One that fails as well, and of which no part that was tried could be left out.
Sequence shorten(const Subject& subject, Sequence sequence, Outcome& outcome) {
  sequence.resize(outcome.played);
  int replays = 0;
  for (std::size_t part = sequence.size() / 2; part > 0; part /= 2) {
    for (std::size_t from = 0; from < sequence.size();) {
      if (++replays > kMostReplays) return sequence;
      Sequence less(sequence.begin(), sequence.begin() + static_cast<long>(from));
      const std::size_t to = std::min(from + part, sequence.size());
      less.insert(less.end(), sequence.begin() + static_cast<long>(to), sequence.end());
      Outcome again = try_sequence(subject, less);
      if (again.well) {
        from = to;
        continue;
      }
      less.resize(again.played);
      sequence = std::move(less);
      outcome = std::move(again);
    }
  }
  return sequence;
}

// A GoogleTest failure where engine and model disagree; false then.
bool plays_well(const Subject& subject, unsigned seed, long operations, long deaths) {
  const Sequence sequence =
      make_sequence(subject, seed, std::max(1L, operations / subject.weight), deaths);
  Outcome outcome = try_sequence(subject, sequence);
  if (outcome.well) return true;
  const Outcome first = outcome;
  const Sequence shorter = shorten(subject, sequence, outcome);
  ADD_FAILURE() << subject.name << ": after " << first.played << " operations: " << first.why
                << "\nagain: FORKFUL_SEED=" << seed << " FORKFUL_OPERATIONS=" << operations
                << " FORKFUL_DEATHS=" << deaths << "\nshortened to " << shorter.size() << ": "
                << outcome.why << "\n"
                << outcome.text;
  return false;
}

}  // namespace

void play_again(const Subject& subject, unsigned seed, long operations, long deaths) {
  (void)plays_well(subject, seed, operations, deaths);
}

void play(const Subject& subject) {
  const long operations = test::from_environment("FORKFUL_OPERATIONS", 2000);
  const long deaths = test::from_environment("FORKFUL_DEATHS", 40);
  const unsigned seed = test::seed();
  const long rounds = std::max(1L, operations / std::max(kOperations, subject.weight));
  const auto begin = std::chrono::steady_clock::now();
  g_record.deaths = 0;
  g_record.inside = 0;
  for (long round = 0; round < rounds; ++round) {
    const auto share_of = [&](long all) {
      return all * (round + 1) / rounds - all * round / rounds;
    };
    if (!plays_well(subject, seed + static_cast<unsigned>(round), share_of(operations),
                    share_of(deaths))) {
      return;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%s: %ld operations, %ld deaths (%ld in the middle of one), %ld families, %.0f s\n",
              subject.name, operations, g_record.deaths.load(), g_record.inside.load(), rounds,
              took.count());
}

void require(bool holds, const std::string& what) {
  if (!holds) throw Disagreement("not so: " + what);
}

void require_equal(std::uint64_t engine, std::uint64_t model, const char* what) {
  if (engine == model) return;
  throw Disagreement(std::string(what) + ": " + std::to_string(engine) + " in the engine, " +
                     std::to_string(model) + " in the model");
}

void note(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const std::size_t left = sizeof g_record.text - g_record.text_size;
  const int wrote = std::vsnprintf(g_record.text + g_record.text_size, left, format, arguments);
  va_end(arguments);
  if (wrote > 0) g_record.text_size += std::min(static_cast<std::size_t>(wrote), left - 1);
}

void count_death(bool inside) {
  ++g_record.deaths;
  if (inside) ++g_record.inside;
}

}  // namespace forkful::models
