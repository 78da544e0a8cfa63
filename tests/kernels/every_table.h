// Calls outside of the harness: tensors, their bits, and a walk over everything that computes.
#pragma once

#include "kernels/emulated.h"
#include "kernels/harness.h"

namespace lathe::kernels::testing {

inline Tensor random_tensor(const Shape& shape, std::string_view name, DType dtype = DType::kF32) {
  const Tensor t(shape, DType::kF32);
  const Rng rng = Rng(8).fork(name);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = static_cast<float>(rng.normal(static_cast<uint64_t>(i)));
  return t.to(dtype);
}

// What an output holds beforehand: a value that no kernel writes shows.
inline Tensor spoiled(const Shape& shape, DType dtype) {
  const Tensor t(shape, DType::kF32);
  std::ranges::fill(t.span<float>(), std::nanf(""));
  return t.to(dtype);
}

// The values of `count` rows of dimension `dim`.
inline std::vector<double> part(const Tensor& t, int dim, int64_t first, int64_t count) {
  return t.narrow(dim, first, count).clone().to_vector();
}

inline DType wide(DType t) { return t == DType::kF64 ? t : DType::kF32; }

// f(table, dtype): every level of this machine, the emulated ones, and the reference.
template <class F>
void on_every_table(F&& f) {
  const MachineState restore;
  set_thread_count(2);
  const auto call = [&](const Kernels& kernels, const std::string& name, DType dtype) {
    SCOPED_TRACE(::testing::Message() << name << " " << name_of(dtype));
    f(kernels, dtype);
  };
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    for (DType dtype : {DType::kF32, DType::kBF16}) call(cpu_kernels(), level, dtype);
  }
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF64}) call(ref_kernels(), "ref", dtype);
  call(pair_kernels(), "emulated pairs", DType::kBF16);
  call(tile_kernels(), "emulated tiles", DType::kBF16);
}

}  // namespace lathe::kernels::testing
