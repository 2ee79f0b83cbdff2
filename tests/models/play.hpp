// Random operations on a part of the engine beside a plain model of it, with deaths in between.
//
// A *sequence* of operations is played in a process of its own, whose family begins with it. One
// that the engine and the model disagree about is cut after the operation that showed it, then
// shortened for as long as it still fails, and printed with the seed that makes it.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernel/fault.hpp"

namespace forkful::models {

using Random = std::mt19937;

// How the member that does an operation ends in the middle of it, if it does not end sooner.
struct Death {
  enum class How { none, at_point, at_instruction, at_time };
  How how = How::none;
  kernel::FaultPoint point = "journal.staged";  // of at_point
  int pass = 1;                                 // likewise
  long after = 0;                               // so many instructions, or nanoseconds
};

// Random words, which a model reads as something that is possible as things are. So whatever is
// left of a sequence when operations are taken out is a sequence too.
struct Operation {
  std::uint32_t what = 0;
  std::uint32_t who = 0;
  std::uint32_t which = 0;
  std::uint32_t size = 0;
  Death death;
  int deaths = 0;  // how many fall on it; more than one only where it counts for many
};
using Sequence = std::vector<Operation>;

class Model {
 public:
  Model() = default;
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Does the operation, in the engine and in the model.
  virtual void step(const Operation& operation) = 0;
  // Compares the two.
  virtual void check() = 0;
  // Gives all back; then nothing must be left.
  virtual void end() = 0;
};

struct Subject {
  const char* name;
  std::function<std::unique_ptr<Model>()> make;
  std::vector<kernel::FaultPoint>
      points;       // where members die; one that comes twice, twice as often
  long weight = 1;  // how many operations a step counts for
};

// Plays as many sequences as FORKFUL_OPERATIONS and FORKFUL_DEATHS ask for, beginning with the one
// that FORKFUL_SEED makes. A GoogleTest failure where engine and model disagree.
void play(const Subject& subject);
// Plays one sequence that has failed once.
void play_again(const Subject& subject, unsigned seed, long operations, long deaths);

// --- for models ---

// Ends the sequence unless it holds.
void require(bool holds, const std::string& what);
#define FORKFUL_MODEL_REQUIRE(expression) ::forkful::models::require(bool(expression), #expression)
void require_equal(std::uint64_t engine, std::uint64_t model, const char* what);

// Says what an operation does, as printf() does; of the last one of these it can be seen whether it
// ended.
[[gnu::format(printf, 1, 2)]] void note(const char* format, ...);
// Counts a death: whether it came in the middle of the operation.
void count_death(bool inside);

}  // namespace forkful::models
