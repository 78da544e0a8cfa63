#include "lathe/infer/scheduler.h"

#include <algorithm>
#include <tuple>

namespace lathe {

// A client that was away does not come back with a claim on the time when it asked for nothing.
Scheduler::Arrived Scheduler::arriving(const Task& task) {
  const auto is_theirs = [&](const Arrived& a) { return a.task.client == task.client; };
  if (std::ranges::none_of(waiting_, is_theirs) && std::ranges::none_of(running_, is_theirs)) {
    int64_t least = -1;
    for (const auto* all : {&waiting_, &running_})
      for (const Arrived& a : *all) {
        const int64_t theirs = served_[a.task.client];
        least = least < 0 ? theirs : std::min(least, theirs);
      }
    served_[task.client] = std::max(served_[task.client], least);
  }
  return {task, arrivals_++};
}

void Scheduler::remove(int64_t id) {
  for (auto* all : {&waiting_, &running_})
    std::erase_if(*all, [&](const Arrived& a) { return a.task.id == id; });
  if (waiting_.empty() && running_.empty()) served_.clear();
}

void Scheduler::set_slots(int64_t id, int64_t slots) {
  for (auto* all : {&waiting_, &running_})
    for (Arrived& a : *all)
      if (a.task.id == id) a.task.slots = slots;
}

int64_t Scheduler::slots() const {
  int64_t sum = 0;
  for (const Arrived& a : running_) sum += a.task.slots;
  return sum;
}

void Scheduler::sort_running(const SchedulerHost& host) {
  const auto rank = [&](const Arrived& a) {
    return std::tuple(-a.task.priority, host.reads_prompt(a.task.id), a.arrival);
  };
  std::ranges::sort(running_, {}, rank);
}

void Scheduler::preempt_last(SchedulerHost& host) {
  host.preempt(running_.back().task.id);
  waiting_.push_back(running_.back());
  running_.pop_back();
  ++preemptions_;
}

bool Scheduler::make_room(SchedulerHost& host, int64_t id, int64_t tokens) {
  while (!host.reserve(id, tokens)) {
    const bool is_last = running_.back().task.id == id;
    preempt_last(host);
    if (is_last) return false;
  }
  return true;
}

std::vector<Scheduler::Arrived>::iterator Scheduler::next_waiting() {
  return std::ranges::min_element(waiting_, {}, [&](const Arrived& a) {
    return std::tuple(-a.task.priority, served_[a.task.client], a.arrival);
  });
}

void Scheduler::take(const Task& task, int64_t tokens, std::vector<Share>& shares) {
  shares.push_back({task.id, tokens});
  served_[task.client] += tokens;
}

std::vector<Scheduler::Share> Scheduler::plan(SchedulerHost& host) {
  std::vector<Share> shares;
  int64_t left = token_budget_;
  const int64_t before = preemptions_;
  sort_running(host);
  // make_room() takes from the end of the list, so what was planned stays.
  for (size_t i = 0; i < running_.size() && left > 0; ++i) {
    const Task task = running_[i].task;
    const int64_t tokens = host.chunk(task.id, left);
    if (!make_room(host, task.id, tokens)) break;
    take(task, tokens, shares);
    left -= tokens;
  }
  // Who has just given up room would get it back, only to give it up again.
  if (preemptions_ > before && !shares.empty()) return shares;
  while (!waiting_.empty() && left > 0) {
    const auto next = next_waiting();
    const Task task = next->task;
    if (slots() + task.slots > max_sequences_) break;
    const int64_t tokens = host.chunk(task.id, left);
    if (!host.reserve(task.id, tokens)) {
      host.preempt(task.id);
      break;
    }
    running_.push_back(*next);
    waiting_.erase(next);
    take(task, tokens, shares);
    left -= tokens;
  }
  return shares;
}

}  // namespace lathe
