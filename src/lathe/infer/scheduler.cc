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
  const Arrived& last = running_.back();
  host.preempt(last.task.id);
  barrier_ = std::max(barrier_.value_or(last.task.priority), last.task.priority);
  waiting_.push_back(last);
  running_.pop_back();
  ++preemptions_;
}

// Room for the running sequence at `place`, at the expense of those behind it and at last its own.
bool Scheduler::make_room(SchedulerHost& host, size_t place, int64_t tokens) {
  const int64_t id = running_[place].task.id;
  while (!host.reserve(id, tokens)) {
    const bool is_last = place + 1 == running_.size();
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

// The next waiting sequence, if it may begin: those at `place` and behind it, which are of lower
// priority, give up slots and room for it.
std::optional<Scheduler::Share> Scheduler::admit(SchedulerHost& host, size_t place, int64_t most) {
  const auto next = next_waiting();
  const Arrived arrived = *next;
  const Task& task = arrived.task;
  // Who has just given up room would get it back, only to give it up again.
  if (barrier_ && task.priority <= *barrier_) return std::nullopt;
  waiting_.erase(next);
  const auto refuse = [&] {
    waiting_.push_back(arrived);
    return std::nullopt;
  };
  const auto can_take = [&] { return preempts_ && running_.size() > place; };
  while (slots() + task.slots > max_sequences_) {
    if (!can_take()) return refuse();
    preempt_last(host);
  }
  const int64_t tokens = host.chunk(task.id, most);
  while (!host.reserve(task.id, tokens)) {
    if (!can_take()) {
      host.preempt(task.id);
      return refuse();
    }
    preempt_last(host);
  }
  running_.insert(running_.begin() + static_cast<std::ptrdiff_t>(place), arrived);
  return Share{task.id, tokens};
}

// Running sequences in the order of their rank; before the first of a priority those that wait with
// a higher one. What was planned stays: room is taken from the end of the list.
std::vector<Scheduler::Share> Scheduler::plan(SchedulerHost& host) {
  std::vector<Share> shares;
  barrier_.reset();
  sort_running(host);
  bool open = true;
  int64_t left = token_budget_;
  for (size_t place = 0; left > 0;) {
    const bool runs = place < running_.size();
    const bool waits = open && !waiting_.empty() &&
                       (!runs || next_waiting()->task.priority > running_[place].task.priority);
    if (!runs && !waits) break;
    std::optional<Share> share;
    if (waits) {
      share = admit(host, place, left);
      open = share.has_value();
    } else {
      const int64_t id = running_[place].task.id, tokens = host.chunk(id, left);
      if (tokens == 0) {
        ++place;
        continue;
      }
      if (make_room(host, place, tokens)) share = Share{id, tokens};
      if (shares.empty() && running_.empty()) barrier_.reset();  // somebody has to go on
    }
    if (!share) continue;
    served_[running_[place++].task.client] += share->tokens;
    shares.push_back(*share);
    left -= share->tokens;
  }
  return shares;
}

}  // namespace lathe
