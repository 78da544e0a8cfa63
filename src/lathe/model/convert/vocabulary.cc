// More rows in the token table and the output head (Hewitt 2021). A fresh row drawn like any other
// weight gets logits of a size that nothing has learnt to keep small, and can take most of the
// probability. A row at the mean m of the old ones cannot: exp(h·m) <= mean of exp(h·x) by Jensen,
// so n new tokens beside V old ones take at most n / (V + n) of it, and the old ones keep at least
// V / (V + n) of theirs.
//
// New rows are m plus a little noise with the covariance of the old rows, so that no two are
// equal: kNoise / sqrt(M) times the sum of M rows less m, picked at random, with normal weights.
// Its covariance is kNoise² times that of the rows, without a matrix C x C.

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/model/convert/conversion.h"

namespace lathe {
namespace {

constexpr double kNoise = 0.01;  // of the spread of the old rows
constexpr int64_t kPicks = 256;  // M

// Rows as [V, width]; a bias is rows of width 1.
struct Rows {
  float* data;
  int64_t width;
  float* at(int64_t row) const { return data + row * width; }
};

std::vector<double> mean_of(const Rows& rows, int64_t count) {
  std::vector<double> mean(static_cast<size_t>(rows.width));
  parallel_for(rows.width, 8, [&](int64_t c) {
    double sum = 0;
    for (int64_t r = 0; r < count; ++r) sum += rows.at(r)[c];
    mean[static_cast<size_t>(c)] = sum / static_cast<double>(count);
  });
  return mean;
}

// Draws rows [begin, end) from the first `known` ones.
void draw_rows(const Rows& rows, int64_t known, Range fresh, const Rng& rng) {
  const std::vector<double> mean = mean_of(rows, known);
  const double scale = kNoise / std::sqrt(static_cast<double>(kPicks));
  parallel_for(fresh.size(), 1, [&](int64_t i) {
    const Rng weights = rng.fork("weight").fork(static_cast<uint64_t>(i));
    const Rng picks = rng.fork("pick").fork(static_cast<uint64_t>(i));
    std::vector<double> row = mean;
    for (uint64_t j = 0; j < kPicks; ++j) {
      const float* x = rows.at(static_cast<int64_t>(picks.below(j, static_cast<uint64_t>(known))));
      const double w = scale * weights.normal(j);
      for (size_t c = 0; c < row.size(); ++c) row[c] += w * (x[c] - mean[c]);
    }
    for (size_t c = 0; c < row.size(); ++c)
      rows.at(fresh.begin + i)[c] = static_cast<float>(row[c]);
  });
}

class VocabularyConversion : public Conversion {
 public:
  explicit VocabularyConversion(const ConversionOptions& options) : options_(options) {}

  ModelConfig config(const ModelConfig& from) const override {
    const int64_t asked = options_.vocab_size.value_or(from.vocab_size);
    require(asked >= from.vocab_size, ErrorKind::kConfig, "--vocab-size",
            "{} is less than the {} rows that the model has; tokens cannot be removed, because the "
            "tokenizer would still produce their ids",
            asked, from.vocab_size);
    ModelConfig to = from;
    to.vocab_size = asked;
    validate(to);  // before arithmetic with it
    const int64_t multiple = options_.pad_vocab_to.value_or(1);
    to.vocab_size = (asked + multiple - 1) / multiple * multiple;
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    const Range fresh_rows{from.config().vocab_size, to.config().vocab_size};
    const int64_t known =
        std::clamp<int64_t>(options_.known_tokens.value_or(fresh_rows.begin), 1, fresh_rows.begin);
    const Rng rng(static_cast<uint64_t>(options_.seed));
    carry_over(from, to, [&](const Parameter* old, Parameter& fresh) {
      const std::string_view name = fresh.name;
      const bool by_token = name == "embedding.weight" || name == "head.weight" ||
                            name == "head.bias" || name == "head_bias";
      if (!by_token || old == nullptr) return false;
      fresh.value.tensor().narrow(0, 0, fresh_rows.begin).copy_from(old->value.tensor());
      if (fresh_rows.size() > 0)
        draw_rows({fresh.value.tensor().data<float>(), fresh.shape.numel() / fresh.shape[0]}, known,
                  fresh_rows, rng.fork(name));
      return true;
    });
  }

  std::string note(const ModelConfig& from) const override {
    return fmt::format("{} new rows near the mean of the old ones, which keep their logits",
                       config(from).vocab_size - from.vocab_size);
  }

 private:
  ConversionOptions options_;
};

}  // namespace

std::unique_ptr<Conversion> make_vocabulary_conversion(const ConversionOptions& options) {
  if (!options.vocab_size && !options.pad_vocab_to) return nullptr;
  return std::make_unique<VocabularyConversion>(options);
}

}  // namespace lathe
