#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/process.h"
#include "lathe/base/rng.h"
#include "lathe/cli/bench/bench.h"
#include "lathe/cli/model_input.h"
#include "lathe/kernels/machine.h"

namespace lathe {
namespace {

struct AttentionBenchOptions {
  int64_t seq_len = 8192, heads = 8, head_dim = 64, window = 0, runs = 3;
  std::string precision = "bf16";

  template <class V>
  void visit(V& v) {
    v.field("seq_len", seq_len, "tokens T", at_least(1));
    v.field("heads", heads, "query, key and value heads", at_least(1));
    v.field("head_dim", head_dim, "head width D", at_least(1));
    v.field("window", window, "sliding window; 0 is full", at_least(0));
    v.field("runs", runs, "runs; the fastest counts", at_least(1));
    v.choice("precision", precision, {"bf16", "fp32"}, "type of the operands");
  }
};

int run_attention_bench(const AttentionBenchOptions& o, CommandContext& context) {
  const DType dtype = dtype_by_name(o.precision);
  const Shape shape = {1, o.seq_len, o.heads, o.head_dim};
  auto random = [&](std::string_view name) {
    Tensor t(shape, DType::kF32);
    const Rng rng = Rng(0).fork(name);
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<float>()[i] = rng.uniform(static_cast<uint64_t>(i)) - 0.5f;
    return t.to(dtype);
  };
  const Tensor q = random("q"), k = random("k"), v = random("v"), dout = random("dout");
  const Tensor out(shape, dtype), dq(shape, dtype), dk(shape, dtype), dv(shape, dtype);
  const Tensor lse({1, o.heads, o.seq_len}, DType::kF32);
  kernels::AttentionSpec spec;
  spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(o.head_dim)));
  spec.window = o.window;
  const auto& table = kernels::cpu_kernels();
  const double forward =
      sorted_seconds(o.runs, [&] { table.attention(q, k, v, out, lse, spec); })[0];
  const double backward = sorted_seconds(o.runs, [&] {
    table.attention_backward(q, k, v, out, lse, dout, spec, {dq, dk, dv});
  })[0];
  const double memory = static_cast<double>(peak_resident_bytes()) / (1 << 20);
  const double tokens = static_cast<double>(o.seq_len);
  const double work = 4.0 * static_cast<double>(o.heads * o.head_dim) * tokens * tokens / 2;
  const double limit = kernels::measure_matrix_rate(dtype);
  print_measured(context,
                 {{"forward_gflops", work / forward * 1e-9},
                  {"backward_gflops", 2.5 * work / backward * 1e-9},
                  {"tokens_per_s", tokens / forward},
                  {"peak_rss_mib", memory},
                  {"matrix_gflops", limit * 1e-9}},
                 fmt::format("causal attention T={} H={} D={} {}: forward {:.0f} GFLOP/s ({:.0f} % "
                             "of {:.0f}), backward "
                             "{:.0f} ({:.0f} %), peak {:.0f} MiB\n",
                             o.seq_len, o.heads, o.head_dim, o.precision, work / forward * 1e-9,
                             100 * work / forward / limit, limit * 1e-9,
                             2.5 * work / backward * 1e-9, 250 * work / backward / limit, memory));
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
