// A matrix of quantised blocks, as GGUF files hold them, repacked for products on its integers
// (kernels/quantized/packed_rows.h). Its parts may be of different types: a projection of queries,
// keys and values that are three matrices in the file.
#pragma once

#include <memory>
#include <vector>

#include "lathe/kernels/quantized/packed_rows.h"
#include "lathe/ops/packed_matrix.h"
#include "lathe/tensor/arena.h"

namespace lathe::ops {

class QuantizedMatrix final : public PackedMatrix {
 public:
  // Some rows one below the other. The blocks of a row are anywhere in memory and are only read by
  // the constructor, so rows may be permuted and a file's map closed.
  struct Rows {
    const BlockType* type;
    std::vector<const std::byte*> blocks;  // of each row, whole blocks of `columns` elements
  };

  // Throws kData for a type without a packed form (kernels::can_pack) and for `columns` that are not
  // whole blocks. A model's matrices are best in one arena.
  QuantizedMatrix(int64_t columns, std::span<const Rows> parts, Arena& memory);

  Shape shape() const override { return {rows_, columns_}; }
  size_t bytes() const override;
  // x f32 or bf16 is rounded to int8 in groups of 32 on kCpu, so that every output is off by at most
  // sum |w|·max|x of the group|/254; on kRef, and for other types of x, the product is exact.
  Tensor product(const Tensor& x, const TensorView& bias, DType out) const override;
  // Exact, on the decoded elements, some rows at a time.
  Tensor product_backward(const Tensor& dy) const override;
  Tensor dense(DType dtype) const override;
  Tensor lookup(const Tensor& ids, DType dtype) const override;
  // Of whole parts.
  std::shared_ptr<const PackedMatrix> rows(int64_t first, int64_t count) const override;

  // Rows [first, first + count) as f32 [count, I].
  Tensor dense_rows(int64_t first, int64_t count) const;

 private:
  explicit QuantizedMatrix(int64_t columns) : columns_(columns) {}
  void unpack(int64_t row, std::span<float> out) const;

  int64_t rows_ = 0, columns_;
  std::vector<Tensor> memory_;
  std::vector<kernels::PackedRows> parts_;  // in memory_
};

}  // namespace lathe::ops
