#include "lathe/train/answers/embedding_noise.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

constexpr std::string_view kTable = "embedding.weight";

// Of each of `count` rows, of which each sequence has equally many before its tokens that are virtual.
std::vector<float> bounds_of_rows(const Sequences& sequences, double alpha, int64_t count,
                                  int64_t width) {
  const int64_t more = count - sequences.rows(),
                each = more / std::max<int64_t>(1, sequences.count());
  require(more >= 0 && each * sequences.count() == more, ErrorKind::kShape, "embedding noise",
          "{} rows are looked up for {} sequences of {} tokens", count, sequences.count(),
          sequences.rows());
  std::vector<float> bounds(static_cast<size_t>(count));
  for (int64_t b = 0; b < sequences.count(); ++b) {
    const int64_t tokens = sequences.length(b), first = sequences.first(b) + (b + 1) * each;
    const double bound =
        alpha / std::sqrt(static_cast<double>(std::max<int64_t>(1, tokens) * width));
    std::fill_n(bounds.begin() + first, tokens, static_cast<float>(bound));
  }
  return bounds;
}

// Number n of the stream for row n of those with a bound above 0.
Tensor drawn(const std::vector<float>& bounds, int64_t width, const Rng& rng) {
  const auto count = std::ssize(bounds);
  std::vector<int64_t> token(bounds.size());
  int64_t tokens = 0;
  for (size_t row = 0; row < bounds.size(); ++row) token[row] = bounds[row] > 0 ? tokens++ : 0;
  Tensor noise({count, width}, DType::kF32);
  float* out = noise.data<float>();
  parallel_for(count, 16, [&](int64_t row) {
    const auto r = static_cast<size_t>(row);
    for (int64_t c = 0; c < width; ++c) {
      const float side = 2 * rng.uniform(static_cast<uint64_t>(token[r] * width + c)) - 1;
      out[row * width + c] = side * bounds[r];
    }
  });
  return noise;
}

}  // namespace

EmbeddingNoise::EmbeddingNoise(double alpha, const ModelInputs& inputs, const Rng& rng,
                               const Adapters* around)
    : EmbeddingNoise(alpha, inputs.rows.sequences, rng.fork("embedding noise"), around) {
  if (inputs.text)
    text_.reset(new EmbeddingNoise(alpha, inputs.text->sequences, rng_.fork("text"),
                                   around == nullptr ? nullptr : &around->of_text()));
}

Var EmbeddingNoise::add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                                  const Var& y) const {
  const Var sum = Adapters::add_to_lookup(pass, p, ids, y);
  if (p.name != kTable) return sum;
  const int64_t width = sum.shape()[-1];
  const Tensor noise = drawn(bounds_of_rows(sequences_, alpha_, ids.numel(), width), width, rng_);
  return ops::add(sum,
                  Var(noise.reshape(sum.shape()).to(sum.value.dtype()).to(sum.value.device())));
}

const Adapters& EmbeddingNoise::of_text() const {
  return text_ != nullptr ? *text_ : static_cast<const Adapters&>(*this);
}

}  // namespace lathe
