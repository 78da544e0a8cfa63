#include "lathe/ops/quantized_matrix.h"

#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

// Rows that a backward product decodes at a time: few enough for the cache.
constexpr int64_t kDecodedRows = 256;

}  // namespace

QuantizedMatrix::QuantizedMatrix(int64_t columns, std::span<const Rows> parts, Arena& arena)
    : columns_(columns) {
  for (const Rows& part : parts) {
    const auto count = static_cast<int64_t>(part.blocks.size());
    kernels::PackedRows packed = kernels::packed_form(*part.type, count, columns);
    const Tensor memory = arena.bytes(packed.bytes());
    kernels::pack_rows(packed, part.blocks, {memory.raw(), memory.bytes()});
    packed.data = memory.raw();
    memory_.push_back(memory);
    parts_.push_back(packed);
    rows_ += count;
  }
}

size_t QuantizedMatrix::bytes() const {
  size_t bytes = 0;
  for (const Tensor& memory : memory_) bytes += memory.bytes();
  return bytes;
}

Tensor QuantizedMatrix::product(const Tensor& x, const TensorView& bias, DType out) const {
  const Tensor y({x.size(0), rows_}, out, x.device());
  kernels_of(x).quantized_matmul(x, {parts_}, bias, y);
  return y;
}

Tensor QuantizedMatrix::product_backward(const Tensor& dy) const {
  const Tensor dx =
      Tensor::zeros({dy.size(0), columns_}, accumulation_type(dy.dtype()), dy.device());
  for (int64_t first = 0; first < rows_; first += kDecodedRows) {
    const int64_t count = std::min(kDecodedRows, rows_ - first);
    const Tensor w = dense_rows(first, count).to(dy.dtype()).to(dy.device());
    kernels_of(dy).matmul(dy.narrow(1, first, count), w, {}, dx, kernels::Write::kAccumulate);
  }
  return dx.to(dy.dtype());
}

Tensor QuantizedMatrix::dense(DType dtype) const { return dense_rows(0, rows_).to(dtype); }

void QuantizedMatrix::unpack(int64_t row, std::span<float> out) const {
  for (const kernels::PackedRows& part : parts_) {
    if (row < part.rows) return kernels::unpack_row(part, row, out);
    row -= part.rows;
  }
}

Tensor QuantizedMatrix::dense_rows(int64_t first, int64_t count) const {
  const Tensor out({count, columns_}, DType::kF32);
  parallel_for(count, 1, [&](int64_t i) {
    unpack(first + i, {out.data<float>() + i * columns_, static_cast<size_t>(columns_)});
  });
  return out;
}

Tensor QuantizedMatrix::lookup(const Tensor& ids, DType dtype) const {
  const Tensor out({ids.numel(), columns_}, DType::kF32);
  for (int64_t i = 0; i < ids.numel(); ++i) {
    const int32_t row = ids.data<int32_t>()[i];
    require(row >= 0 && row < rows_, ErrorKind::kData, "embedding",
            "id {} is outside the table of {} rows", row, rows_);
    unpack(row, {out.data<float>() + i * columns_, static_cast<size_t>(columns_)});
  }
  return out.to(dtype);
}

std::shared_ptr<const PackedMatrix> QuantizedMatrix::rows(int64_t first, int64_t count) const {
  const std::shared_ptr<QuantizedMatrix> some(new QuantizedMatrix(columns_));
  int64_t at = 0;
  for (size_t i = 0; i < parts_.size() && at < first + count; at += parts_[i++].rows) {
    if (at < first) continue;
    some->parts_.push_back(parts_[i]);
    some->memory_.push_back(memory_[i]);
    some->rows_ += parts_[i].rows;
  }
  require(at == first + count && some->rows_ == count, ErrorKind::kShape, "weights",
          "rows {} to {} of a packed matrix are no whole parts of it", first, first + count);
  return some;
}

}  // namespace lathe::ops
