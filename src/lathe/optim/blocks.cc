#include "lathe/optim/blocks.h"

#include <algorithm>
#include <numeric>

#include "lathe/base/error.h"

namespace lathe::optim {

std::vector<MatrixBlock> matrix_blocks(const Parameter& p) {
  const Shape& shape = p.shape;
  const int rank = shape.rank();
  require(p.parts.empty() || rank == 2, ErrorKind::kShape, "optimizer",
          "parameter '{}' of shape {} lists parts, which only matrices have", p.name, shape);
  if (rank < 2) return {};

  std::vector<MatrixBlock> blocks;
  const int64_t rows = shape[-2], cols = shape[-1];
  if (p.parts.empty()) {
    const int64_t count = rows * cols > 0 ? shape.numel() / (rows * cols) : 0;
    for (int64_t i = 0; i < count; ++i) blocks.push_back({i * rows * cols, rows, cols});
    return blocks;
  }
  const bool positive =
      std::all_of(p.parts.begin(), p.parts.end(), [](int64_t n) { return n > 0; });
  const int64_t total = std::accumulate(p.parts.begin(), p.parts.end(), int64_t{0});
  require(positive && total == rows, ErrorKind::kShape, "optimizer",
          "parts of '{}' add up to {} rows, expected the {} of {}", p.name, total, rows, shape);
  int64_t offset = 0;
  for (int64_t part : p.parts) {
    blocks.push_back({offset, part, cols});
    offset += part * cols;
  }
  return blocks;
}

}  // namespace lathe::optim
