// One array of a paged cache: what its blocks keep of their tokens. What a head keeps of a block is in one piece, so
// that reading the keys of one head follows memory and the processor can foresee it.
#pragma once

#include "lathe/tensor/tensor.h"

namespace lathe {

// `count` rows: [count, row].
Shape rows_shape(int64_t count, const Shape& row);

// Not thread-safe; different rows may be written by several threads.
class BlockStore {
 public:
  BlockStore() = default;
  // `blocks` blocks of B = block_size tokens, of each of which a row is kept: [K,…] of K = `heads` heads, or any shape
  // if `heads` is 1. Committed memory is touched at once and zero. Errors: kShape for more rows than an i32 counts.
  BlockStore(const Shape& row, int64_t heads, DType dtype, int64_t blocks, int64_t block_size,
             bool commit);

  bool defined() const { return all_.defined(); }
  // [blocks, K, B, …]; with one head [blocks, B, row].
  const Tensor& all() const { return all_; }
  // The same memory with a row for a token: [R, row], where the tokens of block b are the rows from first_row(b) on.
  // Rows overlap unless there is one head, and those in between are of no use.
  const Tensor& rows() const { return rows_; }
  int64_t first_row(int64_t block) const { return block * heads_ * block_size_; }
  int64_t heads() const { return heads_; }

  // What `from` holds becomes what `to` holds.
  void copy_block(int64_t from, int64_t to) const;

  // Of one block in all().
  static Shape block_shape(const Shape& row, int64_t heads, int64_t block_size);

 private:
  Tensor all_, rows_;
  int64_t heads_ = 1, block_size_ = 1;
};

}  // namespace lathe
