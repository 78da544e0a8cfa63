#include "lathe/autograd/values.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "lathe/base/error.h"

namespace lathe {

double Values::item() const {
  require(size() == 1, ErrorKind::kShape, "values", "one number was asked of {}", size());
  return (*numbers_)[0];
}

Values ValueTape::add(std::vector<double> result, std::vector<Values> inputs, Backward backward) {
  nodes_.push_back({std::move(inputs), std::move(backward), {}});
  return {std::make_shared<const std::vector<double>>(std::move(result)), this,
          static_cast<int32_t>(nodes_.size()) - 1};
}

Values ValueTape::leaf(std::vector<double> numbers) { return add(std::move(numbers), {}, {}); }

Values ValueTape::record(std::vector<double> result, std::vector<Values> inputs,
                         Backward backward) {
  const auto found = std::ranges::find_if(inputs, [](const Values& v) { return v.id_ >= 0; });
  if (found == inputs.end()) return {std::move(result)};
  ValueTape* tape = found->tape_;
  return tape->add(std::move(result), std::move(inputs), std::move(backward));
}

void ValueTape::backward(const Values& loss) {
  if (loss.id_ < 0) return;  // depends on no leaf
  require(loss.tape_ == this && loss.size() == 1, ErrorKind::kShape, "values",
          "the loss must be one number on this tape, but has {}", loss.size());
  nodes_[static_cast<size_t>(loss.id_)].gradient = {1.0};
  for (size_t i = static_cast<size_t>(loss.id_) + 1; i-- > 0;) {
    Node& node = nodes_[i];
    if (node.gradient.empty() || !node.backward) continue;
    std::vector<Gradient*> inputs;
    for (const Values& input : node.inputs) {
      Gradient* gradient =
          input.id_ < 0 ? nullptr : &nodes_[static_cast<size_t>(input.id_)].gradient;
      if (gradient != nullptr) gradient->resize(input.size(), 0.0);
      inputs.push_back(gradient);
    }
    node.backward(node.gradient, inputs);
  }
}

std::vector<double> ValueTape::gradient(const Values& leaf) const {
  require(leaf.tape_ == this, ErrorKind::kShape, "values", "the leaf is not on this tape");
  Gradient gradient = nodes_[static_cast<size_t>(leaf.id_)].gradient;
  gradient.resize(leaf.size(), 0.0);
  return gradient;
}

namespace {

// Of two operands: the element that belongs to element i of the result.
size_t at(const Values& v, size_t i) { return v.size() == 1 ? 0 : i; }

size_t common_size(const Values& a, const Values& b) {
  require(a.size() == b.size() || a.size() == 1 || b.size() == 1, ErrorKind::kShape, "values",
          "{} and {} numbers do not combine", a.size(), b.size());
  return a.size() == 1 ? b.size() : a.size();
}

// f(a, b) and its derivatives by a and b.
template <class F, class A, class B>
Values binary(const Values& a, const Values& b, F&& f, A&& by_a, B&& by_b) {
  std::vector<double> result(common_size(a, b));
  for (size_t i = 0; i < result.size(); ++i) result[i] = f(a[at(a, i)], b[at(b, i)]);
  return ValueTape::record(std::move(result), {a, b},
                           [a, b, by_a, by_b](const auto& upstream, auto inputs) {
                             for (size_t i = 0; i < upstream.size(); ++i) {
                               const double x = a[at(a, i)], y = b[at(b, i)];
                               if (inputs[0] != nullptr)
                                 (*inputs[0])[at(a, i)] += upstream[i] * by_a(x, y);
                               if (inputs[1] != nullptr)
                                 (*inputs[1])[at(b, i)] += upstream[i] * by_b(x, y);
                             }
                           });
}

// f(x), whose derivative is slope(x, f(x)).
template <class F, class S>
Values unary(const Values& x, F&& f, S&& slope) {
  std::vector<double> result(x.size());
  for (size_t i = 0; i < result.size(); ++i) result[i] = f(x[i]);
  return ValueTape::record(result, {x}, [x, y = result, slope](const auto& upstream, auto inputs) {
    for (size_t i = 0; i < upstream.size(); ++i) (*inputs[0])[i] += upstream[i] * slope(x[i], y[i]);
  });
}

double half_if_equal(double wins, double loses) {
  return wins == loses ? 0.5 : wins > loses ? 1.0 : 0.0;
}

double sigmoid_of(double x) {
  return x >= 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x));
}

}  // namespace

Values operator+(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return x + y; }, [](double, double) { return 1.0; },
      [](double, double) { return 1.0; });
}

Values operator-(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return x - y; }, [](double, double) { return 1.0; },
      [](double, double) { return -1.0; });
}

Values operator*(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return x * y; }, [](double, double y) { return y; },
      [](double x, double) { return x; });
}

Values operator/(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return x / y; }, [](double, double y) { return 1.0 / y; },
      [](double x, double y) { return -x / (y * y); });
}

Values operator-(const Values& a) { return 0.0 - a; }

Values minimum(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return std::min(x, y); },
      [](double x, double y) { return half_if_equal(-x, -y); },
      [](double x, double y) { return half_if_equal(-y, -x); });
}

Values maximum(const Values& a, const Values& b) {
  return binary(
      a, b, [](double x, double y) { return std::max(x, y); },
      [](double x, double y) { return half_if_equal(x, y); },
      [](double x, double y) { return half_if_equal(y, x); });
}

Values clamp(const Values& x, double low, double high) {
  return unary(
      x, [=](double v) { return std::min(std::max(v, low), high); },
      [=](double v, double) { return v >= low && v <= high ? 1.0 : 0.0; });
}

Values exp(const Values& x) {
  return unary(
      x, [](double v) { return std::exp(v); }, [](double, double y) { return y; });
}

Values log(const Values& x) {
  return unary(
      x, [](double v) { return std::log(v); }, [](double v, double) { return 1.0 / v; });
}

Values expm1(const Values& x) {
  return unary(
      x, [](double v) { return std::expm1(v); }, [](double, double y) { return y + 1.0; });
}

Values sigmoid(const Values& x) {
  return unary(x, sigmoid_of, [](double, double y) { return y * (1.0 - y); });
}

Values log_sigmoid(const Values& x) {
  return unary(
      x, [](double v) { return std::min(v, 0.0) - std::log1p(std::exp(-std::abs(v))); },
      [](double v, double) { return sigmoid_of(-v); });
}

Values relu(const Values& x) {
  return unary(
      x, [](double v) { return std::max(v, 0.0); },
      [](double v, double) { return v > 0 ? 1.0 : 0.0; });
}

Values square(const Values& x) { return x * x; }

Values sum(const Values& x) {
  const double total = std::accumulate(x.numbers().begin(), x.numbers().end(), 0.0);
  return ValueTape::record({total}, {x}, [](const auto& upstream, auto inputs) {
    for (double& gradient : *inputs[0]) gradient += upstream[0];
  });
}

Values mean(const Values& x) {
  return x.size() == 0 ? Values(0.0) : sum(x) / static_cast<double>(x.size());
}

Values take(const Values& x, std::vector<int64_t> index) {
  std::vector<double> result;
  result.reserve(index.size());
  for (const int64_t i : index) {
    require(i >= 0 && static_cast<size_t>(i) < x.size(), ErrorKind::kShape, "values",
            "number {} was taken of {}", i, x.size());
    result.push_back(x[static_cast<size_t>(i)]);
  }
  return ValueTape::record(std::move(result), {x},
                           [index = std::move(index)](const auto& upstream, auto inputs) {
                             for (size_t i = 0; i < index.size(); ++i)
                               (*inputs[0])[static_cast<size_t>(index[i])] += upstream[i];
                           });
}

Runs::Runs(std::span<const int64_t> lengths) {
  for (const int64_t length : lengths) {
    require(length >= 0, ErrorKind::kShape, "values", "a run of {} elements", length);
    first_.push_back(first_.back() + length);
  }
}

namespace {

// f(element, run) for all elements of all runs.
template <class F>
void for_each_in(const Runs& runs, F&& f) {
  for (int64_t r = 0; r < runs.count(); ++r)
    for (int64_t i = runs.first(r); i < runs.first(r + 1); ++i)
      f(static_cast<size_t>(i), static_cast<size_t>(r));
}

void check(int64_t expected, const Values& x) {
  require(static_cast<size_t>(expected) == x.size(), ErrorKind::kShape, "values",
          "{} numbers where the runs have {}", x.size(), expected);
}

}  // namespace

Values sums(const Values& x, const Runs& runs) {
  check(runs.total(), x);
  std::vector<double> result(static_cast<size_t>(runs.count()), 0.0);
  for_each_in(runs, [&](size_t i, size_t r) { result[r] += x[i]; });
  return ValueTape::record(std::move(result), {x}, [runs](const auto& upstream, auto inputs) {
    for_each_in(runs, [&](size_t i, size_t r) { (*inputs[0])[i] += upstream[r]; });
  });
}

Values spread(const Values& x, const Runs& runs) {
  check(runs.count(), x);
  std::vector<double> result(static_cast<size_t>(runs.total()));
  for_each_in(runs, [&](size_t i, size_t r) { result[i] = x[r]; });
  return ValueTape::record(std::move(result), {x}, [runs](const auto& upstream, auto inputs) {
    for_each_in(runs, [&](size_t i, size_t r) { (*inputs[0])[r] += upstream[i]; });
  });
}

}  // namespace lathe
