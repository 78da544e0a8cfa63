// A mixture of experts beside the dense layer with which a token meets as many weights.

#include "lathe/nn/moe/moe.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/rng.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/kernels/machine.h"

namespace lathe {
namespace {

struct MoeBenchOptions {
  int64_t experts = 4, experts_per_token = 1, hidden_size = 512, intermediate_size = 1408,
          tokens = 4096, runs = 5;
  std::string precision = "bf16";

  void visit(Visitor& v) {
    v.field("experts", experts, "experts E", at_least(1));
    v.field("experts_per_token", experts_per_token, "experts per token k", at_least(1));
    v.field("hidden_size", hidden_size, "width C", at_least(1));
    v.field("intermediate_size", intermediate_size, "width F of an expert", at_least(1));
    v.field("tokens", tokens, "tokens in a batch", at_least(1));
    v.field("runs", runs, "runs of each layer; the fastest is reported", at_least(1));
    v.choice("precision", precision, precision_names(), "type of weights and activations");
  }
};

Tensor random_tensor(const Shape& shape, const Rng& rng, double scale) {
  Tensor t(shape, DType::kF32);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = static_cast<float>(scale * rng.normal(static_cast<uint64_t>(i)));
  return t;
}

void prepare(FeedForward& layer, DType dtype, ParameterGradients& gradients) {
  for_each_parameter(layer, [&](const std::string& name, Parameter& p) {
    const Tensor master = random_tensor(p.shape, Rng(0).fork(name), p.init.std);
    p.value = p.rounds() ? master.to(dtype) : master;
    if (p.trainable) gradients.add(p);
  });
}

// One forward and backward, every gradient overwritten.
void pass(FeedForward& layer, ParameterGradients& gradients, const Tensor& x, const Tensor& dy) {
  gradients.clear();
  Tape tape;
  const Pass settings{.tape = &tape, .gradients = &gradients, .training = true};
  const Rows rows{.ids = {}, .sequences = Sequences::equal(1, x.size(0))};
  tape.backward(layer.forward({&settings, &rows}, tape.leaf(x)), dy);
}

int run_moe_bench(const MoeBenchOptions& o, CommandContext& context) {
  const DType dtype = dtype_of_precision(o.precision);
  FeedForwardShape shape_of_dense{.hidden_size = o.hidden_size,
                                  .intermediate_size = o.intermediate_size,
                                  .activation = kernels::find_activation("silu")};
  MoeConfig config;
  config.num_experts = o.experts;
  config.num_experts_per_tok = o.experts_per_token;
  const auto moe = make_moe(shape_of_dense, config);
  shape_of_dense.intermediate_size *= o.experts_per_token;
  const auto dense = find_in(feed_forwards(), "model.moe.expert", config.expert)
                         .make_with_defaults(shape_of_dense);
  ParameterGradients gradients;  // of both layers
  prepare(*moe, dtype, gradients);
  prepare(*dense, dtype, gradients);
  const Shape shape = {o.tokens, o.hidden_size};
  const Tensor x = random_tensor(shape, Rng(1), 1.0).to(dtype),
               dy = random_tensor(shape, Rng(2), 1.0).to(dtype);
  pass(*dense, gradients, x, dy);  // prepares the products
  pass(*moe, gradients, x, dy);
  double dense_seconds = HUGE_VAL, moe_seconds = HUGE_VAL;
  for (int64_t run = 0; run < o.runs; ++run) {  // in turns, so that both see the same machine
    dense_seconds =
        std::min(dense_seconds, sorted_seconds(1, [&] { pass(*dense, gradients, x, dy); })[0]);
    moe_seconds =
        std::min(moe_seconds, sorted_seconds(1, [&] { pass(*moe, gradients, x, dy); })[0]);
  }
  const double work = 18.0 * static_cast<double>(o.tokens * o.hidden_size * o.intermediate_size *
                                                 o.experts_per_token);
  const double limit = kernels::measure_matrix_rate(dtype);
  if (context.json) {
    context.print_json({{"dense_ms", 1e3 * dense_seconds},
                        {"moe_ms", 1e3 * moe_seconds},
                        {"relative_speed", dense_seconds / moe_seconds},
                        {"moe_gflops", work / moe_seconds * 1e-9},
                        {"matrix_gflops", limit * 1e-9}});
    return 0;
  }
  context.out << fmt::format(
      "moe E={} k={} C={} F={} T={} {}: {:.1f} ms forward and backward, {:.2f} times the speed of "
      "the dense layer ({:.1f} ms), {:.0f} of {:.0f} GFLOP/s\n",
      o.experts, o.experts_per_token, o.hidden_size, o.intermediate_size, o.tokens, o.precision,
      1e3 * moe_seconds, dense_seconds / moe_seconds, 1e3 * dense_seconds,
      work / moe_seconds * 1e-9, limit * 1e-9);
  return 0;
}

}  // namespace

Command bench_moe_command() {
  return make_command<MoeBenchOptions>(
      {.name = "moe",
       .summary = "a mixture of experts compared with a dense layer of the same active width",
       .help = "  lathe bench moe --precision fp32\n"
               "  lathe bench moe --experts 64 --experts-per-token 6 --intermediate-size 256\n"},
      run_moe_bench);
}

}  // namespace lathe
