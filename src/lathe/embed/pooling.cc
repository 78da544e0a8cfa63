#include "lathe/embed/pooling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"

namespace lathe {
namespace {

constexpr std::array<std::pair<std::string_view, Pooling>, 6> kNames = {
    {{"cls", Pooling::kCls},
     {"max", Pooling::kMax},
     {"mean", Pooling::kMean},
     {"mean_sqrt_len_tokens", Pooling::kMeanSqrt},
     {"weightedmean", Pooling::kWeightedMean},
     {"lasttoken", Pooling::kLastToken}}};

// states: T rows of `width` values.
void take_max(const float* states, int64_t tokens, int64_t width, float* out) {
  std::copy_n(states, width, out);
  for (int64_t t = 1; t < tokens; ++t)
    for (int64_t c = 0; c < width; ++c) out[c] = std::max(out[c], states[t * width + c]);
}

void take_mean(const float* states, int64_t tokens, int64_t width, Pooling pooling, float* out) {
  const bool weighted = pooling == Pooling::kWeightedMean;
  std::vector<double> sum(static_cast<size_t>(width), 0.0);
  for (int64_t t = 0; t < tokens; ++t) {
    const double weight = weighted ? static_cast<double>(t + 1) : 1.0;
    for (int64_t c = 0; c < width; ++c)
      sum[static_cast<size_t>(c)] += weight * static_cast<double>(states[t * width + c]);
  }
  const auto count = static_cast<double>(tokens);
  const double all = pooling == Pooling::kMeanSqrt ? std::sqrt(count)
                     : weighted                    ? count * (count + 1) / 2
                                                   : count;
  for (int64_t c = 0; c < width; ++c)
    out[c] = static_cast<float>(sum[static_cast<size_t>(c)] / all);
}

void pool(const float* states, int64_t tokens, int64_t width, Pooling pooling, float* out) {
  switch (pooling) {
    case Pooling::kCls:
      std::copy_n(states, width, out);
      return;
    case Pooling::kLastToken:
      std::copy_n(states + (tokens - 1) * width, width, out);
      return;
    case Pooling::kMax:
      return take_max(states, tokens, width, out);
    case Pooling::kMean:
    case Pooling::kMeanSqrt:
    case Pooling::kWeightedMean:
      return take_mean(states, tokens, width, pooling, out);
  }
}

}  // namespace

std::optional<Pooling> find_pooling(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, [](const auto& each) { return each.first; });
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> pooling_names() {
  std::vector<std::string> names;
  for (const auto& [name, pooling] : kNames) names.emplace_back(name);
  return names;
}

Tensor pooled(const Tensor& states, const Sequences& texts, std::span<const Pooling> poolings) {
  const int64_t width = states.size(1), each = std::ssize(poolings) * width;
  for (int64_t b = 0; b < texts.count(); ++b)
    require(texts.length(b) > 0, ErrorKind::kData, "embeddings",
            "text {} has no tokens, expected one at least", b);
  const Tensor out({texts.count(), each}, DType::kF32);
  const float* from = states.data<float>();
  float* to = out.data<float>();
  parallel_for(texts.count(), 4, [&](int64_t b) {
    for (size_t i = 0; i < poolings.size(); ++i)
      pool(from + texts.first(b) * width, texts.length(b), width, poolings[i],
           to + b * each + static_cast<int64_t>(i) * width);
  });
  return out;
}

}  // namespace lathe
