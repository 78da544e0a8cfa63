// Reverse-mode differentiation with one tape.
//
// A Var is a Tensor plus, while a Tape records, its place on that tape. An operation (ops/)
// computes its outputs and records a node: which Vars it read, and a function that, given the
// gradients of its outputs, adds gradients to its inputs. backward() runs the nodes in reverse
// order of recording, once, and frees what each node saved as soon as it has run.
//
// Without a tape (tape == nullptr in every input) nothing is recorded and nothing is kept:
// inference is the same code.
//
// Parameters enter as leaves with a GradBuffer that outlives the tape; their gradients are summed
// into it in the fixed order of the backward pass, so results are bit-identical every time.
//
// Recompute (Chen et al. 2016, arXiv:1604.06174; selective: Korthikanti et al. 2022,
// arXiv:2205.05198):
//   * checkpoint(tape, inputs, body) keeps only the inputs and runs body again in the backward;
//   * an operation that is cheap to repeat passes `recompute` to record(); without keep_cheap its
//     output is dropped and recomputed when a later node's backward requests it through Saved.
//
// Not thread-safe: one tape belongs to one thread (kernels inside use all threads).
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/kernels/kernels.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

class Tape;

// The gradient of a parameter. `written` is false until the first contribution, which overwrites,
// so that zeroing costs nothing.
struct GradBuffer {
  Tensor tensor;
  bool written = false;
};

struct Var {
  Tensor value;
  Tape* tape = nullptr;
  int32_t id = -1;

  Var() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a constant
  Var(Tensor constant) : value(std::move(constant)) {}
  Var(Tensor v, Tape* t, int32_t i) : value(std::move(v)), tape(t), id(i) {}

  bool defined() const { return value.defined(); }
  bool needs_grad() const { return id >= 0; }
  const Shape& shape() const { return value.shape(); }
  // The place on the tape without the value: what a backward function captures to name an input.
  Var ref() const { return {Tensor(), tape, id}; }
};

// A value kept for the backward pass: the tensor, or the node that can recompute it.
struct Saved {
  Tensor tensor;
  int32_t node = -1;
};

// Where a backward kernel writes the gradient of one input.
struct GradientTarget {
  Tensor target;
  kernels::Write write = kernels::Write::kOverwrite;
};

// The interface of a backward function.
class Gradients {
 public:
  // dL/d(output i); an undefined Tensor if nothing depends on it.
  const Tensor& of_output(int i = 0) const;
  // Adds `gradient` to the input's; the tensor may alias of_output(). Ignored if the input needs
  // none.
  void add(const Var& input, Tensor gradient);
  // Target for a kernel that can overwrite or accumulate. Call it only if input.needs_grad(), and
  // write to it.
  GradientTarget target(const Var& input);
  Tensor value(const Saved& saved);
  // The same, if this node needs neither it nor its own output again: it is unique() and may be
  // overwritten if no other node saved it and nobody outside holds it.
  Tensor last_value(Saved& saved);

 private:
  friend class Tape;
  Gradients(Tape& tape, int32_t node) : tape_(tape), node_(node) {}
  Tape& tape_;
  int32_t node_;
};

class Tape {
 public:
  using Backward = std::function<void(Gradients&)>;

  struct Options {
    // Recomputes the only output from saved values; marks the operation as cheap.
    std::function<Tensor(Gradients&)> recompute;
  };

  struct Setup {
    // False drops the outputs of cheap operations once nothing but the tape needs them.
    bool keep_cheap = true;
    // Leaves are constants: nothing is recorded, and they are only counted.
    bool is_probe = false;
    // Called before every leaf, node and backward of a node; if it throws, the pass ends.
    std::function<void()> before_each = {};
  };

  Tape() = default;
  explicit Tape(Setup setup) : setup_(std::move(setup)) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // A leaf whose gradient is read with grad() after backward().
  Var leaf(const Tensor& value);
  // A leaf whose gradient is added to `buffer`, which must outlive the backward.
  Var leaf(const Tensor& value, GradBuffer* buffer);

  // Records one node with these outputs. If no input needs a gradient, returns constants.
  std::vector<Var> record(std::string_view op, std::span<const Tensor> outputs,
                          std::initializer_list<const Var*> inputs, Backward backward,
                          Options options);
  Saved save(const Var& v) const;

  // Runs every node in reverse with dL/d(loss) = seed. The tape cannot be used afterwards. Throws
  // kShape if loss is not on this tape or the tape has already been run.
  void backward(const Var& loss, const Tensor& seed);
  void backward(const Var& loss, double seed = 1.0);

  // The gradient of a leaf without a buffer; undefined if nothing depended on it.
  const Tensor& grad(const Var& leaf) const;
  size_t node_count() const { return nodes_.size(); }
  bool is_probe() const { return setup_.is_probe; }
  const std::function<void()>& before_each() const { return setup_.before_each; }
  size_t leaf_count() const { return leaf_count_; }

 private:
  friend class Gradients;
  struct Node {
    std::string_view op;
    int32_t first = 0, count = 0;  // outputs are slots first … first + count
    Backward backward;
    std::function<Tensor(Gradients&)> recompute;
    Tensor remade;
  };
  struct Slot {
    Shape shape;
    DType dtype = DType::kF32;
    Device device = Device::kCpu;
    Tensor grad;
    GradBuffer* buffer = nullptr;
    int32_t node = -1;  // -1 for a leaf
  };
  int32_t new_slot(const Tensor& value, int32_t node);

  std::vector<Node> nodes_;
  std::vector<Slot> slots_;
  Setup setup_;
  bool spent_ = false;
  size_t leaf_count_ = 0;
};

// The tape of the first input that has one; nullptr if nothing is being recorded.
Tape* tape_of(std::initializer_list<const Var*> inputs);

// Records if any input needs a gradient; otherwise returns the output as a constant.
Var record(std::string_view op, Tensor output, std::initializer_list<const Var*> inputs,
           Tape::Backward backward, Tape::Options options = {});
Saved save(const Var& v);

// Computes body(inputs) and keeps only the inputs on `tape`; the body runs again, on its own tape,
// during the backward pass. `body` receives the Vars to use for them and the tape to record
// parameters on (a probe on the first run), and must compute the same bits both times. Nothing is
// recorded, and body runs once, when `tape` is nullptr or a probe, or when neither an input nor
// anything that body uses needs a gradient.
using CheckpointBody = std::function<Var(std::span<const Var> inputs, Tape* tape)>;
Var checkpoint(Tape* tape, std::vector<Var> inputs, CheckpointBody body);
// With one input.
Var checkpoint(Tape* tape, const Var& x, std::function<Var(const Var& x, Tape* tape)> body);

}  // namespace lathe
