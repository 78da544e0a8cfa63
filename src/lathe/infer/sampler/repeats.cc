// Read backwards, "a passage that ends the text and occurs earlier" is a prefix of the reversed
// text that occurs later in it. The Z-algorithm (Gusfield 1997) gives, for every position, the
// length of the longest such prefix in one linear pass: [left, right) is the match found so far
// that reaches furthest, and inside it earlier answers hold.
#include "lathe/infer/sampler/repeats.h"

#include <algorithm>

namespace lathe {

std::vector<Repeat> find_repeats(const TokenHistory& history, int64_t range) {
  size_t n = history.size();
  if (range > 0) n = std::min(n, static_cast<size_t>(range));
  std::vector<int32_t> s(n);
  for (size_t i = 0; i < n; ++i) s[i] = history[history.size() - 1 - i];

  std::vector<size_t> z(n + 1, 0);
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && s[z[i]] == s[i + z[i]]) ++z[i];
    if (i + z[i] > right) left = i, right = i + z[i];
  }
  std::vector<Repeat> repeats(n);
  for (size_t i = 0; i < n; ++i) repeats[i] = {s[i], static_cast<int64_t>(z[i + 1])};
  return repeats;
}

}  // namespace lathe
