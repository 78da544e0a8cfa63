#include "lathe/constraint/state_tables.h"

#include <algorithm>
#include <array>

#include "lathe/base/error.h"

namespace lathe::constraint {
namespace {

using Kind = GrammarNode::Kind;
constexpr FrameId kRoot = 0;    // nothing below: the text may end
constexpr FrameId kBottom = 1;  // of local states

uint64_t mixed(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15 + (hash << 6) + (hash >> 2);
  return hash * 0xD6E8FEB86659FD93;
}

uint64_t key_of(NodeId node, FrameId frame) { return static_cast<uint64_t>(node) << 32 | frame; }

}  // namespace

StateTables::StateTables(const Grammar& grammar, const StateLimits& limits)
    : grammar_(grammar), limits_(limits) {
  find_byte_classes();
  frames_ = {{0, 0, 0, kRoot, 0}, {0, 0, 0, kBottom, 0}};
  finish();  // the dead state
  reach(grammar.start, kRoot);
  close();
  start_ = finish();
}

// Bytes that no edge tells apart are one class.
void StateTables::find_byte_classes() {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const GrammarNode& n : grammar_.nodes)
    for (const GrammarNode::Edge& e : n.edges)
      begins[e.bytes.low] = begins[e.bytes.high + 1] = true;
  for (size_t b = 0; b < 256; ++b) {
    if (b > 0 && begins[b]) ++classes_;
    class_of_[b] = static_cast<uint8_t>(classes_);
  }
  ++classes_;
}

StateId StateTables::make_step(StateId state, uint8_t byte) {
  for (const Configuration& c : states_[static_cast<size_t>(state)].configurations)
    for (const GrammarNode::Edge& e : grammar_.nodes[c.node].edges)
      if (e.bytes.low <= byte && byte <= e.bytes.high) reach(e.target, c.frame);
  close();
  const StateId made = finish();
  steps_[static_cast<size_t>(state) * classes_ + class_of_[byte]] = made;
  return made;
}

void StateTables::reach(NodeId node, FrameId frame) {
  if (work_.seen.insert(key_of(node, frame)).second) work_.todo.push_back({node, frame});
}

// Follows everything that needs no byte.
void StateTables::close() {
  while (!work_.todo.empty()) {
    const Configuration c = work_.todo.back();
    work_.todo.pop_back();
    close_one(c);
    if (work_.seen.size() <= limits_.configurations) continue;
    work_ = {};  // other places can still be read
    fail(ErrorKind::kConfig, "constraint",
         "the grammar can be read in more than {} ways at one place; make it less ambiguous",
         limits_.configurations);
  }
}

void StateTables::close_one(const Configuration& c) {
  const GrammarNode& n = grammar_.nodes[c.node];
  switch (n.kind) {
    case Kind::kBytes:
      work_.made.configurations.push_back(c);
      return;
    case Kind::kSplit:
      for (const NodeId target : n.targets) reach(target, c.frame);
      return;
    case Kind::kCall:
      // The last call of a rule needs no way back.
      if (grammar_.nodes[n.next].kind == Kind::kEnd) return reach(n.start, c.frame);
      if (frames_[c.frame].depth >= limits_.depth) return;
      return reach(n.start, push({n.next, 0, 0, c.frame, 0}));
    case Kind::kRepeat:
      return repeat(c.node, n.min, n.max, c.frame);
    case Kind::kEnd:
      return pop(c.frame);
  }
}

void StateTables::repeat(NodeId node, uint32_t need, uint32_t left, FrameId parent) {
  const GrammarNode& n = grammar_.nodes[node];
  if (need == 0) reach(n.next, parent);
  if (left == 0 || frames_[parent].depth >= limits_.depth) return;
  const FrameId frame = push({node, need, left, parent, 0});
  if (work_.pushed.insert(frame).second) reach(n.start, frame);
}

void StateTables::pop(FrameId frame) {
  if (frame == kRoot) {
    work_.made.accepting = true;
  } else if (frame == kBottom) {
    work_.made.escapes = true;
  } else {
    const Frame f = frames_[frame];
    const GrammarNode& n = grammar_.nodes[f.node];
    if (n.kind != Kind::kRepeat || f.left == 0) return reach(f.node, f.parent);
    if (work_.pushed.contains(frame)) return;  // an empty part adds nothing
    const auto less = [](uint32_t count) {
      return count == 0 || count == kUnbounded ? count : count - 1;
    };
    repeat(f.node, less(f.need), less(f.left), f.parent);
  }
}

// The number of the state that was put together.
StateId StateTables::finish() {
  State made = std::move(work_.made);
  work_.made = {};
  work_.seen.clear();
  work_.pushed.clear();
  std::ranges::sort(made.configurations);
  uint64_t hash = (made.accepting ? 1 : 0) | (made.escapes ? 2 : 0) | (made.near_only ? 4 : 0);
  for (const Configuration& c : made.configurations) hash = mixed(hash, key_of(c.node, c.frame));
  std::vector<StateId>& same_hash = states_by_hash_[hash];
  for (const StateId id : same_hash) {
    const State& s = states_[static_cast<size_t>(id)];
    if (s.accepting == made.accepting && s.escapes == made.escapes &&
        s.near_only == made.near_only && s.configurations == made.configurations)
      return id;
  }
  require(!exceeds(4), ErrorKind::kConfig, "constraint",
          "the grammar can be read in too many ways: one token needs more than {} states; make it "
          "less ambiguous",
          limits_.states * 4);
  const auto id = static_cast<StateId>(states_.size());
  same_hash.push_back(id);
  total_ += made.configurations.size();
  escapes_.push_back(made.escapes ? 1 : 0);
  states_.push_back(std::move(made));
  steps_.resize(states_.size() * classes_, -1);
  return id;
}

FrameId StateTables::push(Frame frame) {
  frame.depth = frames_[frame.parent].depth + 1;
  const uint64_t hash = mixed(mixed(key_of(frame.node, frame.parent), frame.need), frame.left);
  std::vector<FrameId>& same_hash = frames_by_hash_[hash];
  for (const FrameId id : same_hash) {
    const Frame& f = frames_[id];
    if (f.node == frame.node && f.need == frame.need && f.left == frame.left &&
        f.parent == frame.parent)
      return id;
  }
  const auto id = static_cast<FrameId>(frames_.size());
  same_hash.push_back(id);
  frames_.push_back(frame);
  return id;
}

// The topmost frame that is in all stacks.
FrameId StateTables::lowest_common(const std::vector<Configuration>& configurations) const {
  FrameId common = configurations[0].frame;
  for (const Configuration& c : configurations) {
    FrameId other = c.frame;
    while (common != other) {
      FrameId& deeper = frames_[common].depth >= frames_[other].depth ? common : other;
      deeper = frames_[deeper].parent;
    }
  }
  return common;
}

// The part of a stack above `bottom`, on the bottom of local states.
FrameId StateTables::rebased(FrameId frame, FrameId bottom, bool& clamped) {
  std::vector<Frame> above;
  for (; frame != bottom; frame = frames_[frame].parent) above.push_back(frames_[frame]);
  FrameId made = kBottom;
  const auto near = [&](uint32_t count) {
    if (count <= kNear || count == kUnbounded) return count;
    clamped = true;
    return kUnbounded;
  };
  for (auto f = above.rbegin(); f != above.rend(); ++f)
    made = push({f->node, near(f->need), near(f->left), made, 0});
  return made;
}

StateId StateTables::local_of(StateId state) {
  if (at(state).local >= 0) return at(state).local;
  const std::vector<Configuration> configurations = at(state).configurations;
  if (!configurations.empty()) {
    const FrameId bottom = lowest_common(configurations);
    for (const Configuration& c : configurations)
      work_.made.configurations.push_back({c.node, rebased(c.frame, bottom, work_.made.near_only)});
  }
  const StateId made = finish();
  at(state).local = made;
  return made;
}

FrameId StateTables::adopt_frame(const StateTables& from, FrameId frame) {
  std::vector<Frame> above;
  for (; frame != kRoot && frame != kBottom; frame = from.frames_[frame].parent)
    above.push_back(from.frames_[frame]);
  FrameId made = frame;
  for (auto f = above.rbegin(); f != above.rend(); ++f)
    made = push({f->node, f->need, f->left, made, 0});
  return made;
}

StateId StateTables::adopt(const StateTables& from, StateId state) {
  const State& old = from.states_[static_cast<size_t>(state)];
  work_.made.accepting = old.accepting;
  work_.made.escapes = old.escapes;
  for (const Configuration& c : old.configurations)
    work_.made.configurations.push_back({c.node, adopt_frame(from, c.frame)});
  return finish();
}

}  // namespace lathe::constraint
