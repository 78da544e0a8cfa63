#include "lathe/ops/cross_entropy.h"

#include <algorithm>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

using kernels::Write;

// Enough rows for the products to run at full rate, few enough for a chunk of logits to stay near
// the cache.
int64_t chunk_rows(int64_t vocabulary) {
  constexpr int64_t kChunkElements = 4 << 20;
  return std::max<int64_t>(128, kChunkElements / std::max<int64_t>(vocabulary, 1) / 64 * 64);
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
  Tensor loss, dhidden, dweight;
};

Result run_chunks(const Tensor& hidden, const Tensor& weight, const Tensor& labels,
                  double normalizer, bool with_gradients) {
  const auto& k = kernels_of(hidden);
  const int64_t rows = hidden.size(0), vocabulary = weight.size(0), chunk = chunk_rows(vocabulary);
  const DType sums = accumulation_type(hidden.dtype());
  const Device device = hidden.device();
  Tensor losses({rows}, sums, device);
  Result r;
  if (with_gradients) {
    r.dhidden = Tensor(hidden.shape(), hidden.dtype(), device);
    r.dweight = Tensor(weight.shape(), sums, device);
  }
  Tensor logits({std::min(chunk, rows), vocabulary}, sums, device);
  Tensor dlogits = with_gradients && hidden.dtype() != sums
                       ? Tensor(logits.shape(), hidden.dtype(), device)
                       : logits;
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    const Tensor x = hidden.narrow(0, first, count), y = logits.narrow(0, 0, count),
                 dy = dlogits.narrow(0, 0, count);
    k.matmul(x, weight.transpose(0, 1), TensorView(), y, Write::kOverwrite);
    k.cross_entropy(y, labels.narrow(0, first, count), losses.narrow(0, first, count),
                    with_gradients ? dy.view() : TensorView(), 1.0 / normalizer);
    if (!with_gradients) continue;
    k.matmul(dy, weight, TensorView(), r.dhidden.narrow(0, first, count), Write::kOverwrite);
    k.matmul(dy.transpose(0, 1), x, TensorView(), r.dweight,
             first == 0 ? Write::kOverwrite : Write::kAccumulate);
  }
  double total = 0.0;
  for (double x : losses.to_vector()) total += x;
  r.loss = Tensor::scalar(total / normalizer, sums, device);
  return r;
}

}  // namespace

Var linear_cross_entropy(const Var& hidden, const Var& weight, const Tensor& labels,
                         const CrossEntropyOptions& options) {
  require(weight.value.rank() == 2 && hidden.shape()[-1] == weight.shape()[1], ErrorKind::kShape,
          "cross_entropy", "hidden {} does not fit a head {}", hidden.shape().str(),
          weight.shape().str());
  require_dtype("cross_entropy", "head", weight.value, hidden.value.dtype());
  require_dtype("cross_entropy", "labels", labels, DType::kI32);
  const Tensor rows = as_rows(hidden.value);
  require(labels.numel() == rows.size(0), ErrorKind::kShape, "cross_entropy",
          "{} labels for {} rows", labels.numel(), rows.size(0));
  const Tensor flat = labels.reshape({labels.numel()});
  const int64_t count = count_labels(flat, weight.shape()[0]);
  const double normalizer =
      options.normalizer > 0 ? options.normalizer : static_cast<double>(count);
  require(normalizer > 0, ErrorKind::kData, "cross_entropy", "no label counts: all {} are ignored",
          flat.numel());
  Result r =
      run_chunks(rows, weight.value, flat, normalizer, tape_of({&hidden, &weight}) != nullptr);
  auto backward = [hidden = hidden.ref(), weight = weight.ref(), shape = hidden.shape(),
                   dhidden = r.dhidden, dweight = r.dweight](Gradients& g) {
    const double seed = g.of_output().item();
    const auto& k = kernels_of(dhidden);
    if (hidden.needs_grad()) {
      if (seed != 1.0) k.scale(seed, dhidden, dhidden);
      g.add(hidden, dhidden.reshape(shape));
    }
    if (weight.needs_grad()) {
      if (seed != 1.0) k.scale(seed, dweight, dweight);
      g.add(weight, dweight);
    }
  };
  return record("cross_entropy", r.loss, {&hidden, &weight}, std::move(backward));
}

}  // namespace lathe::ops
