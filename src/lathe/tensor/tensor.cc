#include "lathe/tensor/tensor.h"

#include <cstring>

#include "lathe/base/parallel.h"

namespace lathe {
namespace {

std::array<int64_t, kMaxRank> row_major(const Shape& shape) {
  std::array<int64_t, kMaxRank> strides{};
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

// Calls f(pointer to the innermost row of a, of b, row length) for every row of two equally shaped
// views.
template <class F>
void for_rows(const TensorView& a, const TensorView& b, F&& f) {
  const int64_t length = a.rank == 0 ? 1 : a.shape[a.rank - 1];
  if (a.numel() == 0) return;
  const int64_t rows = a.numel() / length;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, offset_a = 0, offset_b = 0;
    for (int d = a.rank - 2; d >= 0; --d) {
      const int64_t index = rest % a.shape[d];
      rest /= a.shape[d];
      offset_a += index * a.stride[d];
      offset_b += index * b.stride[d];
    }
    f(offset_a, offset_b, length);
  }
}

void copy_converting(const TensorView& source, const TensorView& target) {
  visit_floating(source.dtype, [&](auto from) {
    visit_floating(target.dtype, [&](auto to) {
      using From = typename decltype(from)::type;
      using To = typename decltype(to)::type;
      const int64_t step_a = source.rank ? source.stride[source.rank - 1] : 1;
      const int64_t step_b = target.rank ? target.stride[target.rank - 1] : 1;
      for_rows(source, target, [&](int64_t a, int64_t b, int64_t length) {
        const From* x = source.as<From>() + a;
        To* y = target.as<To>() + b;
        for (int64_t i = 0; i < length; ++i)
          y[i * step_b] = from_double<To>(to_float(x[i * step_a]));
      });
    });
  });
}

void copy_same_type(const TensorView& source, const TensorView& target) {
  const auto width = static_cast<int64_t>(size_of(source.dtype));
  const int64_t step_a = source.rank ? source.stride[source.rank - 1] : 1;
  const int64_t step_b = target.rank ? target.stride[target.rank - 1] : 1;
  for_rows(source, target, [&](int64_t a, int64_t b, int64_t length) {
    const std::byte* x = source.as<std::byte>() + a * width;
    std::byte* y = target.as<std::byte>() + b * width;
    if (step_a == 1 && step_b == 1) {
      std::memcpy(y, x, static_cast<size_t>(length * width));
    } else {
      for (int64_t i = 0; i < length; ++i)
        std::memcpy(y + i * step_b * width, x + i * step_a * width, static_cast<size_t>(width));
    }
  });
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype, Device device)
    : storage_(
          std::make_shared<Storage>(static_cast<size_t>(shape.numel()) * size_of(dtype), device)),
      shape_(shape),
      strides_(row_major(shape)),
      dtype_(dtype) {}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t(shape, dtype, device);
  t.fill_zero();
  return t;
}

Tensor Tensor::borrow(const std::byte* data, const Shape& shape, DType dtype,
                      std::shared_ptr<const void> owner) {
  require(owner != nullptr, ErrorKind::kShape, "tensor", "borrowed memory needs an owner");
  Tensor t;
  t.shape_ = shape;
  t.strides_ = row_major(shape);
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(data, t.bytes(), Device::kCpu, std::move(owner));
  return t;
}

Tensor Tensor::scalar(double value, DType dtype, Device device) {
  Tensor t({}, dtype, device);
  visit_floating(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    *t.data<T>() = from_double<T>(value);
  });
  return t;
}

bool Tensor::contiguous() const {
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != step) return false;
    step *= shape_[i];
  }
  return true;
}

TensorView Tensor::view() const {
  TensorView v;
  if (!defined()) return v;
  v.data = raw();
  v.dtype = dtype_;
  v.rank = rank();
  for (int i = 0; i < rank(); ++i) {
    v.shape[i] = shape_[i];
    v.stride[i] = strides_[i];
  }
  return v;
}

Tensor Tensor::reshape(const Shape& shape) const {
  require(contiguous(), ErrorKind::kShape, "reshape", "tensor {} is not contiguous", shape_);
  require(shape.numel() == numel(), ErrorKind::kShape, "reshape", "{} has {} elements, {} has {}",
          shape_, numel(), shape, shape.numel());
  Tensor t = *this;
  t.shape_ = shape;
  t.strides_ = row_major(shape);
  return t;
}

Tensor Tensor::narrow(int dim, int64_t start, int64_t length) const {
  if (dim < 0) dim += rank();
  require(dim >= 0 && dim < rank() && start >= 0 && length >= 0 && start + length <= shape_[dim],
          ErrorKind::kShape, "narrow", "[{}, {}) of dimension {} of {}", start, start + length, dim,
          shape_);
  Tensor t = *this;
  t.offset_ += start * strides_[dim];
  t.shape_ = shape_.with(dim, length);
  return t;
}

Tensor Tensor::strided(const Shape& shape, std::span<const int64_t> strides) const {
  require(static_cast<int64_t>(strides.size()) == shape.rank(), ErrorKind::kShape, "strided",
          "{} strides for {}", strides.size(), shape);
  Tensor t = *this;
  t.shape_ = shape;
  int64_t last = offset_;
  for (int d = 0; d < shape.rank(); ++d) {
    t.strides_[static_cast<size_t>(d)] = strides[static_cast<size_t>(d)];
    require(strides[static_cast<size_t>(d)] >= 0, ErrorKind::kShape, "strided", "a stride of {}",
            strides[static_cast<size_t>(d)]);
    last += (shape[d] - 1) * strides[static_cast<size_t>(d)];
  }
  const auto end = static_cast<size_t>(last + 1) * size_of(dtype_);
  require(shape.numel() == 0 || end <= storage_->bytes(), ErrorKind::kShape, "strided",
          "{} ends at byte {} of {}", shape, end, storage_->bytes());
  return t;
}

Tensor Tensor::transpose(int a, int b) const {
  if (a < 0) a += rank();
  if (b < 0) b += rank();
  Tensor t = *this;
  t.shape_ = shape_.with(a, shape_[b]).with(b, shape_[a]);
  std::swap(t.strides_[a], t.strides_[b]);
  return t;
}

Tensor Tensor::split_last(int64_t groups) const {
  const int64_t width = shape_[-1];
  require(groups > 0 && width % groups == 0 && rank() < kMaxRank, ErrorKind::kShape, "split_last",
          "{} cannot be cut into {} groups", shape_, groups);
  std::vector<int64_t> dims(shape_.dims().begin(), shape_.dims().end());
  dims.back() = groups;
  dims.push_back(width / groups);
  Tensor t = *this;
  t.shape_ = Shape(std::span<const int64_t>(dims));
  t.strides_[rank()] = strides_[rank() - 1];
  t.strides_[rank() - 1] = strides_[rank() - 1] * (width / groups);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t(shape_, dtype_, device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_ && contiguous()) return *this;
  Tensor t(shape_, dtype, device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor t(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& source) const {
  require(source.shape() == shape_, ErrorKind::kShape, "copy", "{} into {}", source.shape(),
          shape_);
  if (loses_values()) return;
  if (source.dtype() == dtype_) {
    copy_same_type(source.view(), view());
  } else {
    copy_converting(source.view(), view());
  }
}

void Tensor::fill_zero() const {
  require(contiguous(), ErrorKind::kShape, "fill_zero", "tensor {} is not contiguous", shape_);
  if (loses_values()) return;  // which are zeros
  parallel_ranges(static_cast<int64_t>(bytes()), 1 << 20, [&](Range r, int) {
    std::memset(raw() + r.begin, 0, static_cast<size_t>(r.size()));
  });
}

double Tensor::item() const {
  require(numel() == 1, ErrorKind::kShape, "item", "tensor {} has more than one element", shape_);
  return to_vector()[0];
}

std::vector<double> Tensor::to_vector() const {
  std::vector<double> out;
  out.reserve(static_cast<size_t>(numel()));
  const Tensor t = contiguous() ? *this : clone();
  visit_floating(dtype_, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (T x : t.span<T>()) out.push_back(to_float(x));
  });
  return out;
}

}  // namespace lathe
