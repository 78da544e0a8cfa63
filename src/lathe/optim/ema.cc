#include "lathe/optim/ema.h"

#include <algorithm>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {
constexpr std::string_view kWhere = "ema";
}

Ema::Ema(double decay, std::span<const TrainedParameter> parameters) : decay_(decay) {
  require(decay >= 0 && decay < 1, ErrorKind::kConfig, kWhere,
          "decay is {}, expected 0 <= decay < 1", decay);
  for (const TrainedParameter& p : parameters) {
    optim::check_parameter(kWhere, p);
    const bool fresh = averages_.emplace(p.name(), p.master.clone()).second;
    require(fresh, ErrorKind::kShape, kWhere, "two parameters are named '{}'", p.name());
  }
}

Tensor& Ema::average_of(const Parameter& p) {
  const auto found = averages_.find(p.name);
  require(found != averages_.end(), ErrorKind::kShape, kWhere, "no average of parameter '{}'",
          p.name);
  return found->second;
}

const Tensor& Ema::checked_average(const TrainedParameter& p) {
  const Tensor& average = average_of(*p.parameter);
  optim::check_state(kWhere, p, average, p.master.shape());
  return average;
}

void Ema::update(std::span<const TrainedParameter> parameters, int64_t step) {
  require(!swapped_, ErrorKind::kShape, kWhere, "update while the averages are swapped in");
  require(step >= 1, ErrorKind::kNumeric, kWhere, "step is {}, expected at least 1", step);
  const double t = static_cast<double>(step), decay = std::min(decay_, (1 + t) / (10 + t));
  for (const TrainedParameter& p : parameters) {
    const Tensor& average = checked_average(p);
    optim::visit_master(p, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* e = average.data<T>();
      const T* w = p.master.data<T>();
      const T rate = static_cast<T>(1 - decay);
      parallel_ranges(p.master.numel(), optim::kGrain, [=](Range r, int) {
        for (int64_t i = r.begin; i < r.end; ++i) e[i] += rate * (w[i] - e[i]);
      });
    });
  }
}

void Ema::swap(std::span<const TrainedParameter> parameters) {
  for (const TrainedParameter& p : parameters)
    checked_average(p);  // all checks before the first change
  for (const TrainedParameter& p : parameters) {
    const Tensor& average = checked_average(p);
    optim::visit_master(p, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* e = average.data<T>();
      T* w = p.master.data<T>();
      parallel_ranges(p.master.numel(), optim::kGrain,
                      [=](Range r, int) { std::swap_ranges(e + r.begin, e + r.end, w + r.begin); });
    });
    optim::refresh_compute(p);
  }
  swapped_ = !swapped_;
}

Tensor& Ema::average(const Parameter& p) {
  require(!swapped_, ErrorKind::kShape, kWhere, "state read while the averages are swapped in");
  return average_of(p);
}

int64_t Ema::bytes() const {
  int64_t total = 0;
  for (const auto& [name, average] : averages_) total += static_cast<int64_t>(average.bytes());
  return total;
}

}  // namespace lathe
