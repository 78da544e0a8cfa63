#include "lathe/infer/sampler/logit_bias.h"

#include "lathe/base/error.h"

namespace lathe {

void logit_bias(std::span<float> logits, const std::map<int64_t, double>& bias) {
  for (const auto& [id, value] : bias) {
    require(id >= 0 && id < static_cast<int64_t>(logits.size()), ErrorKind::kConfig, "logit_bias",
            "token {} is not in the vocabulary; the model has ids 0 to {}", id,
            static_cast<int64_t>(logits.size()) - 1);
    float& logit = logits[static_cast<size_t>(id)];
    logit = static_cast<float>(static_cast<double>(logit) + value);
  }
}

}  // namespace lathe
