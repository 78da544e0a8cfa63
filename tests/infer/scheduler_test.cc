#include "lathe/infer/scheduler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace lathe::testing {
namespace {

// Sequences as numbers: what is left to read, and room for so many tokens in all.
struct Host : SchedulerHost {
  struct State {
    int64_t rest, held = 0, whole = 0;
  };
  explicit Host(std::map<int64_t, State> all = {}, int64_t tokens = 1000)
      : sequences(std::move(all)), room(tokens) {}

  std::map<int64_t, State> sequences;
  int64_t room;
  std::vector<int64_t> preempted;

  int64_t used() const {
    int64_t sum = 0;
    for (const auto& [id, s] : sequences) sum += s.held;
    return sum;
  }
  int64_t chunk(int64_t id, int64_t most) override {
    State& s = sequences.at(id);
    return s.whole > 0 && s.held == 0 ? s.whole : std::min(s.rest, most);
  }
  bool reads_prompt(int64_t id) const override { return sequences.at(id).rest > 1; }
  bool reserve(int64_t id, int64_t tokens) override {
    if (used() + tokens > room) return false;
    sequences.at(id).held += tokens;
    return true;
  }
  void preempt(int64_t id) override {
    State& s = sequences.at(id);
    s.rest += s.held;
    s.held = 0;
    preempted.push_back(id);
  }
  // Computes what was planned: "1:20 2:12"; who has read all decodes one token at a time.
  std::string pass(Scheduler& scheduler) {
    std::string text;
    for (const auto& share : scheduler.plan(*this)) {
      text += fmt::format("{}{}:{}", text.empty() ? "" : " ", share.id, share.tokens);
      State& s = sequences.at(share.id);
      s.rest = std::max<int64_t>(1, s.rest - share.tokens);
    }
    return text;
  }
};

TEST(Scheduler, CutsPromptsToTheBudgetAndLetsDecodersGoFirst) {
  Scheduler scheduler(32, 8);
  Host host({{1, {20}}, {2, {50}}, {3, {4}}});
  for (const int64_t id : {1, 2, 3}) scheduler.add_waiting({.id = id});
  EXPECT_EQ(host.pass(scheduler), "1:20 2:12");
  EXPECT_EQ(host.pass(scheduler), "1:1 2:31");
  EXPECT_EQ(host.pass(scheduler), "1:1 2:7 3:4");
  EXPECT_EQ(host.pass(scheduler), "1:1 2:1 3:1");
  scheduler.remove(2);
  EXPECT_EQ(host.pass(scheduler), "1:1 3:1");
  EXPECT_EQ(scheduler.waiting(), 0);
}

TEST(Scheduler, WhatCannotBePartedMayExceedTheBudget) {
  Scheduler scheduler(8, 8);
  Host host({{1, {30, 0, 30}}, {2, {4}}});
  scheduler.add_waiting({.id = 1});
  scheduler.add_waiting({.id = 2});
  EXPECT_EQ(host.pass(scheduler), "1:30");
  EXPECT_EQ(host.pass(scheduler), "1:1 2:4");
}

TEST(Scheduler, HigherPrioritiesAreAdmittedAndServedFirst) {
  Scheduler scheduler(10, 2);
  Host host({{1, {8}}, {2, {8}}, {3, {8}}});
  scheduler.add_waiting({.id = 1});
  scheduler.add_waiting({.id = 2, .priority = -1});
  scheduler.add_waiting({.id = 3, .priority = 5});
  EXPECT_EQ(host.pass(scheduler), "3:8 1:2");
  scheduler.remove(3);
  EXPECT_EQ(host.pass(scheduler), "1:6 2:4");
}

TEST(Scheduler, TheLastOneGivesUpItsRoomAndComesBack) {
  Scheduler scheduler(64, 8);
  Host host({{1, {10}}, {2, {10}}}, 21);
  scheduler.add_waiting({.id = 1});
  scheduler.add_waiting({.id = 2});
  EXPECT_EQ(host.pass(scheduler), "1:10 2:10");
  // There is room for one token more: the second has to go, and is not let in again at once.
  EXPECT_EQ(host.pass(scheduler), "1:1");
  EXPECT_EQ(host.preempted, std::vector<int64_t>{2});
  EXPECT_EQ(scheduler.waiting(), 1);
  EXPECT_EQ(host.pass(scheduler), "1:1");  // 11 tokens do not fit beside 12
  host.sequences.erase(1);
  scheduler.remove(1);
  EXPECT_EQ(host.pass(scheduler), "2:11");
  EXPECT_EQ(scheduler.preemptions(), 1);
}

TEST(Scheduler, PriorityDecidesWhoGivesUpRoom) {
  Scheduler scheduler(64, 8);
  Host host({{1, {10}}, {2, {10}}}, 20);
  scheduler.add_waiting({.id = 1});
  scheduler.add_waiting({.id = 2, .priority = 1});
  EXPECT_EQ(host.pass(scheduler), "2:10 1:10");
  EXPECT_EQ(host.pass(scheduler), "2:1");
  EXPECT_EQ(host.preempted, std::vector<int64_t>{1});
}

TEST(Scheduler, AHigherPriorityTakesSlotsAndRoomOfLowerOnes) {
  Scheduler scheduler(64, 2);
  Host host({{1, {5}}, {2, {5}}, {3, {5}}, {4, {30}}}, 30);
  scheduler.add_waiting({.id = 1});
  scheduler.add_waiting({.id = 2, .priority = 1});
  EXPECT_EQ(host.pass(scheduler), "2:5 1:5");
  scheduler.add_waiting({.id = 3, .priority = 1});  // takes the slot of 1, not that of 2
  EXPECT_EQ(host.pass(scheduler), "2:1 3:5");
  EXPECT_EQ(host.preempted, std::vector<int64_t>{1});
  scheduler.add_waiting({.id = 4, .priority = 9});  // needs all room there is
  EXPECT_EQ(host.pass(scheduler), "4:30");
  EXPECT_EQ(host.preempted, (std::vector<int64_t>{1, 3, 2}));
  host.sequences.erase(4);
  scheduler.remove(4);
  EXPECT_EQ(host.pass(scheduler), "2:7 3:6");
}

// One client's crowd does not keep another's single request waiting.
TEST(Scheduler, ClientsGetEqualShares) {
  Scheduler scheduler(10, 1);
  Host host;
  for (int64_t id = 1; id <= 4; ++id) {
    host.sequences[id] = {10};
    scheduler.add_waiting({.id = id, .client = "crowd"});
  }
  EXPECT_EQ(host.pass(scheduler), "1:10");
  scheduler.remove(1);
  host.sequences[9] = {10};
  scheduler.add_waiting({.id = 9, .client = "single"});
  // It begins with what the others have been served, and the oldest of equals is next.
  EXPECT_EQ(host.pass(scheduler), "2:10");
  scheduler.remove(2);
  EXPECT_EQ(host.pass(scheduler), "9:10");
}

TEST(Scheduler, ARequestWaitsUntilThereAreSlotsForAllItsChoices) {
  Scheduler scheduler(64, 3);
  Host host({{1, {5}}, {2, {5}}, {3, {5}}});
  scheduler.add_waiting({.id = 1, .slots = 2});
  scheduler.add_waiting({.id = 2, .slots = 2});
  EXPECT_EQ(host.pass(scheduler), "1:5");
  scheduler.set_slots(1, 1);
  EXPECT_EQ(host.pass(scheduler), "1:1 2:5");
}

TEST(Scheduler, NothingToDoIsAnEmptyPlan) {
  Scheduler scheduler(4, 4);
  Host host;
  EXPECT_TRUE(scheduler.plan(host).empty());
}

}  // namespace
}  // namespace lathe::testing
