// The kernel harness: one Case states the operands of a kernel call, check() runs it on every
// instruction-set level of this machine, in f32 and bf16, contiguous and strided, with one thread
// and two, and compares each time with the reference kernels in f64 on the same (rounded) inputs.
//
// Checked besides the error: inputs and the bytes around and between output rows are untouched; a
// second run gives the same bits. Outputs hold NaN beforehand, so that adding to what should be
// overwritten shows.
#pragma once

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/kernels/kernels.h"
#include "lathe/kernels/ref/array.h"

namespace lathe::kernels::testing {

enum class Role { kIn, kOut, kInOut };
enum class Kind {
  kActivation,  // the dtype of the run
  kFloat,       // f32 whatever the run: gradients of parameters, statistics, losses
  kIndex,       // i32
  kBF16,        // bf16 whatever the run: what a cache keeps in a smaller type
  kInt8,
};

struct Spec {
  Shape shape;
  Role role = Role::kIn;
  Kind kind = Kind::kActivation;
  bool contiguous = false;  // the kernel asks for it: shifted, but without gaps between rows
  // Value number i in row-major order; `normal` is a standard normal draw.
  std::function<double(int64_t i, double normal)> fill = [](int64_t, double normal) {
    return normal;
  };
};

struct Case {
  std::string name;
  std::vector<Spec> operands;
  std::function<void(const Kernels&, const std::vector<TensorView>&)> call;
  // Largest error, relative to the operand's largest magnitude or `floor`, whichever is larger: an
  // operand may be exactly zero in the reference where rounding leaves a little of what cancels.
  double f32 = 1e-5, bf16 = 1e-2, floor = 0.1;
};

// gtest names an instance after its case.
inline std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

struct Layout {
  int64_t shift = 0;  // elements before the first, so that rows are misaligned
  int64_t gap = 0;    // elements between rows
};

// A tensor in the middle of guarded memory.
class Operand {
 public:
  Operand(const Spec& spec, DType dtype, const Layout& layout) {
    view_.dtype = dtype;
    view_.rank = spec.shape.rank();
    int64_t stride = 1;
    for (int dim = view_.rank - 1; dim >= 0; --dim) {
      view_.shape[dim] = spec.shape[dim];
      view_.stride[dim] = stride;
      stride *= spec.shape[dim];
      if (dim == view_.rank - 1 && view_.rank > 1 && !spec.contiguous) stride += layout.gap;
    }
    begin_ = kGuard + static_cast<size_t>(layout.shift) * size_of(dtype);
    bytes_.assign(begin_ + static_cast<size_t>(stride) * size_of(dtype) + kGuard, kCanary);
    view_.data = bytes_.data() + begin_;
  }
  Operand(const Operand& other) : view_(other.view_), begin_(other.begin_), bytes_(other.bytes_) {
    view_.data = bytes_.data() + begin_;
  }
  Operand& operator=(const Operand&) = delete;

  const TensorView& view() const { return view_; }
  const std::vector<unsigned char>& bytes() const { return bytes_; }

  double get(int64_t i) const { return ref::load(view_, ref::offset_of(view_, i)); }
  void set(int64_t i, double value) {
    const int64_t at = ref::offset_of(view_, i);
    if (view_.dtype == DType::kI32)
      view_.as<int32_t>()[at] = static_cast<int32_t>(value);
    else if (view_.dtype == DType::kI8)
      view_.as<int8_t>()[at] = static_cast<int8_t>(value);
    else
      ref::store(view_, at, value);
  }

  // Whether every byte that belongs to no element is as it was.
  bool guards_intact() const {
    const auto width = static_cast<size_t>(view_.rank ? view_.shape[view_.rank - 1] : 1);
    const size_t row_bytes = width * size_of(view_.dtype);
    size_t at = 0;
    const auto untouched_until = [&](size_t end) {
      for (; at < end; ++at)
        if (bytes_[at] != kCanary) return false;
      return true;
    };
    for (int64_t i = 0; i < view_.numel(); i += static_cast<int64_t>(width)) {
      const auto row = static_cast<size_t>(ref::offset_of(view_, i)) * size_of(view_.dtype);
      if (!untouched_until(begin_ + row)) return false;
      at += row_bytes;
    }
    return untouched_until(bytes_.size());
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kCanary = 0xA5;
  TensorView view_;
  size_t begin_ = 0;
  std::vector<unsigned char> bytes_;
};

class Operands {
 public:
  Operands(const Case& c, DType activation, DType floats, const Layout& layout) {
    for (size_t k = 0; k < c.operands.size(); ++k) {
      const Spec& spec = c.operands[k];
      const DType dtype = dtype_of(spec.kind, activation, floats);
      operands_.emplace_back(spec, dtype, layout);
      const Rng rng = Rng(42).fork(k);
      for (int64_t i = 0; i < spec.shape.numel(); ++i)
        operands_[k].set(i, spec.role == Role::kOut
                                ? std::numeric_limits<double>::quiet_NaN()
                                : spec.fill(i, rng.normal(static_cast<uint64_t>(i))));
    }
  }
  const Operand& operator[](size_t k) const { return operands_[k]; }
  size_t size() const { return operands_.size(); }
  std::vector<TensorView> views() const {
    std::vector<TensorView> views;
    for (const Operand& o : operands_) views.push_back(o.view());
    return views;
  }
  void copy_values_from(const Operands& other) {
    for (size_t k = 0; k < size(); ++k)
      for (int64_t i = 0; i < operands_[k].view().numel(); ++i)
        operands_[k].set(i, other[k].get(i));
  }

 private:
  static DType dtype_of(Kind kind, DType activation, DType floats) {
    switch (kind) {
      case Kind::kActivation:
        return activation;
      case Kind::kFloat:
        return floats;
      case Kind::kIndex:
        return DType::kI32;
      case Kind::kBF16:
        return DType::kBF16;
      case Kind::kInt8:
        return DType::kI8;
    }
    return activation;
  }
  std::vector<Operand> operands_;
};

// Puts the thread count and the level back when a test ends.
class MachineState {
 public:
  ~MachineState() {
    set_thread_count(threads_);
    select_cpu_level(cpu_levels().back());
  }

 private:
  int threads_ = thread_count();
};

// Largest |got - want| / max(max |want|, floor); infinite where only one is NaN or infinite.
inline double scaled_error(const Operand& got, const Operand& want, double floor) {
  double error = 0, magnitude = floor;
  for (int64_t i = 0; i < want.view().numel(); ++i) {
    const double g = got.get(i), w = want.get(i);
    if (!std::isfinite(w)) {
      if (!(g == w || (std::isnan(g) && std::isnan(w)))) return HUGE_VAL;
      continue;
    }
    if (!std::isfinite(g)) return HUGE_VAL;
    error = std::max(error, std::abs(g - w));
    magnitude = std::max(magnitude, std::abs(w));
  }
  return error / magnitude;
}

inline void compare(const Case& c, const Operands& got, const Operands& fresh, const Operands& want,
                    double tolerance) {
  for (size_t k = 0; k < c.operands.size(); ++k) {
    EXPECT_TRUE(got[k].guards_intact()) << "wrote outside operand " << k;
    if (c.operands[k].role == Role::kIn)
      EXPECT_EQ(got[k].bytes(), fresh[k].bytes()) << "wrote to input " << k;
    else
      EXPECT_LE(scaled_error(got[k], want[k], c.floor), tolerance) << "operand " << k;
  }
}

inline void check_twice(const Case& c, const Kernels& kernels, const Operands& fresh,
                        const Operands& want, double tolerance) {
  const Operands first = fresh;
  c.call(kernels, first.views());
  compare(c, first, fresh, want, tolerance);
  const Operands second = fresh;
  c.call(kernels, second.views());
  for (size_t k = 0; k < c.operands.size(); ++k)
    EXPECT_EQ(first[k].bytes(), second[k].bytes()) << "not the same bits, operand " << k;
}

// The operands in f64, and what the reference makes of them.
inline Operands reference(const Case& c, const Operands& fresh) {
  Operands want(c, DType::kF64, DType::kF64, {});
  want.copy_values_from(fresh);
  c.call(ref_kernels(), want.views());
  return want;
}

inline void check(const Case& c) {
  const MachineState restore;
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Layout& layout : {Layout{}, Layout{3, 5}}) {
      const Operands fresh(c, dtype, DType::kF32, layout);
      const Operands want = reference(c, fresh);
      for (const std::string& level : cpu_levels()) {
        // Small operands run serially anyway; one thread on large ones is tried on the best level.
        for (int threads : {2, 1}) {
          if (threads == 1 && level != cpu_levels().back()) continue;
          SCOPED_TRACE(::testing::Message()
                       << c.name << " " << name_of(dtype) << " gap " << layout.gap << " " << level
                       << " threads " << threads);
          select_cpu_level(level);
          set_thread_count(threads);
          check_twice(c, cpu_kernels(), fresh, want, dtype == DType::kF32 ? c.f32 : c.bf16);
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

// The same for kernels that no machine need select, in bf16.
inline void check_bf16(const Case& c, const Kernels& kernels) {
  for (const Layout& layout : {Layout{}, Layout{3, 5}}) {
    SCOPED_TRACE(::testing::Message() << c.name << " gap " << layout.gap);
    const Operands fresh(c, DType::kBF16, DType::kF32, layout);
    check_twice(c, kernels, fresh, reference(c, fresh), c.bf16);
  }
}

// The cases of all suites; table_test.cc looks for every entry of the table among them.
using Cases = std::function<std::vector<Case>()>;
inline std::vector<Cases>& suites() {
  static std::vector<Cases> all;
  return all;
}
inline bool add_suite(Cases cases) {
  suites().push_back(std::move(cases));
  return true;
}

// Declares the suite `name` over the vector<Case> that `cases` gives.
#define LATHE_KERNEL_SUITE(name, cases)                                                  \
  const bool name##_added = ::lathe::kernels::testing::add_suite([] { return cases; });  \
  class name : public ::testing::TestWithParam<::lathe::kernels::testing::Case> {};      \
  TEST_P(name, AgreesWithTheReference) { ::lathe::kernels::testing::check(GetParam()); } \
  INSTANTIATE_TEST_SUITE_P(, name, ::testing::ValuesIn(cases), ::lathe::kernels::testing::case_name)

// Shapes [N,C] for row kernels: odd, size one, empty, many short rows, and large enough for two
// threads.
inline std::vector<Shape> row_shapes() {
  return {{1, 1}, {3, 17}, {1, 1000}, {130, 1}, {0, 8}, {5, 64}, {37, 1031}};
}
inline std::string name_of_shape(const Shape& shape) {  // "3x17"
  return fmt::format("{}", fmt::join(shape.dims(), "x"));
}

}  // namespace lathe::kernels::testing
