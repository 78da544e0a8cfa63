// Some rows of a matrix, by number.
#pragma once

#include <span>

#include "lathe/ops/rows.h"

namespace lathe {

// x [N,C], `rows` of it -> [rows.size(),C], a copy.
inline Tensor rows_at(const Tensor& x, std::span<const int64_t> rows) {
  const Tensor out(x.shape().with(0, std::ssize(rows)), x.dtype(), x.device());
  for (size_t i = 0; i < rows.size(); ++i)
    out.narrow(0, static_cast<int64_t>(i), 1).copy_from(x.narrow(0, rows[i], 1));
  return out;
}

// The last row of each sequence; none may be empty.
inline Tensor last_rows(const Tensor& x, const Sequences& sequences) {
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < sequences.count(); ++b) rows.push_back(sequences.first(b + 1) - 1);
  return rows_at(x, rows);
}

}  // namespace lathe
