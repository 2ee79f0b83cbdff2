#include "chaos/cast.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <utility>

#include "arena/membership.hpp"

namespace forkful::chaos {
namespace {

// As long as the storm and its end may last.
unsigned most_seconds() {
  return test::kMostSeconds +
         static_cast<unsigned>(test::from_environment("FORKFUL_CHAOS_SECONDS", 0));
}

}  // namespace

Cast::Cast(std::vector<Script> scripts)
    : scripts_(std::move(scripts)),
      stage_(*static_cast<Stage*>(test::shared_memory(sizeof(Stage)))),
      life_of_(scripts_.size()) {
  if (scripts_.size() > kMostParts) std::abort();
  for (std::size_t part = 0; part < scripts_.size(); ++part) players_.push_back(start(part));
}

test::Child Cast::start(std::size_t part) {
  const std::uint32_t life = ++lives_;
  if (life >= kMostLives) std::abort();  // months of a storm
  life_of_[part] = life;
  return test::fork_child(
      [&, life] {
        Actor actor(stage_, part, life);
        scripts_[part](actor);
      },
      most_seconds());
}

std::uint64_t Cast::steps() const {
  std::uint64_t sum = 0;
  for (const Stage::Part& each : stage_.parts) sum += each.steps.load(std::memory_order_relaxed);
  return sum;
}

void Cast::replace(Storm& storm, std::size_t part) {
  test::Child& player = players_[part];
  stage_.doomed[life_of_[part]] = true;
  storm.kill(player.pid(), SIGKILL);
  int code = 0;
  if (storm.chance(50)) {
    code = player.wait();
  } else {
    unreaped_.push_back(player.member());
    code = player.wait_without_reaping();
  }
  ASSERT_EQ(code, -SIGKILL) << "part " << part << " had ended by itself; its reason is above";
  player = start(part);
}

void Cast::stop(Storm& storm, std::size_t part) { storm.stop(players_[part].pid()); }

void Cast::await_end(Storm& storm) {
  for (std::size_t part = 0; part < players_.size(); ++part) {
    storm.await("the end of all", [&] { return players_[part].has_ended(); });
    EXPECT_EQ(players_[part].wait(), 0) << "part " << part;
  }
  for (const base::MemberId each : unreaped_) arena::process_ended(each);
}

}  // namespace forkful::chaos
