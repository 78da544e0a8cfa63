// The tokens of a model: ids to bytes and bytes to ids.
//
// A token is normally a string of bytes. A `literal` token is one whose text cannot be written in
// the byte alphabet (see byte_alphabet.h): a special token with a character of its own, say. It is
// kept as its UTF-8 text, never results from merging, and is found by find_literal() only.
//
// All strings lie in one buffer and the ids in one open-addressing table: a vocabulary of 100,000
// tokens is built in a few milliseconds. Immutable, hence thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/probing_table.h"

namespace lathe {

struct VocabularyEntry {
  int32_t id = 0;
  std::string bytes;
  bool literal = false;
};

class Vocabulary {
 public:
  static constexpr int32_t kMaxId = (1 << 21) - 2;  // see PairTable

  Vocabulary() = default;
  // Throws kFormat, naming `origin`, on an id that is negative, above kMaxId or given twice, and on
  // a token given twice. Ids may have gaps.
  Vocabulary(const std::vector<VocabularyEntry>& entries, std::string_view origin);

  // One more than the highest id.
  int32_t size() const { return static_cast<int32_t>(present_.size()); }
  // Number of tokens.
  int32_t count() const { return count_; }
  bool has(int32_t id) const { return id >= 0 && id < size() && present_[id] != kAbsent; }
  bool is_literal(int32_t id) const { return present_[id] == kLiteral; }
  // Requires has(id).
  std::string_view bytes(int32_t id) const {
    return std::string_view(buffer_).substr(offsets_[id], offsets_[id + 1] - offsets_[id]);
  }
  std::optional<int32_t> find(std::string_view bytes) const { return look_up(bytes, kBytes); }
  std::optional<int32_t> find_literal(std::string_view text) const {
    return look_up(text, kLiteral);
  }
  size_t longest() const { return longest_; }

 private:
  enum Presence : uint8_t { kAbsent, kBytes, kLiteral };
  std::optional<int32_t> look_up(std::string_view bytes, Presence kind) const;

  std::string buffer_;
  std::vector<uint64_t> offsets_;
  std::vector<uint8_t> present_;
  struct Slot {
    int32_t id = -1;
    bool free() const { return id < 0; }
  };
  ProbingTable<Slot> table_;
  size_t longest_ = 0;
  int32_t count_ = 0;
};

// A fast hash of a short string for tables inside one process; never written to disk.
uint64_t hash_bytes(std::string_view bytes);

}  // namespace lathe
