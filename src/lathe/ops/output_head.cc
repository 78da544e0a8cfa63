#include "lathe/ops/output_head.h"

#include <algorithm>

#include "lathe/ops/common.h"
#include "lathe/ops/elementwise.h"

namespace lathe::ops {
namespace {

using kernels::Write;

int64_t chunk_rows(int64_t vocabulary) {
  constexpr int64_t kChunkElements = 4 << 20;
  return std::max<int64_t>(256, kChunkElements / std::max<int64_t>(vocabulary, 1) / 64 * 64);
}

// y [n, V] = x [n, C]·Wᵀ + b.
void multiply(const Tensor& x, const OutputHead& head, const Tensor& y) {
  kernels_of(x).matmul(x, head.weight.value.transpose(0, 1), head.bias.value.view(), y,
                       Write::kOverwrite);
}

// The gradients of that product from dy [n, V], which has x's dtype.
void differentiate_product(const Tensor& x, const OutputHead& head, const Tensor& dy,
                           const GradientTarget& dx, const GradientTarget& dw) {
  const auto& k = kernels_of(x);
  if (dx.target.defined()) k.matmul(dy, head.weight.value, TensorView(), dx.target, dx.write);
  if (dw.target.defined()) k.matmul(dy.transpose(0, 1), x, TensorView(), dw.target, dw.write);
}

void check(std::string_view op, const Var& hidden, const OutputHead& head) {
  require(head.weight.value.rank() == 2 && hidden.value.rank() >= 1 &&
              hidden.shape()[-1] == head.weight.shape()[1],
          ErrorKind::kShape, op, "hidden {} does not fit a head {}", hidden.shape(),
          head.weight.shape());
  require_dtype(op, "head", head.weight.value, hidden.value.dtype());
  if (head.bias.defined()) require_shape(op, "bias", head.bias.value, {head.weight.shape()[0]});
}

int64_t count_labels(std::string_view op, const Tensor& labels, int64_t vocabulary) {
  int64_t count = 0;
  for (int32_t label : labels.span<int32_t>()) {
    require(
        label < vocabulary, ErrorKind::kData, op,
        "label {} is outside the vocabulary of {}; the data and the model must use one tokenizer",
        label, vocabulary);
    count += label >= 0;
  }
  return count;
}

kernels::ActivationId tanh_id() { return kernels::find_activation("tanh"); }

}  // namespace

LabelledRows labelled_rows(std::string_view op, const Var& hidden, const OutputHead& head,
                           const Tensor& labels) {
  check(op, hidden, head);
  require_dtype(op, "labels", labels, DType::kI32);
  const Tensor rows = as_rows(hidden.value);
  require(labels.numel() == rows.size(0), ErrorKind::kShape, op, "{} labels for {} rows",
          labels.numel(), rows.size(0));
  const Tensor flat = labels.reshape({labels.numel()});
  return {rows, flat, count_labels(op, flat, head.weight.shape()[0])};
}

HeadChunks::HeadChunks(const Tensor& hidden, const OutputHead& head)
    : hidden_(hidden), head_(head), rows_(chunk_rows(head.weight.shape()[0])) {
  check("output_head", hidden, head);
  logits_ = Tensor({std::min(rows_, hidden.size(0)), head.weight.shape()[0]},
                   accumulation_type(hidden.dtype()), hidden.device());
  if (head.softcap != 0.0) ratio_ = room(logits_.dtype());
}

HeadChunks::Chunk HeadChunks::chunk_at(int64_t first) const {
  const int64_t count = std::min(rows_, hidden_.size(0) - first);
  const Chunk chunk{first, hidden_.narrow(0, first, count), logits_.narrow(0, 0, count)};
  multiply(chunk.hidden, head_, chunk.logits);
  if (head_.softcap != 0.0) {
    const auto& k = kernels_of(hidden_);
    const Tensor ratio = ratio_.narrow(0, 0, count);
    k.scale(1.0 / head_.softcap, chunk.logits, ratio);
    k.activation(tanh_id(), ratio, chunk.logits);
    k.scale(head_.softcap, chunk.logits, chunk.logits);
  }
  return chunk;
}

void HeadChunks::differentiate(const Chunk& chunk, const Tensor& dlogits,
                               const HeadGradients& out) const {
  const auto& k = kernels_of(hidden_);
  if (head_.softcap != 0.0)
    k.activation_backward(tanh_id(), ratio_.narrow(0, 0, dlogits.size(0)), dlogits, dlogits);
  // The first chunk overwrites or adds as the sum over all of them should, the others add.
  const auto of_sum = [&](const GradientTarget& s) {
    return GradientTarget{s.target, chunk.first == 0 ? s.write : Write::kAccumulate};
  };
  Tensor dy = dlogits;
  if (dy.dtype() != hidden_.dtype()) {
    dy = Tensor(dlogits.shape(), hidden_.dtype(), hidden_.device());
    k.cast(dlogits, dy);
  }
  GradientTarget dx = out.hidden;
  if (dx.target.defined()) dx.target = chunk.of(dx.target);
  differentiate_product(chunk.hidden, head_, dy, dx, of_sum(out.weight));
  if (out.bias.target.defined()) {
    const GradientTarget db = of_sum(out.bias);
    k.sum_rows(dlogits, db.target, db.write);
  }
}

}  // namespace lathe::ops
