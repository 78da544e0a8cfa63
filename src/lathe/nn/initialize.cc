#include "lathe/nn/initialize.h"

#include <utility>
#include <vector>

#include "lathe/base/parallel.h"

namespace lathe {
namespace {

// The standard deviation of element i of a parameter whose parts may differ in it.
class StdOf {
 public:
  explicit StdOf(const Parameter& p) : common_(p.init.std) {
    if (p.init.part_std.empty()) return;
    const int64_t per_row = p.shape.numel() / p.shape[0];
    int64_t end = 0;
    for (size_t i = 0; i < p.parts.size(); ++i)
      ends_.emplace_back(end += p.parts[i] * per_row, p.init.part_std[i]);
  }
  double operator()(int64_t i) const {
    for (const auto& [end, own] : ends_)
      if (i < end) return own;
    return common_;
  }

 private:
  double common_;
  std::vector<std::pair<int64_t, double>> ends_;
};

double fresh_value(const Initializer& init, const StdOf& deviation, const Rng& stream, int64_t i) {
  switch (init.kind) {
    case Initializer::Kind::kNormal:
      return deviation(i) * stream.normal(static_cast<uint64_t>(i));
    case Initializer::Kind::kZeros:
      return 0.0;
    case Initializer::Kind::kOnes:
      return 1.0;
  }
  return 0.0;
}

}  // namespace

void draw(Parameter& p, const Rng& stream) {
  const StdOf deviation(p);
  const Tensor& value = p.value.tensor();
  visit_floating(value.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* values = value.data<T>();
    parallel_for(value.numel(), 1 << 14, [&](int64_t i) {
      values[i] = from_double<T>(fresh_value(p.init, deviation, stream, i));
    });
  });
}

}  // namespace lathe
