// Reverse-mode differentiation of vectors of doubles: the formulas of losses over tokens, pairs and
// groups (train/objective/) are written as in their papers, and their derivatives follow. A model's
// tensors are on the other tape (autograd/tape.h): what it says of each token enters here as a
// leaf, and the leaf's gradient goes back there as a weight.
//
// Values of equal size combine element by element; one of size 1 combines with every element of
// the other. Errors: kShape for other sizes. Not thread-safe: one tape belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace lathe {

class ValueTape;

class Values {
 public:
  Values() : Values(std::vector<double>()) {}
  // Constants.
  // NOLINTNEXTLINE(google-explicit-constructor): numbers stand beside values in formulas
  Values(double constant) : Values(std::vector<double>{constant}) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Values(std::vector<double> constants)
      : numbers_(std::make_shared<const std::vector<double>>(std::move(constants))) {}

  size_t size() const { return numbers_->size(); }
  double operator[](size_t i) const { return (*numbers_)[i]; }
  const std::vector<double>& numbers() const { return *numbers_; }
  // Of a value of size 1.
  double item() const;
  // The same numbers as a constant.
  Values detached() const { return Values(numbers_, nullptr, -1); }

 private:
  friend class ValueTape;
  Values(std::shared_ptr<const std::vector<double>> numbers, ValueTape* tape, int32_t id)
      : numbers_(std::move(numbers)), tape_(tape), id_(id) {}

  std::shared_ptr<const std::vector<double>> numbers_;
  ValueTape* tape_ = nullptr;
  int32_t id_ = -1;
};

class ValueTape {
 public:
  ValueTape() = default;
  ValueTape(const ValueTape&) = delete;
  ValueTape& operator=(const ValueTape&) = delete;

  Values leaf(std::vector<double> numbers);
  // From a value of size 1; once.
  void backward(const Values& loss);
  // After backward(): one number for each of the leaf; 0 where nothing depends on it.
  std::vector<double> gradient(const Values& leaf) const;

  // For operations: the result, which depends on `inputs`. `backward` gets the gradient of the
  // result and adds to those of the inputs, in their order; nullptr stands for a constant.
  using Gradient = std::vector<double>;
  using Backward = std::function<void(const Gradient& upstream, std::span<Gradient* const> inputs)>;
  static Values record(std::vector<double> result, std::vector<Values> inputs, Backward backward);

 private:
  struct Node {
    std::vector<Values> inputs;
    Backward backward;
    Gradient gradient;
  };
  Values add(std::vector<double> result, std::vector<Values> inputs, Backward backward);
  std::vector<Node> nodes_;
};

Values operator+(const Values& a, const Values& b);
Values operator-(const Values& a, const Values& b);
Values operator*(const Values& a, const Values& b);
Values operator/(const Values& a, const Values& b);
Values operator-(const Values& a);
// Where both are equal, each gets half of the gradient.
Values minimum(const Values& a, const Values& b);
Values maximum(const Values& a, const Values& b);
// low <= x <= high; there the gradient is 1, and elsewhere 0.
Values clamp(const Values& x, double low, double high);
Values exp(const Values& x);
Values log(const Values& x);
Values expm1(const Values& x);
Values sigmoid(const Values& x);
// log(1 / (1 + e^−x)), without overflow.
Values log_sigmoid(const Values& x);
Values relu(const Values& x);
Values square(const Values& x);

// Σ x, 1 number.
Values sum(const Values& x);
// Σ x / n; 0 of no number.
Values mean(const Values& x);
// x[index[i]].
Values take(const Values& x, std::vector<int64_t> index);

// Consecutive runs of elements: run r is [first(r), first(r + 1)).
class Runs {
 public:
  Runs() = default;
  explicit Runs(std::span<const int64_t> lengths);
  int64_t count() const { return static_cast<int64_t>(first_.size()) - 1; }
  int64_t total() const { return first_.back(); }
  int64_t first(int64_t run) const { return first_[static_cast<size_t>(run)]; }
  int64_t length(int64_t run) const { return first(run + 1) - first(run); }

 private:
  std::vector<int64_t> first_ = {0};
};
// The sum of each run of x.
Values sums(const Values& x, const Runs& runs);
// x[r] for every element of run r.
Values spread(const Values& x, const Runs& runs);

}  // namespace lathe
