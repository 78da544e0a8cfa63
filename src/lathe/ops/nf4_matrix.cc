#include "lathe/ops/nf4_matrix.h"

#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

// Elements that are decoded at a time: many enough for a fast product, few enough for the last cache.
constexpr int64_t kDecoded = 4 << 20;

// f(first, count) for the rows of a matrix.
template <class F>
void for_each_part(const Shape& shape, F&& f) {
  const int64_t rows = shape[0];
  const int64_t most = std::max<int64_t>(1, kDecoded / std::max<int64_t>(1, shape[1]));
  for (int64_t first = 0; first < rows; first += most) f(first, std::min(most, rows - first));
}

// Elements [first, first + count) of a vector, if there is one.
TensorView part_of(TensorView vector, int64_t first, int64_t count) {
  if (!vector) return vector;
  vector.data = vector.as<std::byte>() +
                first * vector.stride[0] * static_cast<int64_t>(size_of(vector.dtype));
  vector.shape[0] = count;
  return vector;
}

}  // namespace

size_t Nf4Matrix::bytes() const {
  size_t bytes = 0;
  for (const auto& numbers : numbers_) bytes += numbers->bytes();
  return bytes;
}

Tensor Nf4Matrix::dense_rows(int64_t first, int64_t count, DType dtype) const {
  const DType decoded = dtype == DType::kBF16 ? DType::kBF16 : DType::kF32;
  const Tensor out({count, columns_}, decoded);
  if (!out.holds_values()) return out.to(dtype);
  const auto fill = [&](auto* values) {
    parallel_for(count, 4, [&](int64_t i) {
      const Row& row = rows_[static_cast<size_t>(first + i)];
      row.numbers->decode(row.first,
                          std::span(values + i * columns_, static_cast<size_t>(columns_)));
    });
  };
  if (decoded == DType::kBF16) {
    fill(out.data<BF16>());
  } else {
    fill(out.data<float>());
  }
  return out.to(dtype);
}

Tensor Nf4Matrix::product(const Tensor& x, const TensorView& bias, DType out) const {
  const Tensor y({x.size(0), std::ssize(rows_)}, out, x.device());
  for_each_part(shape(), [&](int64_t first, int64_t count) {
    const Tensor w = dense_rows(first, count, x.dtype()).to(x.device());
    kernels_of(x).row_matmul(x, w.transpose(0, 1), part_of(bias, first, count),
                             y.narrow(1, first, count), kernels::Write::kOverwrite);
  });
  return y;
}

Tensor Nf4Matrix::product_backward(const Tensor& dy) const {
  const Tensor dx =
      Tensor::zeros({dy.size(0), columns_}, accumulation_type(dy.dtype()), dy.device());
  for_each_part(shape(), [&](int64_t first, int64_t count) {
    const Tensor w = dense_rows(first, count, dy.dtype()).to(dy.device());
    kernels_of(dy).matmul(dy.narrow(1, first, count), w, {}, dx, kernels::Write::kAccumulate);
  });
  return dx.to(dy.dtype());
}

Tensor Nf4Matrix::dense(DType dtype) const { return dense_rows(0, std::ssize(rows_), dtype); }

Tensor Nf4Matrix::lookup(const Tensor& ids, DType dtype) const {
  const Tensor out({ids.numel(), columns_}, DType::kF32);
  for (int64_t i = 0; i < ids.numel(); ++i) {
    const int32_t id = ids.data<int32_t>()[i];
    require(id >= 0 && id < std::ssize(rows_), ErrorKind::kData, "embedding",
            "id {} is outside the table of {} rows", id, rows_.size());
    const Row& row = rows_[static_cast<size_t>(id)];
    row.numbers->decode(row.first,
                        {out.data<float>() + i * columns_, static_cast<size_t>(columns_)});
  }
  return out.to(dtype);
}

std::shared_ptr<const PackedMatrix> Nf4Matrix::rows(int64_t first, int64_t count) const {
  return std::make_shared<Nf4Matrix>(
      columns_, std::vector<Row>(rows_.begin() + first, rows_.begin() + first + count), numbers_);
}

}  // namespace lathe::ops
