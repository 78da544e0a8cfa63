#include "lathe/constraint/constraint.h"

#include <algorithm>
#include <limits>

#include "lathe/base/error.h"

namespace lathe {

using constraint::Mask;
using constraint::StateId;
using constraint::StateTables;

namespace {

void set_bit(Mask& mask, int32_t id) {
  mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
}

}  // namespace

void keep_allowed(const Mask& mask, std::span<float> logits) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t word = begin / 64 < mask.size() ? mask[begin / 64] : 0;
    if (word == ~uint64_t{0}) continue;
    const size_t end = std::min(begin + 64, logits.size());
    for (size_t i = begin; i < end; ++i)
      if ((word >> (i - begin) & 1) == 0) logits[i] = kNever;
  }
}

Constraint::Constraint(constraint::Grammar grammar,
                       std::shared_ptr<const TokenVocabulary> vocabulary,
                       const constraint::StateLimits& limits)
    : grammar_(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      limits_(limits),
      tables_(std::make_shared<StateTables>(grammar_, limits_)) {}

Constraint::~Constraint() = default;

Matcher Constraint::matcher() const {
  const std::lock_guard lock(mutex_);
  return Matcher(*this, {tables_, tables_->start()});
}

// Moves a place from tables that are no longer used, and begins new ones when these are full.
void Constraint::renew(Place& place) const {
  if (tables_->is_full() || mask_bytes_ > limits_.mask_bytes) {
    tables_ = std::make_shared<StateTables>(grammar_, limits_);
    mask_bytes_ = 0;
  }
  if (place.tables == tables_) return;
  place.state = tables_->adopt(*place.tables, place.state);
  place.tables = tables_;
}

StateId Constraint::after(Place& place, std::string_view bytes) const {
  renew(place);
  StateId state = place.state;
  for (const char byte : bytes) {
    state = place.tables->step(state, static_cast<uint8_t>(byte));
    if (state == StateTables::kDead) break;
  }
  return state;
}

Constraint::MaskPtr Constraint::counted(MaskPtr mask) const {
  mask_bytes_ += mask->size() * sizeof(uint64_t);
  return mask;
}

Constraint::MaskPtr Constraint::mask(Place& place) const {
  const std::lock_guard lock(mutex_);
  renew(place);
  StateTables& tables = *place.tables;
  if (const MaskPtr& known = tables.at(place.state).mask) return known;
  const auto local = local_mask(tables, tables.local_of(place.state));
  const bool is_whole = local->undecided.empty() && !tables.at(place.state).accepting;
  MaskPtr made = is_whole ? local->sure : whole_mask(tables, place.state, *local);
  tables.at(place.state).mask = made;
  return made;
}

// Goes through the tree of tokens once, leaving out what is below a dead state.
std::shared_ptr<const StateTables::LocalMask> Constraint::local_mask(StateTables& tables,
                                                                     StateId local) const {
  if (const auto& known = tables.at(local).local_mask) return known;
  auto made = std::make_shared<StateTables::LocalMask>();
  auto sure = std::make_shared<Mask>((vocabulary_->size() + 63) / 64);
  struct Level {
    StateId state;
    bool escaped;  // here or further up
  };
  std::vector<Level> levels(vocabulary_->longest() + 1);
  levels[0] = {local, tables.escapes(local)};
  const auto& nodes = vocabulary_->nodes();
  const uint32_t deepest = tables.at(local).near_only ? StateTables::kNear : UINT32_MAX;
  for (uint32_t i = 0; i < nodes.size();) {
    const TokenVocabulary::Node& node = nodes[i];
    if (node.depth > deepest) {
      made->undecided.push_back(i);
      i = node.behind;
      continue;
    }
    const Level above = levels[node.depth - 1];
    const StateId state = tables.step(above.state, node.byte);
    if (state == StateTables::kDead) {
      if (above.escaped) made->undecided.push_back(i);
      i = node.behind;
      continue;
    }
    levels[node.depth] = {state, above.escaped || tables.escapes(state)};
    for (uint32_t t = node.first; t < node.last; ++t) set_bit(*sure, vocabulary_->ids()[t]);
    ++i;
  }
  made->sure = counted(std::move(sure));
  tables.at(local).local_mask = made;
  return made;
}

// What the local mask leaves open is tried on the whole state.
Constraint::MaskPtr Constraint::whole_mask(StateTables& tables, StateId state,
                                           const StateTables::LocalMask& local) const {
  auto mask = std::make_shared<Mask>(*local.sure);
  std::vector<std::pair<uint32_t, StateId>> path;  // nodes and states down to the last one tried
  for (const uint32_t node : local.undecided) decide(tables, state, node, path, *mask);
  if (tables.at(state).accepting)
    for (const int32_t end : vocabulary_->ends()) set_bit(*mask, end);
  return counted(std::move(mask));
}

// Tries `node` of the tree and all below it. `path` is reused where two nodes have the same way down.
void Constraint::decide(StateTables& tables, StateId state, uint32_t node,
                        std::vector<std::pair<uint32_t, StateId>>& path, Mask& mask) const {
  const auto& nodes = vocabulary_->nodes();
  std::vector<uint32_t> down(nodes[node].depth);
  for (uint32_t at = node, depth = nodes[node].depth; depth-- > 0; at = nodes[at].parent)
    down[depth] = at;
  size_t shared = 0;
  while (shared < std::min(path.size(), down.size() - 1) && path[shared].first == down[shared])
    ++shared;
  path.resize(shared);
  for (size_t i = shared; i < down.size(); ++i) {
    const StateId above = i == 0 ? state : path[i - 1].second;
    path.emplace_back(down[i], tables.step(above, nodes[down[i]].byte));
  }
  for (uint32_t i = node; i < nodes[node].behind;) {
    const size_t depth = nodes[i].depth;
    if (i != node) {
      path.resize(depth - 1);
      path.emplace_back(i, tables.step(path[depth - 2].second, nodes[i].byte));
    }
    if (path[depth - 1].second == StateTables::kDead) {
      i = nodes[i].behind;
      continue;
    }
    for (uint32_t t = nodes[i].first; t < nodes[i].last; ++t) set_bit(mask, vocabulary_->ids()[t]);
    ++i;
  }
  path.resize(down.size());
}

std::shared_ptr<const Mask> Matcher::mask() {
  if (finished_) return std::make_shared<Mask>((owner_->vocabulary_->size() + 63) / 64);
  return owner_->mask(place_);
}

bool Matcher::allows(int32_t id) {
  if (finished_ || !owner_->vocabulary_->has(id)) return false;
  if (owner_->vocabulary_->is_end(id)) return can_end();
  const std::string& bytes = owner_->vocabulary_->bytes(id);
  const std::lock_guard lock(owner_->mutex_);
  return !bytes.empty() && owner_->after(place_, bytes) != StateTables::kDead;
}

void Matcher::remember() {
  if (history_.size() == kHistory) history_.pop_front();
  history_.emplace_back(place_, finished_);
}

bool Matcher::accept(int32_t id) {
  if (finished_ || !owner_->vocabulary_->has(id)) return false;
  if (!owner_->vocabulary_->is_end(id)) return accept_bytes(owner_->vocabulary_->bytes(id));
  if (!can_end()) return false;
  remember();
  finished_ = true;
  return true;
}

bool Matcher::accept_bytes(std::string_view bytes) {
  if (finished_ || bytes.empty()) return false;
  const std::lock_guard lock(owner_->mutex_);
  const StateId state = owner_->after(place_, bytes);
  if (state == StateTables::kDead) return false;
  remember();
  place_.state = state;
  return true;
}

void Matcher::undo(size_t count) {
  require(count <= history_.size(), ErrorKind::kUsage, "constraint",
          "{} tokens cannot be taken back, because {} are remembered", count, history_.size());
  if (count == 0) return;
  std::tie(place_, finished_) = history_[history_.size() - count];
  history_.resize(history_.size() - count, {place_, finished_});
}

bool Matcher::can_end() {
  const std::lock_guard lock(owner_->mutex_);
  return place_.tables->at(place_.state).accepting;
}

bool Matcher::must_end_at(const Constraint::Place& place) {
  const StateTables::State& s = place.tables->at(place.state);
  return s.accepting && s.configurations.empty();
}

bool Matcher::must_end() {
  const std::lock_guard lock(owner_->mutex_);
  return must_end_at(place_);
}

std::optional<uint8_t> Matcher::only_byte(const Constraint::Place& place) const {
  const StateTables::State& s = place.tables->at(place.state);
  if (s.accepting) return std::nullopt;
  std::optional<uint8_t> only;
  for (const StateTables::Configuration& c : s.configurations)
    for (const auto& edge : owner_->grammar_.nodes[c.node].edges) {
      if (edge.bytes.low != edge.bytes.high || (only && *only != edge.bytes.low))
        return std::nullopt;
      only = edge.bytes.low;
    }
  return only;
}

// Takes `place` along the bytes that must come next, with the lock held.
std::string Matcher::force(Constraint::Place& place, size_t limit) const {
  std::string out;
  while (!finished_ && out.size() < limit) {
    owner_->renew(place);
    const std::optional<uint8_t> byte = only_byte(place);
    if (!byte) break;
    out += static_cast<char>(*byte);
    place.state = place.tables->step(place.state, *byte);
  }
  return out;
}

std::string Matcher::forced_bytes(size_t limit) {
  const std::lock_guard lock(owner_->mutex_);
  Constraint::Place place = place_;
  return force(place, limit);
}

std::vector<int32_t> Matcher::forced_tokens(size_t limit) {
  if (finished_) return {};
  std::string bytes;
  bool ends = false;
  {
    const std::lock_guard lock(owner_->mutex_);
    Constraint::Place place = place_;
    bytes = force(place, limit);
    ends = must_end_at(place);
  }
  // Of a token by itself that is only certain in part, nothing is.
  if (const size_t mark = bytes.rfind(constraint::kTokenMark);
      mark != std::string::npos && bytes.size() - mark < constraint::kTokenBytes)
    bytes.resize(mark);
  const TokenVocabulary& vocabulary = *owner_->vocabulary_;
  std::vector<int32_t> ids = vocabulary.encode(bytes);
  if (ids.empty() && !bytes.empty()) return {};
  if (!ends && !ids.empty() && !vocabulary.is_mark(ids.back()))
    ids.pop_back();
  else if (ends && vocabulary.ends().size() == 1)
    ids.push_back(vocabulary.ends().front());
  return ids;
}

}  // namespace lathe
