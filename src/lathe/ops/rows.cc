#include "lathe/ops/rows.h"

#include <algorithm>
#include <limits>

#include "lathe/base/error.h"

namespace lathe {

Sequences::Sequences(std::span<const int64_t> lengths) {
  first_ = Tensor({static_cast<int64_t>(lengths.size()) + 1}, DType::kI32);
  int32_t* to = first_.data<int32_t>();
  int64_t end = 0;
  *to++ = 0;
  for (const int64_t length : lengths) {
    require(length >= 0, ErrorKind::kShape, "sequences", "a length of {}, expected at least 0",
            length);
    end += length;
    require(end <= std::numeric_limits<int32_t>::max(), ErrorKind::kData, "sequences",
            "{} tokens in one pass, expected at most {}; compute fewer sequences at once", end,
            std::numeric_limits<int32_t>::max());
    *to++ = static_cast<int32_t>(end);
  }
}

Sequences Sequences::equal(int64_t count, int64_t length) {
  return Sequences(std::vector<int64_t>(static_cast<size_t>(count), length));
}

int64_t Sequences::longest() const {
  int64_t longest = 0;
  for (int64_t b = 0; b < count(); ++b) longest = std::max(longest, length(b));
  return longest;
}

Rows Rows::of(const Tensor& ids) {
  require(ids.rank() == 2 && ids.dtype() == DType::kI32, ErrorKind::kShape, "rows",
          "ids are {} {}, expected i32 [B,T]", name_of(ids.dtype()), ids.shape());
  return {.ids = ids.reshape({ids.numel()}),
          .sequences = Sequences::equal(ids.size(0), ids.size(1))};
}

Rows Rows::of(const IdRows& sequences) {
  std::vector<int64_t> lengths;
  std::vector<int32_t> all;
  for (const auto& sequence : sequences) {
    lengths.push_back(static_cast<int64_t>(sequence.size()));
    all.insert(all.end(), sequence.begin(), sequence.end());
  }
  return {.ids = Tensor::of<int32_t>(all, {static_cast<int64_t>(all.size())}),
          .sequences = Sequences(lengths)};
}

bool Rows::has_context() const {
  return std::ranges::any_of(context, [](int64_t tokens) { return tokens > 0; });
}

Sequences Rows::keys() const {
  if (!has_context()) return sequences;
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < sequences.count(); ++b) lengths.push_back(length_of(b));
  return Sequences(lengths);
}

Rows Rows::with_positions() const {
  if (positions.defined()) return *this;
  Rows rows = *this;
  rows.positions = Tensor({tokens()}, DType::kI32);
  int32_t* to = rows.positions.data<int32_t>();
  for (int64_t b = 0; b < sequences.count(); ++b)
    for (int64_t p = context_of(b); p < length_of(b); ++p) *to++ = static_cast<int32_t>(p);
  return rows;
}

}  // namespace lathe
