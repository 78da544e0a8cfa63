#include "lathe/autograd/tape.h"

#include <memory>
#include <utility>

namespace lathe {

using kernels::kernels_for;
using kernels::Write;

const Tensor& Gradients::of_output(int i) const {
  const Tape::Node& node = tape_.nodes_[node_];
  require(i >= 0 && i < node.count, ErrorKind::kShape, "backward",
          "output {} of an operation with {}", i, node.count);
  return tape_.slots_[node.first + i].grad;
}

void Gradients::add(const Var& input, Tensor gradient) {
  if (!input.needs_grad()) return;
  Tape::Slot& slot = tape_.slots_[input.id];
  require(gradient.shape() == slot.shape, ErrorKind::kShape, "backward",
          "gradient {} for a value of shape {}", gradient.shape(), slot.shape);
  if (slot.buffer == nullptr && !slot.grad.defined()) {
    slot.grad = std::move(gradient);
    return;
  }
  const GradientTarget s = target(input);
  const auto& k = kernels_for(slot.device);
  if (s.write == Write::kAccumulate) {
    k.axpy(1.0, gradient, s.target);
  } else {
    k.cast(gradient, s.target);
  }
}

GradientTarget Gradients::target(const Var& input) {
  Tape::Slot& slot = tape_.slots_[input.id];
  if (slot.buffer != nullptr) {
    const Write write = slot.buffer->written ? Write::kAccumulate : Write::kOverwrite;
    slot.buffer->written = true;
    return {slot.buffer->tensor, write};
  }
  if (!slot.grad.defined()) {
    slot.grad = Tensor(slot.shape, slot.dtype, slot.device);
    return {slot.grad, Write::kOverwrite};
  }
  // The tensor may also be the gradient of another value (add() aliases): copy before writing.
  if (!slot.grad.unique() || !slot.grad.contiguous()) slot.grad = slot.grad.clone();
  return {slot.grad, Write::kAccumulate};
}

Tensor Gradients::value(const Saved& saved) {
  if (saved.tensor.defined()) return saved.tensor;
  Tape::Node& node = tape_.nodes_[saved.node];
  if (!node.remade.defined()) {
    Gradients inner(tape_, saved.node);
    node.remade = node.recompute(inner);
  }
  return node.remade;
}

Tensor Gradients::last_value(Saved& saved) {
  const Tensor last = value(saved);
  saved.tensor = Tensor();
  tape_.nodes_[node_].recompute = nullptr;
  return last;
}

int32_t Tape::new_slot(const Tensor& value, int32_t node) {
  Slot slot;
  slot.shape = value.shape();
  slot.dtype = value.dtype();
  slot.device = value.device();
  slot.node = node;
  slots_.push_back(std::move(slot));
  return static_cast<int32_t>(slots_.size()) - 1;
}

Var Tape::leaf(const Tensor& value) { return leaf(value, nullptr); }

Var Tape::leaf(const Tensor& value, GradBuffer* buffer) {
  ++leaf_count_;
  if (setup_.before_each) setup_.before_each();
  if (is_probe()) return value;
  const int32_t slot = new_slot(value, -1);
  slots_[slot].buffer = buffer;
  return {value, this, slot};
}

std::vector<Var> Tape::record(std::string_view op, std::span<const Tensor> outputs,
                              std::initializer_list<const Var*> inputs, Backward backward,
                              Options options) {
  for (const Var* input : inputs)
    require(input->tape == nullptr || input->tape == this, ErrorKind::kShape, op,
            "inputs belong to two tapes");
  if (setup_.before_each) setup_.before_each();
  const auto node = static_cast<int32_t>(nodes_.size());
  const auto first = static_cast<int32_t>(slots_.size());
  std::vector<Var> vars;
  for (const Tensor& output : outputs) vars.emplace_back(output, this, new_slot(output, node));
  if (setup_.keep_cheap) options.recompute = nullptr;
  nodes_.push_back({op, first, static_cast<int32_t>(outputs.size()), std::move(backward),
                    std::move(options.recompute), Tensor()});
  return vars;
}

Saved Tape::save(const Var& v) const {
  if (v.needs_grad()) {
    const int32_t node = slots_[v.id].node;
    if (node >= 0 && nodes_[node].recompute) return {Tensor(), node};
  }
  return {v.value, -1};
}

void Tape::backward(const Var& loss, const Tensor& seed) {
  require(loss.tape == this && loss.needs_grad(), ErrorKind::kShape, "backward",
          "the loss depends on nothing that this tape recorded");
  require(!spent_, ErrorKind::kShape, "backward",
          "this tape has run its backward already; record on a new one");
  Gradients(*this, -1).add(loss, seed);
  spent_ = true;
  for (auto node = static_cast<int32_t>(nodes_.size()) - 1; node >= 0; --node) {
    if (setup_.before_each) setup_.before_each();
    Node& n = nodes_[node];
    bool reached = false;
    for (int32_t i = 0; i < n.count; ++i) reached |= slots_[n.first + i].grad.defined();
    if (reached) {
      Gradients gradients(*this, node);
      n.backward(gradients);
    }
    n.backward = nullptr;  // frees what was saved
    n.recompute = nullptr;
    n.remade = Tensor();
    for (int32_t i = 0; i < n.count; ++i) slots_[n.first + i].grad = Tensor();
  }
}

void Tape::backward(const Var& loss, double seed) {
  require(loss.value.numel() == 1, ErrorKind::kShape, "backward", "the loss has shape {}",
          loss.shape());
  const Tensor s =
      Tensor::scalar(seed, loss.value.dtype(), loss.value.device()).reshape(loss.shape());
  backward(loss, s);
}

const Tensor& Tape::grad(const Var& leaf) const { return slots_[leaf.id].grad; }

Tape* tape_of(std::initializer_list<const Var*> inputs) {
  for (const Var* input : inputs)
    if (input->needs_grad()) return input->tape;
  return nullptr;
}

Var record(std::string_view op, Tensor output, std::initializer_list<const Var*> inputs,
           Tape::Backward backward, Tape::Options options) {
  Tape* tape = tape_of(inputs);
  if (tape == nullptr) return output;
  return tape->record(op, {&output, 1}, inputs, std::move(backward), std::move(options))[0];
}

Saved save(const Var& v) { return v.needs_grad() ? v.tape->save(v) : Saved{v.value, -1}; }

Var checkpoint(Tape* tape, std::vector<Var> inputs, CheckpointBody body) {
  if (tape == nullptr || tape->is_probe()) return body(inputs, tape);
  Tape probe({.is_probe = true, .before_each = tape->before_each()});
  std::vector<Var> constants;
  bool needed = false;
  for (const Var& x : inputs) {
    constants.emplace_back(x.value);
    needed |= x.needs_grad();
    require(x.tape == nullptr || x.tape == tape, ErrorKind::kShape, "checkpoint",
            "an input belongs to another tape");
  }
  const Var out = body(constants, &probe);
  if (!needed && probe.leaf_count() == 0) return out;
  auto backward = [inputs = std::move(inputs), body = std::move(body), tape](Gradients& g) {
    Tape inner({.before_each = tape->before_each()});
    std::vector<Var> again;
    for (const Var& x : inputs) again.push_back(x.needs_grad() ? inner.leaf(x.value) : x);
    const Var y = body(again, &inner);
    inner.backward(y, g.of_output());
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].needs_grad() && inner.grad(again[i]).defined())
        g.add(inputs[i], inner.grad(again[i]));
  };
  return tape->record("checkpoint", {&out.value, 1}, {}, std::move(backward), {})[0];
}

Var checkpoint(Tape* tape, const Var& x, std::function<Var(const Var& x, Tape* tape)> body) {
  return checkpoint(tape, std::vector<Var>{x},
                    [body = std::move(body)](std::span<const Var> inputs, Tape* inner) {
                      return body(inputs[0], inner);
                    });
}

}  // namespace lathe
