#include "lathe/model/convert/token_rows.h"

#include <cmath>
#include <string_view>

#include "lathe/base/parallel.h"

namespace lathe {
namespace {

constexpr double kNoise = 0.01;  // of the spread of the old rows
constexpr int64_t kPicks = 256;  // M

std::vector<double> mean_of(const TokenRows& rows, int64_t count) {
  std::vector<double> mean(static_cast<size_t>(rows.width));
  parallel_for(rows.width, 8, [&](int64_t c) {
    double sum = 0;
    for (int64_t r = 0; r < count; ++r) sum += rows.at(r)[c];
    mean[static_cast<size_t>(c)] = sum / static_cast<double>(count);
  });
  return mean;
}

}  // namespace

TokenRows::TokenRows(const Parameter& p)
    : data(p.value.tensor().data<float>()), width(p.shape.numel() / p.shape[0]) {}

bool has_token_rows(const Parameter& p) {
  const std::string_view name = p.name;
  return name == "embedding.weight" || name == "head.weight" || name == "head.bias" ||
         name == "head_bias";
}

MeanRows::MeanRows(TokenRows rows, int64_t known, const Rng& rng)
    : rows_(rows), known_(known), rng_(rng), mean_(mean_of(rows, known)) {}

void MeanRows::draw(int64_t i, float* out) const {
  const double scale = kNoise / std::sqrt(static_cast<double>(kPicks));
  const Rng weights = rng_.fork("weight").fork(static_cast<uint64_t>(i));
  const Rng picks = rng_.fork("pick").fork(static_cast<uint64_t>(i));
  std::vector<double> row = mean_;
  for (uint64_t j = 0; j < kPicks; ++j) {
    const float* x = rows_.at(static_cast<int64_t>(picks.below(j, static_cast<uint64_t>(known_))));
    const double w = scale * weights.normal(j);
    for (size_t c = 0; c < row.size(); ++c) row[c] += w * (x[c] - mean_[c]);
  }
  for (size_t c = 0; c < row.size(); ++c) out[c] = static_cast<float>(row[c]);
}

}  // namespace lathe
