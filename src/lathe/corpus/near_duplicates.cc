#include "lathe/corpus/near_duplicates.h"

#include <algorithm>
#include <limits>

#include "lathe/corpus/word_hashes.h"

namespace lathe {

std::optional<size_t> NearDuplicates::add(std::span<const uint64_t> set) {
  const auto number = static_cast<uint32_t>(all_.size());
  Minima& own = all_.emplace_back();
  own.fill(std::numeric_limits<uint32_t>::max());
  if (set.empty()) return std::nullopt;
  for (const uint64_t each : set)
    for (size_t i = 0; i < kMinima; ++i)
      own[i] = std::min(own[i],
                        static_cast<uint32_t>(mixed(each + 0x9E3779B97F4A7C15ull * (i + 1)) >> 32));
  std::vector<uint32_t> candidates;
  for (size_t first = 0; first < kMinima; first += kGroup) {
    uint64_t hash = mixed(first + 1);
    for (size_t i = first; i < first + kGroup; ++i) hash = mixed(hash ^ own[i]);
    std::vector<uint32_t>& there = groups_[hash];
    candidates.insert(candidates.end(), there.begin(), there.end());
    there.push_back(number);
  }
  std::ranges::sort(candidates);
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const uint32_t other : candidates) {
    size_t equal = 0;
    for (size_t i = 0; i < kMinima; ++i) equal += own[i] == all_[other][i] ? 1 : 0;
    if (static_cast<double>(equal) >= resemblance_ * kMinima) return other;
  }
  return std::nullopt;
}

}  // namespace lathe
