#include "lathe/ops/cross_entropy.h"

#include <algorithm>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe::ops {
namespace {

using kernels::Write;

// Enough rows for the products to run at full rate, few enough for a chunk of logits to stay near
// the cache.
int64_t chunk_rows(int64_t vocabulary) {
  constexpr int64_t kChunkElements = 4 << 20;
  return std::max<int64_t>(256, kChunkElements / std::max<int64_t>(vocabulary, 1) / 64 * 64);
}

int64_t count_labels(const Tensor& labels, int64_t vocabulary) {
  int64_t count = 0;
  for (int32_t label : labels.span<int32_t>()) {
    require(
        label < vocabulary, ErrorKind::kData, "cross_entropy",
        "label {} is outside the vocabulary of {}; the data and the model must use one tokenizer",
        label, vocabulary);
    count += label >= 0;
  }
  return count;
}

struct Result {
  Tensor loss, losses, dhidden, dweight, dbias;
  double z_term = 0;
};

// The soft cap of one chunk of logits, in place, and its derivative.
class Cap {
 public:
  Cap(double cap, const Tensor& like) : cap_(cap), f_(kernels::find_activation("tanh")) {
    if (cap > 0.0) ratio_ = Tensor(like.shape(), like.dtype(), like.device());
  }
  void apply(const kernels::Kernels& k, const Tensor& logits) const {
    if (cap_ == 0.0) return;
    const Tensor ratio = ratio_.narrow(0, 0, logits.size(0));
    k.scale(1.0 / cap_, logits, ratio);
    k.activation(f_, ratio, logits);
    k.scale(cap_, logits, logits);
  }
  void differentiate(const kernels::Kernels& k, const Tensor& dlogits) const {
    if (cap_ > 0.0)
      k.activation_backward(f_, ratio_.narrow(0, 0, dlogits.size(0)), dlogits, dlogits);
  }

 private:
  double cap_;
  kernels::ActivationId f_;
  Tensor ratio_;  // logits / cap
};

// The z-loss of one chunk. With p the softmax, a = 2·c·lse and d the gradient p − onehot of the cross
// entropy, its gradient added to d is (1 + a)·d + a·onehot.
class ZLoss {
 public:
  ZLoss(double c, const Tensor& logits, const Tensor& labels) : c_(c), labels_(labels) {
    if (c_ == 0.0) return;
    for (int64_t n = 0; n < labels.size(0); ++n)
      lse_.push_back(label_of(n) < 0 ? 0.0 : value(logits, n, label_of(n)));
  }
  // From the cross entropy lse − logits[label] of every row; returns the sum of c · lse².
  double finish(const Tensor& losses) {
    double sum = 0;
    for (size_t n = 0; n < lse_.size(); ++n) {
      if (label_of(static_cast<int64_t>(n)) < 0) continue;
      lse_[n] += value(losses, static_cast<int64_t>(n), 0);
      sum += c_ * lse_[n] * lse_[n];
    }
    return sum;
  }
  // `scale` is what the cross entropy's gradient was multiplied by.
  void differentiate(const Tensor& dlogits, double scale) const {
    if (c_ == 0.0) return;
    if (dlogits.dtype() == DType::kF64)
      add<double>(dlogits, scale);
    else
      add<float>(dlogits, scale);
  }

 private:
  int64_t label_of(int64_t n) const { return labels_.data<int32_t>()[n]; }
  static double value(const Tensor& t, int64_t row, int64_t column) {
    const int64_t at = row * (t.numel() / t.size(0)) + column;
    return t.dtype() == DType::kF64 ? t.data<double>()[at]
                                    : static_cast<double>(t.data<float>()[at]);
  }
  template <class T>
  void add(const Tensor& dlogits, double scale) const {
    const int64_t width = dlogits.size(1);
    parallel_for(dlogits.size(0), 1, [&](int64_t n) {
      if (label_of(n) < 0) return;
      T* row = dlogits.data<T>() + n * width;
      const double a = 2 * c_ * lse_[static_cast<size_t>(n)];
      const T factor = static_cast<T>(1 + a);
      for (int64_t v = 0; v < width; ++v) row[v] *= factor;
      row[label_of(n)] += static_cast<T>(a * scale);
    });
  }

  double c_;
  Tensor labels_;
  std::vector<double> lse_;  // before finish() the label's logit
};

struct Problem {
  Tensor hidden, labels;  // [N,C], [N]
  const OutputHead& head;
  double normalizer;
  bool with_gradients;
  double z_loss;
};

// dhidden, dweight and dbias of one chunk. `first` overwrites the sums.
void differentiate_chunk(const Problem& p, const Tensor& x, const Tensor& dlogits, int64_t first,
                         const Result& r) {
  const auto& k = kernels_of(x);
  const Write write = first == 0 ? Write::kOverwrite : Write::kAccumulate;
  Tensor dy = dlogits;
  if (dy.dtype() != x.dtype()) dy = dy.to(x.dtype());
  k.matmul(dy, p.head.weight.value, TensorView(), r.dhidden.narrow(0, first, x.size(0)),
           Write::kOverwrite);
  k.matmul(dy.transpose(0, 1), x, TensorView(), r.dweight, write);
  if (r.dbias.defined()) k.sum_rows(dlogits, r.dbias, write);
}

Result run_chunks(const Problem& p) {
  const Tensor &hidden = p.hidden, &weight = p.head.weight.value;
  const auto& k = kernels_of(hidden);
  const int64_t rows = hidden.size(0), vocabulary = weight.size(0), chunk = chunk_rows(vocabulary);
  const DType sums = accumulation_type(hidden.dtype());
  const Device device = hidden.device();
  Result r;
  r.losses = Tensor({rows}, sums, device);
  if (p.with_gradients) {
    r.dhidden = Tensor(hidden.shape(), hidden.dtype(), device);
    r.dweight = Tensor(weight.shape(), sums, device);
    if (p.head.bias.defined()) r.dbias = Tensor({vocabulary}, sums, device);
  }
  const Tensor logits({std::min(chunk, rows), vocabulary}, sums, device);
  // Straight in the products' dtype, unless something still has to be done with it.
  const bool convert =
      p.with_gradients && hidden.dtype() != sums && p.head.softcap == 0.0 && p.z_loss == 0.0;
  const Tensor dlogits = convert ? Tensor(logits.shape(), hidden.dtype(), device) : logits;
  const Cap cap(p.head.softcap, logits);
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    const Tensor x = hidden.narrow(0, first, count), y = logits.narrow(0, 0, count),
                 dy = dlogits.narrow(0, 0, count);
    k.matmul(x, weight.transpose(0, 1), p.head.bias.value.view(), y, Write::kOverwrite);
    cap.apply(k, y);
    const Tensor labels = p.labels.narrow(0, first, count), loss = r.losses.narrow(0, first, count);
    ZLoss z(p.z_loss, y, labels);
    k.cross_entropy(y, labels, loss, p.with_gradients ? dy.view() : TensorView(),
                    1.0 / p.normalizer);
    r.z_term += z.finish(loss);
    if (!p.with_gradients) continue;
    z.differentiate(dy, 1.0 / p.normalizer);
    cap.differentiate(k, dy);
    differentiate_chunk(p, x, dy, first, r);
  }
  double total = 0.0;
  for (double x : r.losses.to_vector()) total += x;
  r.z_term /= p.normalizer;
  r.loss = Tensor::scalar(total / p.normalizer + r.z_term, sums, device);
  return r;
}

void check(const Var& hidden, const OutputHead& head) {
  require(head.weight.value.rank() == 2 && hidden.shape()[-1] == head.weight.shape()[1],
          ErrorKind::kShape, "cross_entropy", "hidden {} does not fit a head {}", hidden.shape(),
          head.weight.shape());
  require_dtype("cross_entropy", "head", head.weight.value, hidden.value.dtype());
  if (head.bias.defined())
    require_shape("cross_entropy", "bias", head.bias.value, {head.weight.shape()[0]});
}

}  // namespace

Var logits(const Var& hidden, const OutputHead& head) {
  const DType sums = accumulation_type(hidden.value.dtype());
  return soft_cap(linear(hidden, head.weight, head.bias, sums), head.softcap);
}

Var linear_cross_entropy(const Var& hidden, const OutputHead& head, const Tensor& labels,
                         const CrossEntropyOptions& options) {
  check(hidden, head);
  require_dtype("cross_entropy", "labels", labels, DType::kI32);
  const Tensor rows = as_rows(hidden.value);
  require(labels.numel() == rows.size(0), ErrorKind::kShape, "cross_entropy",
          "{} labels for {} rows", labels.numel(), rows.size(0));
  const Tensor flat = labels.reshape({labels.numel()});
  const int64_t count = count_labels(flat, head.weight.shape()[0]);
  const double normalizer =
      options.normalizer > 0 ? options.normalizer : static_cast<double>(count);
  require(normalizer > 0, ErrorKind::kData, "cross_entropy", "no label counts: all {} are ignored",
          flat.numel());
  const Var &weight = head.weight, &bias = head.bias;
  const bool recorded = tape_of({&hidden, &weight, &bias}) != nullptr;
  Result r = run_chunks({rows, flat, head, normalizer, recorded, options.z_loss});
  if (options.z_term != nullptr) *options.z_term = r.z_term;
  if (options.losses != nullptr) *options.losses = r.losses;
  r.losses = Tensor();  // not kept by the tape
  auto backward = [hidden = hidden.ref(), weight = weight.ref(), bias = bias.ref(),
                   shape = hidden.shape(), r](Gradients& g) {
    const double seed = g.of_output().item();
    const auto give = [&](const Var& input, const Tensor& gradient, const Shape& as) {
      if (!input.needs_grad()) return;
      if (seed != 1.0) kernels_of(gradient).scale(seed, gradient, gradient);
      g.add(input, gradient.reshape(as));
    };
    give(hidden, r.dhidden, shape);
    give(weight, r.dweight, r.dweight.shape());
    if (r.dbias.defined()) give(bias, r.dbias, r.dbias.shape());
  };
  return record("cross_entropy", r.loss, {&hidden, &weight, &bias}, std::move(backward));
}

}  // namespace lathe::ops
