#include "lathe/ops/cross_entropy.h"

#include <optional>
#include <utility>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"
#include "lathe/ops/log_sum_exp.h"

namespace lathe::ops {
namespace {

using kernels::Write;

struct Result {
  Tensor loss = {}, losses = {};
  double z_term = 0;
};

// The z-loss of one chunk. With p the softmax, a = 2·c·lse and d the gradient p − onehot of the
// cross entropy, its gradient added to d is (1 + a)·d + a·onehot.
class ZLoss {
 public:
  ZLoss(double c, const Tensor& logits, const Tensor& labels)
      : c_(c), labels_(labels), sums_(logits, labels) {}
  // From the cross entropy of every row; returns the sum of c · lse².
  double finish(const Tensor& losses) {
    lse_ = sums_.from(losses);
    double sum = 0;
    for (const double lse : lse_) sum += c_ * lse * lse;
    return sum;
  }
  // `scale` is what the cross entropy's gradient was multiplied by.
  void differentiate(const Tensor& dlogits, double scale) const {
    visit_sums(dlogits.dtype(),
               [&](auto tag) { add<typename decltype(tag)::type>(dlogits, scale); });
  }

 private:
  template <class T>
  void add(const Tensor& dlogits, double scale) const {
    const int64_t width = dlogits.size(1);
    parallel_for(dlogits.size(0), 1, [&](int64_t n) {
      const int32_t label = labels_.data<int32_t>()[n];
      if (label < 0) return;
      T* row = dlogits.data<T>() + n * width;
      const double a = 2 * c_ * lse_[static_cast<size_t>(n)];
      const T factor = static_cast<T>(1 + a);
      for (int64_t v = 0; v < width; ++v) row[v] *= factor;
      row[label] += static_cast<T>(a * scale);
    });
  }

  double c_;
  Tensor labels_;
  LogSumExp sums_;
  std::vector<double> lse_;
};

// Room for the gradients that are needed.
HeadGradients gradients_for(const Var& hidden, const Tensor& rows, const OutputHead& head) {
  const DType sums = accumulation_type(rows.dtype());
  const auto of = [&](const Var& input, const Shape& shape, DType dtype) {
    return input.needs_grad()
               ? GradientTarget{Tensor(shape, dtype, rows.device()), Write::kOverwrite}
               : GradientTarget{};
  };
  return {.hidden = of(hidden, rows.shape(), rows.dtype()),
          .weight = of(head.weight, head.weight.shape(), sums),
          .bias = of(head.bias, {head.weight.shape()[0]}, sums)};
}

struct Problem {
  LabelledRows rows;
  const OutputHead& head;
  double normalizer, z_loss;
  std::optional<HeadGradients> gradients;  // nothing when nobody asks for any
};

// Fills the gradients as it goes.
Result run_chunks(const Problem& p) {
  const HeadChunks chunks(p.rows.hidden, p.head);
  const DType type = p.rows.hidden.dtype(), sums = accumulation_type(type);
  const auto& k = kernels_of(p.rows.hidden);
  const double scale = 1.0 / p.normalizer;
  Result r{.losses = Tensor({p.rows.labels.numel()}, sums, p.rows.hidden.device())};
  // Straight in the products' dtype, unless something still has to be done with it.
  const bool convert = p.gradients && type != sums && p.head.softcap == 0.0 && p.z_loss == 0.0;
  const Tensor converted = convert ? chunks.room(type) : Tensor();
  chunks.for_each([&](const HeadChunks::Chunk& c) {
    const Tensor labels = c.of(p.rows.labels), losses = c.of(r.losses);
    const Tensor dlogits = convert ? converted.narrow(0, 0, labels.size(0)) : c.logits;
    std::optional<ZLoss> z;
    if (p.z_loss != 0.0) z.emplace(p.z_loss, c.logits, labels);
    k.cross_entropy(c.logits, labels, losses, p.gradients ? dlogits.view() : TensorView(), scale);
    if (z) r.z_term += z->finish(losses);
    if (!p.gradients) return;
    if (z) z->differentiate(dlogits, scale);
    chunks.differentiate(c, dlogits, *p.gradients);
  });
  double total = 0.0;
  for (double x : r.losses.to_vector()) total += x;
  r.z_term /= p.normalizer;
  r.loss = Tensor::scalar(total / p.normalizer + r.z_term, sums, r.losses.device());
  return r;
}

}  // namespace

Var linear_cross_entropy(const Var& hidden, const OutputHead& head, const Tensor& labels,
                         const CrossEntropyOptions& options) {
  const LabelledRows rows = labelled_rows("cross_entropy", hidden, head, labels);
  const double normalizer =
      options.normalizer > 0 ? options.normalizer : static_cast<double>(rows.count);
  require(normalizer > 0, ErrorKind::kData, "cross_entropy", "no label counts: all {} are ignored",
          rows.labels.numel());
  const Var &weight = head.weight, &bias = head.bias;
  Problem problem{rows, head, normalizer, options.z_loss, {}};
  if (tape_of({&hidden, &weight, &bias}) != nullptr)
    problem.gradients = gradients_for(hidden, rows.hidden, head);
  const Result r = run_chunks(problem);
  if (options.z_term != nullptr) *options.z_term = r.z_term;
  if (options.losses != nullptr) *options.losses = r.losses;
  auto backward = [hidden = hidden.ref(), weight = weight.ref(), bias = bias.ref(),
                   shape = hidden.shape(),
                   gradients = problem.gradients.value_or(HeadGradients())](Gradients& g) {
    const double seed = g.of_output().item();
    const auto give = [&](const Var& input, const Tensor& gradient, const Shape& as) {
      if (!input.needs_grad()) return;
      if (seed != 1.0) kernels_of(gradient).scale(seed, gradient, gradient);
      g.add(input, gradient.reshape(as));
    };
    give(hidden, gradients.hidden.target, shape);
    give(weight, gradients.weight.target, gradients.weight.target.shape());
    give(bias, gradients.bias.target, gradients.bias.target.shape());
  };
  return record("cross_entropy", r.loss, {&hidden, &weight, &bias}, std::move(backward));
}

}  // namespace lathe::ops
