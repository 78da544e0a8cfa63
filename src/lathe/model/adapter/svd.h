// The largest singular values of a matrix and their directions.
#pragma once

#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe {

// W = Σ left[:,i] · values[i] · right[i,:], the largest value first.
struct Svd {
  Tensor left;                 // [rows, n], f64
  std::vector<double> values;  // n
  Tensor right;                // [n, columns], f64
};

// The `count` largest singular values of w [rows, columns], of any floating dtype, or all if there
// are fewer. Small matrices, and those of which many are asked for, are decomposed by one-sided Jacobi
// rotations in double precision (Hestenes 1958; Demmel & Veselić 1992), which costs rows · columns ·
// min(rows, columns) for each of about ten sweeps; of others only the part in a subspace is that
// power iterations from drawn vectors find (Halko et al. 2011, arXiv:0909.4061). A pure function of w.
Svd singular_values(const Tensor& w, int64_t count);

}  // namespace lathe
