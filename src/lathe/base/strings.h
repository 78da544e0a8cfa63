// Small text helpers shared by messages and reports.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The candidate with the smallest edit distance to `word`, if it is close enough to be a typo.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

// " Did you mean 'x'?" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

std::string join(std::span<const std::string> words, std::string_view separator);
// "a, b, c and 7 more": at most 6 of them.
std::string join_some(std::span<const std::string> words);

std::string human_bytes(double bytes);                  // 1536 -> "1.5 KiB"
std::string human_count(double count);                  // 25800000 -> "25.8M"
std::string human_time(double seconds);                 // 75 -> "1m15s"
std::string counted(int64_t n, std::string_view noun);  // "1 file", "2 files"

}  // namespace lathe
