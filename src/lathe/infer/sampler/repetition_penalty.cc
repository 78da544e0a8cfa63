#include "lathe/infer/sampler/repetition_penalty.h"

#include <vector>

namespace lathe {

void repetition_penalty(std::span<float> logits, const TokenHistory& history, double penalty) {
  std::vector<bool> seen(logits.size());
  const float p = static_cast<float>(penalty);
  for (size_t i = 0; i < history.size(); ++i) {
    const int32_t id = history[i];
    if (id < 0 || static_cast<size_t>(id) >= logits.size() || seen[static_cast<size_t>(id)])
      continue;
    seen[static_cast<size_t>(id)] = true;
    float& l = logits[static_cast<size_t>(id)];
    l = l < 0 ? l * p : l / p;
  }
}

}  // namespace lathe
