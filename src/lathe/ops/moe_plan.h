// Which token goes to which expert, as the index tables that the operations of moe.h read.
//
// A slot is one place that a router filled or left empty: number n·k + j for choice j of token n. A
// row is one row of the matrix in which tokens are sorted by expert; the rows of an expert are in
// the order of their slots.
//
// Each expert's rows are padded with rows of zeros to one of 16 sizes per power of two (at most
// 1/16 more): a matrix product of a new size costs about a millisecond to prepare, and counts of
// tokens change with every batch. An expert without tokens has no rows.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe::ops {

struct ExpertPlan {
  int64_t tokens = 0;  // N
  int64_t slots = 0;   // filled and dropped
  std::vector<int64_t>
      begin;  // E+1: rows [begin[e], begin[e+1]) are expert e's, zeros at their end
  std::vector<int64_t> count;  // E: tokens of each expert
  Tensor token_of_row;         // i32 [R], -1 for a row of zeros
  Tensor slot_of_row;          // i32 [R], -1 for a row of zeros
  // The rows of token n, by expert: token_rows[token_begin[n]] up to token_rows[token_begin[n+1]].
  Tensor token_begin, token_rows;  // i32 [N+1], i32 [filled slots]

  int64_t experts() const { return static_cast<int64_t>(count.size()); }
  int64_t rows() const { return begin.back(); }
};

// The number of rows to which `count` tokens are padded.
int64_t padded_rows(int64_t count);

// experts_of_token i32 [N,k], each in [0, experts), or -1 for an empty slot. Throws kShape.
ExpertPlan plan_experts(const Tensor& experts_of_token, int64_t experts);

}  // namespace lathe::ops
