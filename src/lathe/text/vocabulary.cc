#include "lathe/text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lathe/base/error.h"

namespace lathe {

uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kMul = 0x9E3779B97F4A7C15ull;
  uint64_t h = bytes.size() * kMul;
  const char* p = bytes.data();
  size_t n = bytes.size();
  const auto mix = [&h](uint64_t word) {
    h = (h ^ word) * kMul;
    h ^= h >> 32;
  };
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    mix(word);
  }
  if (n > 0) {
    uint64_t word = 0;
    std::memcpy(&word, p, n);
    mix(word);
  }
  h *= 0xD6E8FEB86659FD93ull;
  return h ^ (h >> 29);
}

Vocabulary::Vocabulary(const std::vector<VocabularyEntry>& entries, std::string_view origin) {
  constexpr std::string_view kWhere = "vocabulary";
  int32_t highest = -1;
  size_t bytes_in_all = 0;
  for (const VocabularyEntry& e : entries) {
    require(e.id >= 0 && e.id <= kMaxId, ErrorKind::kFormat, kWhere,
            "{}: token '{}' has id {}, expected 0 to {}", origin, e.bytes, e.id, kMaxId);
    highest = std::max(highest, e.id);
    bytes_in_all += e.bytes.size();
    longest_ = std::max(longest_, e.bytes.size());
  }
  count_ = static_cast<int32_t>(entries.size());
  present_.assign(static_cast<size_t>(highest) + 1, kAbsent);
  std::vector<const VocabularyEntry*> by_id(present_.size(), nullptr);
  for (const VocabularyEntry& e : entries) {
    require(by_id[e.id] == nullptr, ErrorKind::kFormat, kWhere,
            "{}: id {} is given to two tokens, '{}' and '{}'", origin, e.id,
            by_id[e.id] ? by_id[e.id]->bytes : "", e.bytes);
    by_id[e.id] = &e;
    present_[e.id] = e.literal ? kLiteral : kBytes;
  }
  buffer_.reserve(bytes_in_all);
  offsets_.reserve(by_id.size() + 1);
  for (const VocabularyEntry* e : by_id) {
    offsets_.push_back(buffer_.size());
    if (e != nullptr) buffer_ += e->bytes;
  }
  offsets_.push_back(buffer_.size());

  table_ = ProbingTable<Slot>(std::bit_ceil(2 * entries.size() + 2));
  for (int32_t id = 0; id < size(); ++id) {
    if (!has(id)) continue;
    require(!look_up(bytes(id), static_cast<Presence>(present_[id])), ErrorKind::kFormat, kWhere,
            "{}: token '{}' is listed twice", origin, bytes(id));
    table_.add(hash_bytes(bytes(id)), {id});
  }
}

std::optional<int32_t> Vocabulary::look_up(std::string_view wanted, Presence kind) const {
  const Slot& slot = table_.find(hash_bytes(wanted), [&](const Slot& s) {
    return present_[s.id] == kind && bytes(s.id) == wanted;
  });
  return slot.free() ? std::nullopt : std::optional(slot.id);
}

}  // namespace lathe
