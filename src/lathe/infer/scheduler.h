// Decides what the engine computes next: continuous batching (Orca, Yu et al. 2022, OSDI) with
// prompts in chunks (Sarathi, Agrawal et al. 2023, arXiv:2308.16369). It knows sequences by number,
// and nothing of models and caches; what it asks of them is SchedulerHost.
//
// A pass has at most token_budget tokens. Higher priorities come first, waiting sequences included;
// within one, running sequences before waiting ones, those that decode before those that read a
// prompt, then the oldest. If there is no room or no slot for a sequence, those behind it give
// theirs up, the last one first, and wait again (preemption by recompute); a waiting one takes
// nothing from its own priority. Among waiting sequences of equal priority the client that has been served the fewest tokens is next (Sheng et al. 2023,
// arXiv:2401.00588), and of one client the oldest.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

class SchedulerHost {
 public:
  virtual ~SchedulerHost() = default;
  // How many tokens of `id` the next pass should have, if it may have `most` (at least 1): more only
  // if they cannot be parted. 0 for one that waits for others.
  virtual int64_t chunk(int64_t id, int64_t most) = 0;
  // Whether the sequence reads its prompt still.
  virtual bool reads_prompt(int64_t id) const = 0;
  // Room for so many more tokens; false if there is none.
  virtual bool reserve(int64_t id, int64_t tokens) = 0;
  // Gives up all that the sequence holds.
  virtual void preempt(int64_t id) = 0;
};

class Scheduler {
 public:
  struct Task {
    int64_t id = 0;
    int64_t priority = 0;
    std::string client = {};
    int64_t slots = 1;  // sequences that it will become
  };
  struct Share {
    int64_t id, tokens;
  };

  // Without `preempts` nobody has to give up anything for a higher priority: for hosts whose
  // sequences reserve all that they will need when they begin.
  Scheduler(int64_t token_budget, int64_t max_sequences, bool preempts = true)
      : token_budget_(token_budget), max_sequences_(max_sequences), preempts_(preempts) {}

  // A new sequence waits; one that comes from another runs.
  void add_waiting(const Task& task) { waiting_.push_back(arriving(task)); }
  void add_running(const Task& task) { running_.push_back(arriving(task)); }
  void remove(int64_t id);
  void set_slots(int64_t id, int64_t slots);

  // The next pass; empty only if nothing waits or runs.
  std::vector<Share> plan(SchedulerHost& host);

  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t preemptions() const { return preemptions_; }

 private:
  struct Arrived {
    Task task;
    int64_t arrival;
  };

  Arrived arriving(const Task& task);
  void sort_running(const SchedulerHost& host);
  bool make_room(SchedulerHost& host, size_t place, int64_t tokens);
  void preempt_last(SchedulerHost& host);
  std::vector<Arrived>::iterator next_waiting();
  int64_t slots() const;
  std::optional<Share> admit(SchedulerHost& host, size_t place, int64_t most);

  int64_t token_budget_, max_sequences_;
  bool preempts_;
  std::vector<Arrived> waiting_, running_;
  std::map<std::string, int64_t> served_;  // tokens, by client
  int64_t arrivals_ = 0, preemptions_ = 0;
  std::optional<int64_t> barrier_;  // in plan(): the highest priority of those that gave up room
};

}  // namespace lathe
