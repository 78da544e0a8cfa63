// Where the sequences of one attention call are in its operands: queries are packed one sequence
// after the other, keys and values are in blocks, as in a paged cache. Contiguous keys are one
// block per sequence.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lathe/base/parallel.h"
#include "lathe/tensor/tensor.h"

namespace lathe::kernels {

// Row numbers of the tokens of one sequence in an operand.
struct RowIndex {
  const int32_t* blocks;  // the first row of each block
  int64_t block_size;     // tokens in a block

  int64_t operator()(int64_t token) const {
    return token < block_size ? blocks[0] + token : blocks[token / block_size] + token % block_size;
  }
};

// One sequence of a call.
struct AttentionSequence {
  int64_t b = 0;
  int64_t queries = 0, keys = 0;           // T, S
  int64_t first_query = 0, first_key = 0;  // among all queries, and all keys, of the call
  RowIndex query_rows = {}, key_rows = {};
};

// All tensors are on the host. B sequences.
struct AttentionRows {
  TensorView first;      // i32 [B+1]: sequence b has the queries [first[b], first[b+1]) of q
  TensorView first_key;  // i32 [B+1]: and so many keys; key segments are packed in this order
  TensorView blocks;     // i32 [B,n]: key s of b is row blocks[b, s / block_size] + s % block_size
  int64_t block_size = 1;

  int64_t batch() const { return first.shape[0] - 1; }
  int64_t queries() const { return last(first); }  // N
  int64_t keys() const { return last(first_key); }
  int64_t most_queries() const { return longest(first); }
  int64_t most_keys() const { return longest(first_key); }

  AttentionSequence sequence(int64_t b) const {
    const int32_t *q = first.as<int32_t>(), *k = first_key.as<int32_t>();
    return {.b = b,
            .queries = q[b + 1] - q[b],
            .keys = k[b + 1] - k[b],
            .first_query = q[b],
            .first_key = k[b],
            .query_rows = {q + b, kWhole},
            .key_rows = {blocks.as<int32_t>() + b * blocks.stride[0], block_size}};
  }
  // The sum of T · S of the sequences before b.
  int64_t pairs_before(int64_t b) const {
    int64_t sum = 0;
    for (int64_t i = 0; i < b; ++i) sum += sequence(i).queries * sequence(i).keys;
    return sum;
  }

 private:
  static constexpr int64_t kWhole = int64_t{1} << 62;
  static int64_t last(const TensorView& offsets) {
    return offsets.as<int32_t>()[offsets.shape[0] - 1];
  }
  static int64_t longest(const TensorView& offsets) {
    int64_t most = 0;
    for (int64_t b = 0; b + 1 < offsets.shape[0]; ++b)
      most = std::max<int64_t>(most, offsets.as<int32_t>()[b + 1] - offsets.as<int32_t>()[b]);
    return most;
  }
};

}  // namespace lathe::kernels
