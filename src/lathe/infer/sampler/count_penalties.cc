#include "lathe/infer/sampler/count_penalties.h"

#include <algorithm>
#include <vector>

namespace lathe {

void count_penalties(std::span<float> logits, std::span<const int32_t> generated, double presence,
                     double frequency) {
  std::vector<int32_t> ids(generated.begin(), generated.end());
  std::sort(ids.begin(), ids.end());
  for (auto begin = ids.begin(); begin != ids.end();) {
    const auto end = std::upper_bound(begin, ids.end(), *begin);
    if (*begin >= 0 && static_cast<size_t>(*begin) < logits.size())
      logits[static_cast<size_t>(*begin)] -=
          static_cast<float>(frequency * static_cast<double>(end - begin) + presence);
    begin = end;
  }
}

}  // namespace lathe
