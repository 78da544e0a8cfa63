// A matrix in four bits of NF4 (Dettmers et al. 2023, arXiv:2305.14314), as QLoRA has it under its adapters.
// Products decode some rows at a time: it saves memory, not time.
#pragma once

#include <memory>
#include <vector>

#include "lathe/ops/packed_matrix.h"
#include "lathe/tensor/blocks/bitsandbytes.h"

namespace lathe::ops {

class Nf4Matrix final : public PackedMatrix {
 public:
  // Row r is the elements [row.first, row.first + columns) of its numbers, which may be shared with other
  // rows and matrices: blocks run through the rows of a matrix as it is on disk.
  struct Row {
    const Nf4Numbers* numbers;
    size_t first;
  };
  Nf4Matrix(int64_t columns, std::vector<Row> rows,
            std::vector<std::shared_ptr<const Nf4Numbers>> numbers)
      : columns_(columns), rows_(std::move(rows)), numbers_(std::move(numbers)) {}

  Shape shape() const override { return {std::ssize(rows_), columns_}; }
  size_t bytes() const override;
  Tensor product(const Tensor& x, const TensorView& bias, DType out) const override;
  Tensor product_backward(const Tensor& dy) const override;
  Tensor dense(DType dtype) const override;
  Tensor lookup(const Tensor& ids, DType dtype) const override;
  std::shared_ptr<const PackedMatrix> rows(int64_t first, int64_t count) const override;

 private:
  Tensor dense_rows(int64_t first, int64_t count, DType dtype) const;

  int64_t columns_;
  std::vector<Row> rows_;
  std::vector<std::shared_ptr<const Nf4Numbers>> numbers_;  // that the rows are in
};

}  // namespace lathe::ops
