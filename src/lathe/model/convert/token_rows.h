// The tables with a row for each token: the token table, the output head and its bias.
//
// A fresh row drawn like any other weight gets logits of a size that nothing has learnt to keep
// small, and can take most of the probability. A row at the mean m of the old ones cannot (Hewitt
// 2021): exp(h·m) <= mean of exp(h·x) by Jensen, so n new tokens beside V old ones take at most
// n / (V + n) of it, and the old ones keep at least V / (V + n) of theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/nn/parameter.h"

namespace lathe {

// f32 rows [V, width]; a bias is rows of width 1.
struct TokenRows {
  explicit TokenRows(const Parameter& p);
  float* at(int64_t row) const { return data + row * width; }
  float* data;
  int64_t width;
};

// Whether row i of it belongs to token i.
bool has_token_rows(const Parameter& p);

// Rows at the mean m of the first `known` ones, with a little noise that has the covariance of
// those, so that no two are equal: kNoise / sqrt(M) times the sum of M rows less m, picked at random,
// with normal weights. Its covariance is kNoise² times that of the rows, without a matrix C x C.
class MeanRows {
 public:
  MeanRows(TokenRows rows, int64_t known, const Rng& rng);
  // Writes new row number i. Thread-safe.
  void draw(int64_t i, float* row) const;

 private:
  TokenRows rows_;
  int64_t known_;
  Rng rng_;
  std::vector<double> mean_;
};

}  // namespace lathe
