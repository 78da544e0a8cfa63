// The rows of a pass: tokens of several sequences, packed one sequence after the other, without
// padding between them.
//
// Letters: N tokens in the pass, B sequences, M keys: the tokens of the pass and those before them
// that a cache holds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe {

// Sequences of token ids, each of any length.
using IdRows = std::vector<std::vector<int32_t>>;

// Where each of several sequences begins and ends in a packed tensor: sequence b has the rows
// [first(b), first(b + 1)).
class Sequences {
 public:
  Sequences() : Sequences(std::span<const int64_t>()) {}  // none
  // Throws kShape for a negative length; kData for more than 2^31 - 1 rows.
  explicit Sequences(std::span<const int64_t> lengths);
  // `count` sequences of `length` rows each.
  static Sequences equal(int64_t count, int64_t length);

  int64_t count() const { return first_.numel() - 1; }  // B
  int64_t rows() const { return first(count()); }       // N
  int64_t first(int64_t b) const { return first_.data<int32_t>()[b]; }
  int64_t length(int64_t b) const { return first(b + 1) - first(b); }
  int64_t longest() const;
  const Tensor& offsets() const { return first_; }  // i32 [B+1], from 0

 private:
  Tensor first_;
};

// Undefined tensors are absent. This is a value type: copies share the tensors, which are never
// changed.
struct Rows {
  Tensor ids;                         // i32 [N]
  Sequences sequences;                // of ids
  std::vector<int64_t> context = {};  // tokens before each sequence, which a cache holds
  Tensor positions = {};              // i32 [N]; absent: context, context + 1, … in each sequence
  Tensor segments = {};               // i32 [N]: only equal segments see each other
  Tensor key_segments = {};           // i32 [M], with a context; absent: segments
  Tensor prefix = {};                 // i32 [B]: keys before it are seen by all
  Tensor token_types = {};            // i32 [N], for models with token types; absent: all 0
  // So many rows at the beginning of each sequence are no tokens of the vocabulary: their ids mean
  // nothing, and the adapters of the pass have their vectors.
  int64_t virtual_tokens = 0;

  // ids i32 [B,T]: B sequences of T tokens.
  static Rows of(const Tensor& ids);
  static Rows of(const IdRows& sequences);

  int64_t tokens() const { return ids.defined() ? ids.numel() : 0; }
  int64_t context_of(int64_t b) const {
    return context.empty() ? 0 : context[static_cast<size_t>(b)];
  }
  // The number of tokens of sequence b after the pass.
  int64_t length_of(int64_t b) const { return context_of(b) + sequences.length(b); }
  bool has_context() const;
  Sequences keys() const;  // M rows: length_of(b) for each sequence
  // The same with positions, which are filled in if they are absent.
  Rows with_positions() const;
};

}  // namespace lathe
