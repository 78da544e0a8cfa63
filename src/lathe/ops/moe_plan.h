// Which token goes to which expert, as the index tables that the operations of moe.h read.
//
// A slot is one place that a router filled or dropped: number n·k + j for choice j of token n, or
// e·A + j for choice j of expert e (expert choice, A tokens each). A row is one line of the matrix in which
// tokens stand sorted by expert; rows of an expert are in the order of their slots.
//
// Each expert's rows are filled up with rows of zeros to one of 16 sizes per power of two (at most
// 1/16 more): a matrix product of a new size costs about a millisecond to prepare, and counts of tokens
// change with every batch. An expert without tokens has no rows.
#pragma once

#include <cstdint>
#include <span>
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

// The smallest number of rows that `count` tokens are filled up to.
int64_t padded_rows(int64_t count);

struct Slots {
  std::span<const int32_t> expert;  // of each slot; -1: dropped
  std::span<const int32_t> token;   // of each slot, in [0, tokens)
};
// Error kShape for an expert or token out of range.
ExpertPlan plan_experts(int64_t tokens, int64_t experts, const Slots& slots);

// For i32 [N,k] of each token's experts, -1 where dropped.
ExpertPlan plan_token_choice(const Tensor& experts_of_token, int64_t experts);
// For i32 [E,A] of each expert's tokens.
ExpertPlan plan_expert_choice(const Tensor& tokens_of_expert, int64_t tokens);

}  // namespace lathe::ops
