// Constrained decoding: which tokens may come next so that an answer fits a grammar.
//
//   auto vocabulary = std::make_shared<TokenVocabulary>(bytes_by_id, ends);
//   const Constraint constraint(constraint::regex_grammar("[0-9]+ (apples|pears)"), vocabulary);
//   Matcher matcher = constraint.matcher();
//   while (!matcher.finished()) {
//     const int32_t id = pick(logits, matcher.mask());   // a bit for each allowed token
//     matcher.accept(id);
//   }
//
// A grammar is made from a regular expression (regex_grammar.h), a list of choices (choice_grammar.h), GBNF
// (gbnf.h) or a JSON Schema (schema_grammar.h); docs/constraints.md says what each may hold and what
// it costs. Making one, and a Constraint of it, needs no model and belongs on another thread than decoding.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/constraint/grammar.h"
#include "lathe/constraint/state_tables.h"
#include "lathe/constraint/token_vocabulary.h"

namespace lathe {

class Matcher;

// A grammar on a vocabulary. Thread-safe: matchers on several threads share what is remembered of it.
class Constraint {
 public:
  Constraint(constraint::Grammar grammar, std::shared_ptr<const TokenVocabulary> vocabulary,
             const constraint::StateLimits& limits = {});
  ~Constraint();

  // At the beginning of a text. The Constraint must outlive it.
  Matcher matcher() const;
  const TokenVocabulary& vocabulary() const { return *vocabulary_; }

 private:
  friend class Matcher;
  using Tables = std::shared_ptr<constraint::StateTables>;
  using MaskPtr = std::shared_ptr<const constraint::Mask>;

  // A place in a text. States stand in tables, which are replaced when they are full.
  struct Place {
    Tables tables;
    constraint::StateId state = 0;
  };
  void renew(Place& place) const;
  constraint::StateId after(Place& place, std::string_view bytes) const;
  MaskPtr mask(Place& place) const;
  std::shared_ptr<const constraint::StateTables::LocalMask> local_mask(
      constraint::StateTables& tables, constraint::StateId local) const;
  MaskPtr whole_mask(constraint::StateTables& tables, constraint::StateId state,
                     const constraint::StateTables::LocalMask& local) const;
  MaskPtr counted(MaskPtr mask) const;
  void decide(constraint::StateTables& tables, constraint::StateId state, uint32_t node,
              std::vector<std::pair<uint32_t, constraint::StateId>>& path,
              constraint::Mask& mask) const;

  const constraint::Grammar grammar_;
  const std::shared_ptr<const TokenVocabulary> vocabulary_;
  const constraint::StateLimits limits_;
  mutable std::mutex mutex_;  // of all below, and of the tables
  mutable Tables tables_;
  mutable size_t mask_bytes_ = 0;  // of the masks in tables_
};

// How far one answer has come. A copy is a fork: both go on apart. Not thread-safe; copies of one may
// be used on several threads.
class Matcher {
 public:
  static constexpr size_t kHistory = 512;  // tokens that can be undone

  // A bit for each id, in words of 64: whether the token may come next. Valid as long as the pointer
  // is held. Throws kConfig where the grammar is too ambiguous to go on.
  std::shared_ptr<const constraint::Mask> mask();
  bool allows(int32_t id);

  // Takes a token, or leaves everything as it is and returns false if it is not allowed.
  bool accept(int32_t id);
  // The same for bytes, as a token of their own.
  bool accept_bytes(std::string_view bytes);
  // Takes the last `count` tokens back. Throws kUsage for more than are remembered.
  void undo(size_t count);
  size_t undoable() const { return history_.size(); }

  bool can_end();                              // the text fits as it is
  bool finished() const { return finished_; }  // an end token was taken
  // The text fits, and nothing can follow.
  bool must_end();

  // The bytes that must come next, at most `limit`; empty where there is a choice or the text may end.
  std::string forced_bytes(size_t limit = 256);
  // The vocabulary's tokens of these bytes, which cost no forward pass each. The last of them is left
  // out, unless it is a mark, if bytes that follow could have become part of it; behind the end of the text comes the
  // token that ends it, if there is but one. Does not accept them.
  std::vector<int32_t> forced_tokens(size_t limit = 256);

 private:
  friend class Constraint;
  Matcher(const Constraint& owner, Constraint::Place place)
      : owner_(&owner), place_(std::move(place)) {}
  std::optional<uint8_t> only_byte(const Constraint::Place& place) const;
  std::string force(Constraint::Place& place, size_t limit) const;
  static bool must_end_at(const Constraint::Place& place);
  void remember();

  const Constraint* owner_;
  Constraint::Place place_;
  bool finished_ = false;
  std::deque<std::pair<Constraint::Place, bool>> history_;  // before each token; finished
};

// Whether the bit of a token is set.
inline bool has_bit(const constraint::Mask& mask, int32_t id) {
  return mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1;
}

// Sets what is not allowed to minus infinity. [logits] may be longer than the mask, as models' vocabularies are
// that were padded: what is behind it is not allowed.
void keep_allowed(const constraint::Mask& mask, std::span<float> logits);

}  // namespace lathe
