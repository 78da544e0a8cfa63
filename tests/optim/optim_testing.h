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

// A parameter with what training keeps of it.
struct Owned : Parameter {
  using Parameter::Parameter;
  Tensor master;  // also what passes read, until a test gives the parameter another value
  GradBuffer gradient;
};

inline std::unique_ptr<Owned> parameter(const std::string& name, const Shape& shape,
                                        const Place& place, const std::vector<double>& values) {
  auto p = std::make_unique<Owned>(shape, Initializer{});
  p->name = name;
  p->master = Tensor(shape, place.dtype, place.device);
  set(p->master, values);
  p->value = p->master;
  p->gradient.tensor = Tensor::zeros(shape, place.dtype, place.device);
  return p;
}

inline void set_gradient(GradBuffer& gradient, const std::vector<double>& values) {
  set(gradient.tensor, values);
  gradient.written = true;
}

// A list of parameters as optimisers take it.
struct Parameters {
  std::vector<std::unique_ptr<Owned>> owned;
  std::vector<TrainedParameter> list;

  Owned& add(std::unique_ptr<Owned> p) {
    list.push_back({p.get(), p->master, &p->gradient});
    owned.push_back(std::move(p));
    return *owned.back();
  }
};

// A matrix of three stacked parts, a table, a gain and a stack of two matrices, with random values.
inline Parameters mixture(const Place& place) {
  Parameters all;
  Owned& fused = all.add(parameter("attention.qkv.weight", {7, 4}, place, normals(28, 1)));
  fused.parts = {4, 2, 1};
  Owned& table = all.add(parameter("embedding.weight", {5, 4}, place, normals(20, 2)));
  table.is_table = true;
  all.add(parameter("norm.weight", {4}, place, normals(4, 3)));
  all.add(parameter("experts.weight", {2, 3, 4}, place, normals(24, 4)));
  return all;
}

inline void random_gradients(const Parameters& all, uint64_t seed) {
  uint64_t i = 0;
  for (const TrainedParameter& p : all.list)
    set_gradient(*p.gradient,
                 normals(static_cast<size_t>(p.master.numel()), Rng(seed).fork(i++).key()));
}

}  // namespace lathe::testing
