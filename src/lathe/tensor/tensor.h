// Tensor: a typed, strided view of reference-counted storage. TensorView: the same as plain data,
// which is all that kernels see.
//
// Copying a Tensor shares its storage; nothing here computes except copies between layouts. Strides
// are in elements. A Tensor may be empty (no storage): `defined()` is false.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/tensor/dtype.h"
#include "lathe/tensor/shape.h"
#include "lathe/tensor/storage.h"

namespace lathe {

// Plain data: pointer, shape, strides. Absent optional operands have data == nullptr.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t stride[kMaxRank] = {};

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  explicit operator bool() const { return data != nullptr; }
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised memory.
  Tensor(const Shape& shape, DType dtype, Device device = Device::kCpu);
  static Tensor zeros(const Shape& shape, DType dtype, Device device = Device::kCpu);
  static Tensor borrow(const std::byte* data, const Shape& shape, DType dtype,
                       std::shared_ptr<const void> owner);
  template <class T>
  static Tensor of(std::span<const T> values, const Shape& shape, Device device = Device::kCpu);
  static Tensor scalar(double value, DType dtype, Device device = Device::kCpu);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int dim) const { return shape_[dim]; }
  int64_t stride(int dim) const { return strides_[dim < 0 ? dim + rank() : dim]; }
  int rank() const { return shape_.rank(); }
  int64_t numel() const { return shape_.numel(); }
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device::kCpu; }
  bool contiguous() const;
  // True when no other Tensor shares the storage, so that it may be overwritten.
  bool unique() const { return storage_.use_count() == 1 && !storage_->borrowed(); }
  // False in DryMemory.
  bool holds_values() const { return storage_ == nullptr || storage_->holds_values(); }
  bool shares_storage(const Tensor& other) const { return storage_ == other.storage_; }

  TensorView view() const;
  operator TensorView() const { return view(); }
  template <class T>
  T* data() const {
    require(DTypeOf<T>::value == dtype_, ErrorKind::kShape, "tensor",
            "tensor holds {}, but {} was requested", name_of(dtype_), name_of(DTypeOf<T>::value));
    return static_cast<T*>(static_cast<void*>(raw()));
  }
  template <class T>
  std::span<T> span() const {  // contiguous tensors only
    require(contiguous(), ErrorKind::kShape, "tensor", "not contiguous: {}", shape_);
    return {data<T>(), static_cast<size_t>(numel())};
  }
  std::byte* raw() const {
    return storage_->data() + offset_ * static_cast<int64_t>(size_of(dtype_));
  }

  // Views of the same storage.
  Tensor reshape(const Shape& shape) const;  // contiguous tensors only
  Tensor narrow(int dim, int64_t start, int64_t length) const;
  Tensor transpose(int a, int b) const;
  // Any view of the same storage that begins where this one does and ends no later than the storage. Its elements may
  // overlap; then it is only read, or written where they do not.
  Tensor strided(const Shape& shape, std::span<const int64_t> strides) const;
  // The last dimension seen as `shape` (contiguous within it): [.., H·D] -> [.., H, D].
  Tensor split_last(int64_t groups) const;

  Tensor clone() const;          // contiguous copy
  Tensor to(DType dtype) const;  // contiguous copy, converted; itself if it already is
  Tensor to(Device device) const;
  void copy_from(const Tensor& source) const;  // same shape; converts
  void fill_zero() const;
  double item() const;  // of a one-element tensor
  std::vector<double> to_vector() const;

 private:
  // What is written to it: floating numbers in DryMemory.
  bool loses_values() const { return is_floating(dtype_) && !holds_values(); }

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;
  Shape shape_;
  std::array<int64_t, kMaxRank> strides_{};
  DType dtype_ = DType::kF32;
};

template <class T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape, Device device) {
  require(static_cast<int64_t>(values.size()) == shape.numel(), ErrorKind::kShape, "tensor",
          "{} values for shape {}", values.size(), shape);
  Tensor t(shape, DTypeOf<T>::value, device);
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace lathe
