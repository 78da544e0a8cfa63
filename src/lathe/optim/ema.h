// Exponential moving average of the weights (Polyak & Juditsky 1992; Izmailov et al. 2018,
// arXiv:1803.05407).
//
//   e ← e + (1 − d)·(w − e),  d = min(decay, (1 + step) / (10 + step))
//
// The average starts at the weights it was made with; d grows into `decay`, so that those are soon
// forgotten. Held in f32 (f64 for parameters on Device::kRef). Swapping exchanges the numbers of
// weights and averages in place: twice gives back the same bits. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "lathe/optim/trained_parameter.h"

namespace lathe {

class Ema {
 public:
  // Error kConfig unless 0 <= decay < 1.
  Ema(double decay, std::span<const TrainedParameter> parameters);

  // After optimiser step `step`, counted from 1. Error kShape while swapped in, or for parameters
  // that the average was not made with.
  void update(std::span<const TrainedParameter> parameters, int64_t step);

  // Puts the averages where the weights were, or back; also refreshes compute copies.
  void swap(std::span<const TrainedParameter> parameters);
  bool swapped() const { return swapped_; }

  // The average of one of its parameters. Error kShape for another one, and while swapped in.
  Tensor& average(const Parameter& parameter);
  int64_t bytes() const;

 private:
  Tensor& average_of(const Parameter& parameter);
  const Tensor& checked_average(const TrainedParameter& parameter);

  double decay_;
  bool swapped_ = false;
  std::map<std::string, Tensor> averages_;
};

// Averages in place of the weights for as long as it lives: evaluation, sampling, export.
class EmaScope {
 public:
  EmaScope(Ema& ema, std::span<const TrainedParameter> parameters)
      : ema_(ema), parameters_(parameters) {
    ema_.swap(parameters_);
  }
  ~EmaScope() { ema_.swap(parameters_); }
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema& ema_;
  std::span<const TrainedParameter> parameters_;  // must outlive the scope
};

}  // namespace lathe
