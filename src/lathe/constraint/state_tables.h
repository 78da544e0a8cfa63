// The states of a grammar's machine, made as they are reached and remembered. Internal to constraint/.
//
// A state is a set of configurations (Bytes node, stack), where stacks share their lower parts and
// equal ones are one: a stack is the number of its topmost frame. Two states with the same set are
// the same number, so a step from a state by a byte that was taken before is one look into a table.
//
// What tokens a state allows depends for most tokens only on the upper part of its stacks. The
// `local` state of a state has that part alone, on a bottom of its own: it is the same at every place
// of the text where the same rule is read, and so is the mask that is made for it (Dong et al. 2024,
// arXiv:2411.15100). A local state that reaches its bottom `escapes`: what follows depends on the
// rest.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

using StateId = int32_t;
using FrameId = uint32_t;
using Mask = std::vector<uint64_t>;  // a bit for each token

struct StateLimits {
  size_t configurations = 4096;  // of one state; more is an error
  uint32_t depth = 512;          // of a stack; what would go deeper is not allowed
  size_t states = 40'000;        // then the tables are full; four times as many are an error
  size_t total = 2'000'000;      // configurations of all states and frames of stacks; the same
  size_t mask_bytes = size_t{64} << 20;
};

// Not thread-safe.
class StateTables {
 public:
  static constexpr StateId kDead = 0;

  // What a place in a rule waits for: after the call the node, after a repeat's part the repeat.
  struct Frame {
    NodeId node;
    uint32_t need, left;  // of a repeat: parts that must, and that may come
    FrameId parent;
    uint32_t depth;
  };
  struct Configuration {
    NodeId node;
    FrameId frame;
    friend auto operator<=>(const Configuration&, const Configuration&) = default;
  };
  struct LocalMask {
    std::shared_ptr<const Mask> sure;  // tokens that are allowed whatever is below
    std::vector<uint32_t> undecided;   // nodes of the token tree that begin below the bottom
  };
  struct State {
    std::vector<Configuration> configurations;
    bool accepting = false;  // the text may end here
    bool escapes = false;
    bool near_only = false;  // of a local state: it says nothing of tokens longer than kNear
    StateId local = -1;      // once it is known
    std::shared_ptr<const Mask> mask;             // once it is known
    std::shared_ptr<const LocalMask> local_mask;  // of a local state, once it is known
  };

  // In local states a repeat that so many bytes cannot get to the end of is without end: its places
  // are one. Longer tokens have to be tried on the whole state there.
  static constexpr uint32_t kNear = 16;

  StateTables(const Grammar& grammar, const StateLimits& limits);

  StateId start() { return start_; }
  // kDead if no text goes on with the byte.
  StateId step(StateId state, uint8_t byte) {
    const StateId known = steps_[static_cast<size_t>(state) * classes_ + class_of_[byte]];
    return known >= 0 ? known : make_step(state, byte);
  }
  StateId local_of(StateId state);

  bool escapes(StateId state) const { return escapes_[static_cast<size_t>(state)] != 0; }
  State& at(StateId state) { return states_[static_cast<size_t>(state)]; }
  bool is_full() const { return exceeds(1); }
  // The same state in these tables as `state` in others of the same grammar.
  StateId adopt(const StateTables& from, StateId state);

 private:
  struct Work {
    std::vector<Configuration> todo;
    std::unordered_set<uint64_t> seen;
    std::unordered_set<FrameId> pushed;  // by repeats since the last byte
    State made;
  };

  bool exceeds(size_t times) const {
    return states_.size() > limits_.states * times ||
           total_ + frames_.size() > limits_.total * times;
  }
  void find_byte_classes();
  StateId make_step(StateId state, uint8_t byte);
  void reach(NodeId node, FrameId frame);
  void close();
  void close_one(const Configuration& c);
  void repeat(NodeId node, uint32_t need, uint32_t left, FrameId parent);
  void pop(FrameId frame);
  StateId finish();
  FrameId push(Frame frame);
  FrameId lowest_common(const std::vector<Configuration>& configurations) const;
  FrameId rebased(FrameId frame, FrameId bottom, bool& clamped);
  FrameId adopt_frame(const StateTables& from, FrameId frame);

  const Grammar& grammar_;
  const StateLimits limits_;
  uint8_t class_of_[256] = {};
  size_t classes_ = 0;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, std::vector<FrameId>> frames_by_hash_;
  std::vector<State> states_;
  std::vector<uint8_t> escapes_;  // of each: what walks through all tokens asks for
  std::unordered_map<uint64_t, std::vector<StateId>> states_by_hash_;
  std::vector<StateId> steps_;  // states × classes; -1 unknown
  size_t total_ = 0;            // configurations of all states
  Work work_;
  StateId start_ = kDead;
};

}  // namespace lathe::constraint
