#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/process.h"
#include "lathe/base/rng.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/kernels/attention/flops.h"
#include "lathe/kernels/machine.h"
#include "lathe/ops/attention_bias.h"

namespace lathe {
namespace {

struct AttentionBenchOptions {
  int64_t seq_len = 8192, heads = 8, head_dim = 64, window = 0, runs = 3;
  std::string precision = "bf16", bias = "none";

  void visit(Visitor& v) {
    v.field("seq_len", seq_len, "tokens T", at_least(1));
    v.field("heads", heads, "query, key and value heads", at_least(1));
    v.field("head_dim", head_dim, "head width D", at_least(1));
    v.field("window", window, "sliding window; 0 means full attention", at_least(0));
    v.field("runs", runs, "number of runs; the fastest is reported", at_least(1));
    v.choice("precision", precision, precision_names(), "type of the operands");
    v.choice("bias", bias, {"none", "alibi", "t5"},
             "bias added to the scores; t5 includes the gradient of its buckets");
  }
};

// The operands of one call, and the two passes.
class AttentionBench {
 public:
  explicit AttentionBench(const AttentionBenchOptions& o)
      : dtype_(dtype_of_precision(o.precision)), shape_{o.seq_len, o.heads, o.head_dim} {
    spec_.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(o.head_dim)));
    spec_.window = o.window;
    if (o.bias == "alibi") bias_ = ops::alibi_bias(o.heads, o.seq_len, q_);
    if (o.bias == "t5") {
      const ops::BucketSpec buckets{.bidirectional = false};
      bias_ = ops::distance_bias_from_buckets(random("bias", {buckets.buckets, o.heads}), buckets);
      dbias_ = Tensor(bias_.table.shape(), bias_.table.value.dtype());
    }
    const TensorView offsets = kv_.keys.offsets().view();
    spec_.rows = {offsets, offsets, kv_.blocks.view(), kv_.block_size};
    spec_.tables.distance_bias = bias_.table.value.view();
    spec_.distance_offset = bias_.offset;
  }
  void forward() const { table_.attention(q_, k_, v_, out_, lse_, spec_); }
  void backward() const {
    table_.attention_backward(
        q_, k_, v_, out_, lse_, dout_, spec_,
        {.dq = dq_, .dk = dk_, .dv = dv_, .tables = {.distance_bias = dbias_.view()}});
  }

 private:
  Tensor random(std::string_view name, const Shape& shape) const {
    const Tensor t(shape, DType::kF32);
    const Rng rng = Rng(0).fork(name);
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<float>()[i] = rng.uniform(static_cast<uint64_t>(i)) - 0.5f;
    return t.to(dtype_);
  }

  DType dtype_;
  Shape shape_;
  const Tensor q_ = random("q", shape_), k_ = random("k", shape_), v_ = random("v", shape_),
               dout_ = random("dout", shape_);
  const Tensor out_{shape_, dtype_}, dq_{shape_, dtype_}, dk_{shape_, dtype_}, dv_{shape_, dtype_};
  const Tensor lse_{{shape_[1], shape_[0]}, DType::kF32};
  const ops::KeyValues kv_ =
      ops::KeyValues::packed(Var(k_), Var(v_), Sequences::equal(1, shape_[0]));
  kernels::AttentionSpec spec_;
  ops::DistanceBias bias_;
  Tensor dbias_;
  const kernels::Kernels& table_ = kernels::cpu_kernels();
};

int run_attention_bench(const AttentionBenchOptions& o, CommandContext& context) {
  const AttentionBench bench(o);
  const double forward = sorted_seconds(o.runs, [&] { bench.forward(); })[0];
  const double backward = sorted_seconds(o.runs, [&] { bench.backward(); })[0];
  const double memory = static_cast<double>(peak_resident_bytes()) / (1 << 20);
  const double tokens = static_cast<double>(o.seq_len);
  // Of full causal attention, also under a window, so that what a window saves shows as speed.
  const double pairs = static_cast<double>(o.heads) * tokens * tokens / 2;
  const auto [a_pair, a_pair_back] = kernels::attention_flops(o.head_dim, o.head_dim);
  const double rate = pairs * a_pair / forward, rate_back = pairs * a_pair_back / backward;
  const double limit = kernels::measure_matrix_rate(dtype_of_precision(o.precision));
  print_measured(
      context,
      {{"forward_gflops", rate * 1e-9},
       {"backward_gflops", rate_back * 1e-9},
       {"tokens_per_s", tokens / forward},
       {"peak_rss_mib", memory},
       {"matrix_gflops", limit * 1e-9}},
      fmt::format("causal attention T={} H={} D={} {}: forward {:.0f} GFLOP/s ({:.0f} % of "
                  "{:.0f}), backward {:.0f} ({:.0f} %), peak {:.0f} MiB\n",
                  o.seq_len, o.heads, o.head_dim, o.precision, rate * 1e-9, 100 * rate / limit,
                  limit * 1e-9, rate_back * 1e-9, 100 * rate_back / limit, memory));
  return 0;
}

}  // namespace

Command bench_attention_command() {
  return make_command<AttentionBenchOptions>(
      {.name = "attention",
       .summary = "the attention kernel alone, forward and backward",
       .help = ""},
      run_attention_bench);
}

}  // namespace lathe
