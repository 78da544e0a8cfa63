// The harness of operations: a Case names the inputs of one use of an operation; from that follow
//   * the gradient check: every gradient in f64 on Device::kRef against the four-point central
//     difference of r·y for a fixed random r;
//   * the same gradients when only one input needs one, when the operation stands twice on a tape,
//     and when parameter gradients are summed over two backward passes;
//   * the agreement of f32 and bf16 on Device::kCpu with f64 on Device::kRef from the same values.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "lathe/autograd/tape.h"
#include "lathe/base/rng.h"
#include "lathe/ops/elementwise.h"

namespace lathe::testing {

using Values = std::vector<double>;

enum class Kind {
  kActivation,  // the dtype of the run, as is its gradient
  kWeight,      // the dtype of the run; the gradient goes to a GradBuffer in the accumulation dtype
  kGain,        // gains and biases: accumulation dtype, GradBuffer
};

struct Input {
  Shape shape;
  Kind kind = Kind::kActivation;
};

struct Case {
  std::string name;
  std::vector<Input> inputs;
  std::function<std::vector<Var>(const std::vector<Var>&)> run;
  double f32 = 1e-5, bf16 = 3e-2;  // largest error relative to the largest magnitude
};

inline std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

struct Place {
  DType dtype;
  Device device;
};
inline constexpr Place kSpecification{DType::kF64, Device::kRef};

inline Tensor tensor_of(const Values& values, const Shape& shape, DType dtype, Device device) {
  return Tensor::of<double>(values, shape, device).to(dtype);
}

inline DType wide(DType t) { return t == DType::kF64 ? t : DType::kF32; }

// Away from zero, where ReLU has no derivative.
inline Values random_values(int64_t count, const Rng& rng) {
  Values out;
  for (int64_t i = 0; i < count; ++i) {
    const double x = rng.normal(static_cast<uint64_t>(i));
    out.push_back(std::abs(x) < 0.05 ? x + 0.3 : x);
  }
  return out;
}

// The inputs of a case, exact in `dtype`.
inline std::vector<Values> input_values(const Case& c, DType dtype) {
  std::vector<Values> all;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Shape& shape = c.inputs[i].shape;
    const Values exact = random_values(shape.numel(), Rng(7).fork(c.name).fork(i));
    all.push_back(tensor_of(exact, shape, dtype, Device::kCpu).to_vector());
  }
  return all;
}

// r: few bits, so that it is exact in every dtype.
inline Values probe(int64_t count) {
  Values r;
  for (int64_t i = 0; i < count; ++i)
    r.push_back(std::round(Rng(11).normal(static_cast<uint64_t>(i)) * 8) / 8);
  return r;
}

// One set of inputs on a tape (or none), with the buffers that parameter gradients go to.
class Instance {
 public:
  Instance(const Case& c, const std::vector<Values>& values, const Place& place)
      : case_(c), buffers_(c.inputs.size()) {
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      const bool gain = c.inputs[i].kind == Kind::kGain;
      const DType dtype = gain ? wide(place.dtype) : place.dtype;
      tensors_.push_back(tensor_of(values[i], c.inputs[i].shape, dtype, place.device));
      if (c.inputs[i].kind != Kind::kActivation)  // NaN: the first write must overwrite
        buffers_[i].tensor = tensor_of(Values(values[i].size(), std::nan("")), c.inputs[i].shape,
                                       wide(place.dtype), place.device);
    }
  }

  // `only`: the one input that needs a gradient; -1 for all.
  std::vector<Var> on(Tape* tape, int only = -1) {
    std::vector<Var> vars;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tape == nullptr || (only >= 0 && static_cast<int>(i) != only))
        vars.emplace_back(tensors_[i]);
      else if (case_.inputs[i].kind == Kind::kActivation)
        vars.push_back(tape->leaf(tensors_[i]));
      else
        vars.push_back(tape->leaf(tensors_[i], &buffers_[i]));
    }
    return vars;
  }

  Values gradient(const Tape& tape, const Var& var, size_t i) const {
    if (case_.inputs[i].kind != Kind::kActivation)
      return buffers_[i].written ? buffers_[i].tensor.to_vector()
                                 : Values(tensors_[i].numel(), 0.0);
    const Tensor& g = tape.grad(var);
    return g.defined() ? g.to_vector() : Values(tensors_[i].numel(), 0.0);
  }

 private:
  const Case& case_;
  std::vector<Tensor> tensors_;
  std::deque<GradBuffer> buffers_;
};

struct Outcome {
  std::vector<Values> outputs, gradients;
};

inline void backward_of(Tape& tape, const Var& y) {
  tape.backward(y, tensor_of(probe(y.value.numel()), y.shape(), y.value.dtype(), y.value.device()));
}

// Fills the memory that the tensors to come will get with NaN: an operation that reads what it did
// not write is found out.
inline void spoil_free_memory() {
  std::vector<Tensor> taken;
  for (int64_t numel = 1; numel <= 4096; numel += numel < 256 ? 8 : numel / 8)
    for (int copies = 0; copies < 4; ++copies)
      taken.push_back(tensor_of(Values(static_cast<size_t>(numel), std::nan("")), {numel},
                                DType::kF64, Device::kCpu));
}

// Outputs, and gradients of probe·output number `which`.
inline Outcome evaluate(const Case& c, const std::vector<Values>& values, const Place& place,
                        size_t which, int only = -1) {
  spoil_free_memory();
  Instance instance(c, values, place);
  Tape tape;
  const std::vector<Var> inputs = instance.on(&tape, only);
  const std::vector<Var> outputs = c.run(inputs);
  Outcome out;
  for (const Var& y : outputs) out.outputs.push_back(y.value.to_vector());
  backward_of(tape, outputs[which]);
  for (size_t i = 0; i < inputs.size(); ++i)
    out.gradients.push_back(
        only < 0 || static_cast<int>(i) == only ? instance.gradient(tape, inputs[i], i) : Values());
  return out;
}

inline double probed(const Case& c, const std::vector<Values>& values, size_t which) {
  Instance instance(c, values, kSpecification);
  const Values y = c.run(instance.on(nullptr))[which].value.to_vector();
  const Values r = probe(static_cast<int64_t>(y.size()));
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += r[i] * y[i];
  return sum;
}

inline double central_difference(const Case& c, std::vector<Values> values, size_t input, size_t at,
                                 size_t which) {
  constexpr double kStep = 1e-3;
  const double x = values[input][at];
  const auto f = [&](double offset) {
    values[input][at] = x + offset * kStep;
    return probed(c, values, which);
  };
  return (f(-2) - 8 * f(-1) + 8 * f(1) - f(2)) / (12 * kStep);
}

inline double error_of(const Values& got, const Values& want) {
  if (got.size() != want.size()) return HUGE_VAL;
  double error = 0, magnitude = 0.1;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return HUGE_VAL;
    error = std::max(error, std::abs(got[i] - want[i]));
    magnitude = std::max(magnitude, std::abs(want[i]));
  }
  return error / magnitude;
}

inline size_t output_count(const Case& c) {
  Instance instance(c, input_values(c, DType::kF64), kSpecification);
  return c.run(instance.on(nullptr)).size();
}

inline void check_gradients(const Case& c) {
  const auto values = input_values(c, DType::kF64);
  for (size_t which = 0; which < output_count(c); ++which) {
    SCOPED_TRACE(::testing::Message() << "output " << which);
    const Outcome all = evaluate(c, values, kSpecification, which);
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      SCOPED_TRACE(::testing::Message() << "input " << i);
      Values numeric;
      for (size_t at = 0; at < values[i].size(); ++at)
        numeric.push_back(central_difference(c, values, i, at, which));
      EXPECT_LE(error_of(all.gradients[i], numeric), 1e-9);
    }
  }
}

// Gradients do not depend on which other inputs need one, and add up.
inline void check_sums(const Case& c) {
  const auto values = input_values(c, DType::kF64);
  const Outcome all = evaluate(c, values, kSpecification, 0);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Outcome alone = evaluate(c, values, kSpecification, 0, static_cast<int>(i));
    // An input that output 0 does not depend on has no gradient alone either.
    EXPECT_LE(error_of(alone.gradients[i], all.gradients[i]), 1e-14) << "input " << i;
  }
  std::vector<Values> fourfold;
  for (const Values& g : all.gradients) {
    fourfold.push_back(g);
    for (double& x : fourfold.back()) x *= 4;
  }
  Instance instance(c, values, kSpecification);
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    const auto inputs = instance.on(&tape);
    const Var once = c.run(inputs)[0], again = c.run(inputs)[0];
    backward_of(tape, ops::add(once, again));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool buffered = c.inputs[i].kind != Kind::kActivation;
      Values want = fourfold[i];
      for (double& x : want) x *= buffered ? (pass + 1) / 2.0 : 0.5;
      EXPECT_LE(error_of(instance.gradient(tape, inputs[i], i), want), 1e-14)
          << "input " << i << " pass " << pass;
    }
  }
}

inline void check_agreement(const Case& c) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    const auto values = input_values(c, dtype);
    const double tolerance = dtype == DType::kF32 ? c.f32 : c.bf16;
    for (size_t which = 0; which < output_count(c); ++which) {
      SCOPED_TRACE(::testing::Message() << name_of(dtype) << " output " << which);
      const Outcome want = evaluate(c, values, kSpecification, which);
      const Outcome got = evaluate(c, values, {dtype, Device::kCpu}, which);
      for (size_t i = 0; i < want.outputs.size(); ++i)
        EXPECT_LE(error_of(got.outputs[i], want.outputs[i]), tolerance) << "output " << i;
      for (size_t i = 0; i < want.gradients.size(); ++i)
        EXPECT_LE(error_of(got.gradients[i], want.gradients[i]), tolerance) << "gradient " << i;
      const Outcome again = evaluate(c, values, {dtype, Device::kCpu}, which);
      EXPECT_EQ(got.gradients, again.gradients) << "not the same bits";
    }
  }
}

}  // namespace lathe::testing
