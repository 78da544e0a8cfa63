// Small parameters for the tests of optimisers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/nn/parameter.h"
#include "lathe/optim/optimizers.h"

namespace lathe::testing {

struct Place {
  Device device;
  DType dtype;
  double tolerance;
};
// f32 with the fast kernels, and the specification in f64.
inline const Place kCpu{Device::kCpu, DType::kF32, 2e-5}, kRef{Device::kRef, DType::kF64, 1e-10};
inline const Place kPlaces[] = {kCpu, kRef};

inline void set(const Tensor& t, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype() == DType::kF64)
      t.data<double>()[i] = values[i];
    else
      t.data<float>()[i] = static_cast<float>(values[i]);
  }
}

inline std::vector<double> normals(size_t n, uint64_t seed) {
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = Rng(seed).normal(i);
  return x;
}

inline std::unique_ptr<Parameter> parameter(const std::string& name, const Shape& shape,
                                            const Place& place, const std::vector<double>& values) {
  auto p = std::make_unique<Parameter>(shape, Initializer{});
  p->name = name;
  p->value = Tensor(shape, place.dtype, place.device);
  set(p->value, values);
  p->compute = p->value;
  p->grad.tensor = Tensor::zeros(shape, place.dtype, place.device);
  return p;
}

inline void set_gradient(Parameter& p, const std::vector<double>& values) {
  set(p.grad.tensor, values);
  p.grad.written = true;
}

// A list of parameters as optimisers take it.
struct Parameters {
  std::vector<std::unique_ptr<Parameter>> owned;
  std::vector<Parameter*> list;

  Parameter& add(std::unique_ptr<Parameter> p) {
    list.push_back(p.get());
    owned.push_back(std::move(p));
    return *list.back();
  }
};

// A matrix of three stacked parts, a table, a gain and a stack of two matrices, with random values.
inline Parameters mixture(const Place& place) {
  Parameters all;
  Parameter& fused = all.add(parameter("attention.qkv.weight", {7, 4}, place, normals(28, 1)));
  fused.parts = {4, 2, 1};
  Parameter& table = all.add(parameter("embedding.weight", {5, 4}, place, normals(20, 2)));
  table.is_table = true;
  all.add(parameter("norm.weight", {4}, place, normals(4, 3)));
  all.add(parameter("experts.weight", {2, 3, 4}, place, normals(24, 4)));
  return all;
}

inline void random_gradients(const Parameters& all, uint64_t seed) {
  uint64_t i = 0;
  for (Parameter* p : all.list)
    set_gradient(*p, normals(static_cast<size_t>(p->value.numel()), Rng(seed).fork(i++).key()));
}

}  // namespace lathe::testing
