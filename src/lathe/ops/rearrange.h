// Parts of tensors, and their elements in another order: what adapters are put together from.
#pragma once

#include <initializer_list>
#include <span>

#include "lathe/autograd/tape.h"
#include "lathe/ops/rows.h"

namespace lathe::ops {

// The same elements in row-major order; x itself if it has this shape.
Var reshape(const Var& x, const Shape& shape);

// x seen as `shape`, whose dimensions then stand in the order `dims`: out[i of dims[0], i of
// dims[1], …] = x[i_0, i_1, …]. A contiguous copy.
Var rearrange(const Var& x, const Shape& shape, std::initializer_list<int> dims);
// [m,n] -> [n,m].
Var transpose(const Var& x);

// `count` indices of dimension `dim`, from `first` on. A copy.
Var narrow(const Var& x, int dim, int64_t first, int64_t count);
// Tensors of equal shapes but for dimension 0, one below the other.
Var join_rows(std::span<const Var> parts);

// rows i32 [n], none twice. x [N,..] -> [n,..]: those rows. A copy.
Var take_rows(const Var& x, const Tensor& rows);
// x [N,..], values [n,..] -> x with `values` in those rows. A copy.
Var replace_rows(const Var& x, const Tensor& rows, const Var& values);
// order i32 [C], a permutation. x [N,C] -> out[n,i] = x[n,order[i]].
Var permute_columns(const Var& x, const Tensor& order);

// y [N,C] with z [n,c] added to its rows from `first_row` and columns from `first_column` on. Writes
// to the memory of y, which nothing else may read afterwards. Dtypes may differ.
Var add_block(const Var& y, int64_t first_row, int64_t first_column, const Var& z);

// x [N,..] of several sequences, prefix [P,..] -> [N + B·P,..]: each sequence with the prefix before
// its rows.
Var insert_before_each(const Var& x, const Sequences& sequences, const Var& prefix);

// first, first + 1, … as i32 [count].
Tensor consecutive(int64_t first, int64_t count);

}  // namespace lathe::ops
