#include "lathe/infer/block_store.h"

#include <limits>

#include "lathe/base/error.h"

namespace lathe {

Shape rows_shape(int64_t count, const Shape& row) {
  std::vector<int64_t> dims{count};
  for (int i = 0; i < row.rank(); ++i) dims.push_back(row[i]);
  return Shape(dims);
}

Shape BlockStore::block_shape(const Shape& row, int64_t heads, int64_t block_size) {
  if (heads == 1) return rows_shape(block_size, row);
  std::vector<int64_t> dims{heads, block_size};
  for (int i = 1; i < row.rank(); ++i) dims.push_back(row[i]);
  return Shape(dims);
}

BlockStore::BlockStore(const Shape& row, int64_t heads, DType dtype, int64_t blocks,
                       int64_t block_size, bool commit)
    : heads_(heads), block_size_(block_size) {
  require(heads == 1 || row[0] == heads, ErrorKind::kShape, "cache",
          "rows of {}, expected {} heads", row, heads);
  require(blocks <= std::numeric_limits<int32_t>::max() / (heads * block_size), ErrorKind::kShape,
          "cache",
          "{} blocks of {} tokens and {} heads are more rows than can be numbered; plan fewer",
          blocks, block_size, heads);
  const Shape all = rows_shape(blocks, block_shape(row, heads, block_size));
  all_ = commit ? Tensor::zeros(all, dtype) : Tensor(all, dtype);
  const int64_t count = blocks == 0 ? 0 : first_row(blocks - 1) + block_size;
  std::vector<int64_t> strides(static_cast<size_t>(row.rank()) + 1, 1);  // of the rows
  for (int i = row.rank() - 1; i >= 0; --i)
    strides[static_cast<size_t>(i)] = strides[static_cast<size_t>(i) + 1] * row[i];
  if (heads > 1) {
    strides[0] = row.numel() / heads;
    strides[1] = strides[0] * block_size;
  }
  rows_ = all_.strided(rows_shape(count, row), strides);
}

void BlockStore::copy_block(int64_t from, int64_t to) const {
  all_.narrow(0, to, 1).copy_from(all_.narrow(0, from, 1));
}

}  // namespace lathe
