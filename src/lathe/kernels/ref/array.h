// The view that the reference kernels have of a tensor: any floating dtype, any strides, every
// element a double.
#pragma once

#include <cstdint>

#include "lathe/kernels/kernels.h"

namespace lathe::kernels::ref {

inline double load(const TensorView& t, int64_t offset) {
  switch (t.dtype) {
    case DType::kF32:
      return t.as<float>()[offset];
    case DType::kF64:
      return t.as<double>()[offset];
    case DType::kBF16:
      return to_float(t.as<BF16>()[offset]);
    case DType::kF16:
      return to_float(t.as<F16>()[offset]);
    case DType::kI32:
      return t.as<int32_t>()[offset];
    case DType::kI64:
      return static_cast<double>(t.as<int64_t>()[offset]);
    case DType::kU8:
      return t.as<uint8_t>()[offset];
    case DType::kI8:
      return t.as<int8_t>()[offset];
  }
  return 0;
}

// Rounds to the dtype. Integer tensors are never outputs of a kernel.
inline void store(const TensorView& t, int64_t offset, double value) {
  switch (t.dtype) {
    case DType::kF32:
      t.as<float>()[offset] = static_cast<float>(value);
      return;
    case DType::kF64:
      t.as<double>()[offset] = value;
      return;
    case DType::kBF16:
      t.as<BF16>()[offset] = to_bf16(static_cast<float>(value));
      return;
    case DType::kF16:
      t.as<F16>()[offset] = to_f16(static_cast<float>(value));
      return;
    case DType::kI32:
    case DType::kI64:
    case DType::kU8:
    case DType::kI8:
      return;
  }
}

// a(i, j) reads, a.set(value, i, j) writes, a.put(write, value, i, j) overwrites or adds.
class Array {
 public:
  explicit Array(const TensorView& view) : view_(view) {}
  explicit operator bool() const { return view_.data != nullptr; }
  int64_t size(int dim) const { return view_.shape[dim]; }

  template <class... Index>
  double operator()(Index... index) const {
    return load(view_, offset(index...));
  }
  template <class... Index>
  void set(double value, Index... index) const {
    store(view_, offset(index...), value);
  }
  template <class... Index>
  void put(Write write, double value, Index... index) const {
    const int64_t at = offset(index...);
    store(view_, at, write == Write::kAccumulate ? load(view_, at) + value : value);
  }

 private:
  template <class... Index>
  int64_t offset(Index... index) const {
    int64_t at = 0;
    int dim = 0;
    ((at += index * view_.stride[dim++]), ...);
    return at;
  }

  TensorView view_;
};

// The offset of element `i`, in row-major order, of a view of any rank.
inline int64_t offset_of(const TensorView& t, int64_t i) {
  int64_t at = 0;
  for (int dim = t.rank - 1; dim >= 0; --dim) {
    at += i % t.shape[dim] * t.stride[dim];
    i /= t.shape[dim];
  }
  return at;
}

}  // namespace lathe::kernels::ref
