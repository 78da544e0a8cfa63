// Each kernel on shapes of the M26 preset, with the limit it runs against: memory bandwidth for
// those that move data, the matrix rate for products, that of int8 for products of integers.

#include <nlohmann/json.hpp>

#include "lathe/cli/commands/bench/bench.h"
#include "lathe/kernels/machine.h"
#include "lathe/kernels/quantized/packed_rows.h"
#include "lathe/ops/rows.h"

namespace lathe {
namespace {

using kernels::Write;

struct KernelsOptions {
  std::string precision = "bf16";
  int64_t rows = 4096, width = 512, ffn = 1408, vocabulary = 6400, runs = 12;
  void visit(Visitor& v) {
    v.choice("precision", precision, precision_names(), "type of activations");
    v.field("rows", rows, "rows N = B·T", at_least(1));
    v.field("width", width, "width C", at_least(1));
    v.field("ffn", ffn, "feed-forward width F", at_least(1));
    v.field("vocabulary", vocabulary, "vocabulary V", at_least(1));
    v.field("runs", runs, "runs of each kernel; the fastest is reported", at_least(1));
  }
};

// What a kernel runs against, and the unit of its work.
enum class Limit : uint8_t { kRead, kMatrix, kInt8 };
struct Unit {
  const char *key, *text;
};
constexpr Unit kUnits[] = {{"gbps", "GB/s"}, {"gflops", "GFLOP/s"}, {"gops", "GOP/s"}};

struct Row {
  std::string name;
  double seconds, work;  // bytes or operations
  Limit limit;
};

class KernelBench {
 public:
  explicit KernelBench(const KernelsOptions& o) : o_(o), dtype_(dtype_of_precision(o.precision)) {}

  std::vector<Row> run() {
    products();
    for (const char* type : {"Q8_0", "Q4_0", "Q4_K", "Q6_K"}) quantized(*find_block_type(type));
    elementwise();
    norms();
    convolutions();
    updates();
    return rows_;
  }

 private:
  Tensor zeros(const Shape& shape, DType t) const { return Tensor::zeros(shape, t); }
  template <class F>
  void time(const std::string& name, double bytes, double flops, F&& f) {
    measure(name, flops > 0 ? flops : bytes, flops > 0 ? Limit::kMatrix : Limit::kRead, f);
  }
  template <class F>
  void measure(const std::string& name, double work, Limit limit, F&& f) {
    f();
    rows_.push_back({name, sorted_seconds(o_.runs, f)[0], work, limit});
  }
  double size(const Tensor& t) const { return static_cast<double>(t.bytes()); }

  void products() {
    struct Case {
      const char* name;
      int64_t in, out;
    };
    for (const Case& c : {Case{"qkv", o_.width, o_.width * 3 / 2},
                          {"gate_up", o_.width, 2 * o_.ffn},
                          {"down", o_.ffn, o_.width},
                          {"head", o_.width, o_.vocabulary}}) {
      const Tensor x = zeros({o_.rows, c.in}, dtype_), w = zeros({c.out, c.in}, dtype_),
                   y = zeros({o_.rows, c.out}, dtype_), dw = zeros({c.out, c.in}, DType::kF32);
      const double flops = 2.0 * static_cast<double>(o_.rows * c.in * c.out);
      time(fmt::format("{} forward", c.name), 0, flops,
           [&] { k_.matmul(x, w.transpose(0, 1), TensorView(), y, Write::kOverwrite); });
      time(fmt::format("{} dx", c.name), 0, flops,
           [&] { k_.matmul(y, w, TensorView(), x, Write::kOverwrite); });
      time(fmt::format("{} dw", c.name), 0, flops,
           [&] { k_.matmul(y.transpose(0, 1), x, TensorView(), dw, Write::kOverwrite); });
    }
  }

  // One row, through matrices that together are larger than the caches, and all rows by one matrix.
  // Blocks of zeros cost what others do.
  void quantized(const BlockType& type) {
    constexpr int64_t kBeyondCaches = int64_t{256} << 20;
    if (o_.width % type.block != 0) return;
    kernels::PackedRows w = kernels::packed_form(type, 2 * o_.ffn, o_.width);
    const int64_t count = std::max<int64_t>(1, kBeyondCaches / w.bytes());
    const Tensor memory = Tensor::zeros({count * w.bytes()}, DType::kU8),
                 x = zeros({o_.rows, o_.width}, dtype_), y = zeros({o_.rows, w.rows}, dtype_),
                 one_x = x.narrow(0, 0, 1), one_y = y.narrow(0, 0, 1);
    std::vector<kernels::PackedRows> all(static_cast<size_t>(count), w);
    for (size_t i = 0; i < all.size(); ++i)
      all[i].data = memory.raw() + static_cast<int64_t>(i) * w.bytes();
    measure(fmt::format("gate_up {} one row", type.name), size(memory), Limit::kRead, [&] {
      for (const kernels::PackedRows& part : all)
        k_.quantized_matmul(one_x, {{&part, 1}}, TensorView(), one_y);
    });
    measure(fmt::format("gate_up {}", type.name),
            2.0 * static_cast<double>(o_.rows * o_.width * w.rows), Limit::kInt8, [&] {
              k_.quantized_matmul(x, {{all.data(), 1}}, TensorView(), y);
            });
  }

  void elementwise() {
    const Tensor a = zeros({o_.rows, o_.width}, dtype_), b = zeros(a.shape(), dtype_),
                 c = zeros(a.shape(), dtype_);
    time("add", 3 * size(a), 0, [&] { k_.add(a, b, c); });
    const Tensor gate = zeros({o_.rows, 2 * o_.ffn}, dtype_), y = zeros({o_.rows, o_.ffn}, dtype_),
                 dgate = zeros(gate.shape(), dtype_);
    const auto silu = kernels::find_activation("silu");
    time("gated silu", 1.5 * size(gate), 0, [&] { k_.gated(silu, gate, y); });
    time("gated silu backward", 2.5 * size(gate), 0,
         [&] { k_.gated_backward(silu, gate, y, dgate); });
    const Tensor logits = zeros({512, o_.vocabulary}, DType::kF32), labels = zeros_i32({512}),
                 losses = zeros({512}, DType::kF32), dlogits = zeros(logits.shape(), dtype_);
    time("cross_entropy", 2 * size(logits) + size(dlogits), 0,
         [&] { k_.cross_entropy(logits, labels, losses, dlogits, 1.0); });
  }

  void norms() {
    const Tensor x = zeros({o_.rows, o_.width}, dtype_), y = zeros(x.shape(), dtype_),
                 w = zeros({o_.width}, DType::kF32), b = zeros(w.shape(), DType::kF32),
                 mean = zeros({o_.rows}, DType::kF32), rstd = zeros({o_.rows}, DType::kF32),
                 dw = zeros(w.shape(), DType::kF32), db = zeros(w.shape(), DType::kF32),
                 dx = zeros(x.shape(), dtype_);
    time("rms_norm", 2 * size(x), 0, [&] { k_.rms_norm(x, w, TensorView(), y, rstd, 1e-5); });
    time("rms_norm_backward", 3 * size(x), 0, [&] {
      k_.rms_norm_backward(
          x, w, rstd, y,
          {dx, Write::kOverwrite, dw, TensorView(), Write::kOverwrite, Write::kOverwrite});
    });
    time("layer_norm", 2 * size(x), 0, [&] { k_.layer_norm(x, w, b, y, mean, rstd, 1e-5); });
    time("layer_norm_backward", 3 * size(x), 0, [&] {
      k_.layer_norm_backward(x, w, mean, rstd, y,
                             {dx, Write::kOverwrite, dw, db, Write::kOverwrite, Write::kOverwrite});
    });
  }

  void convolutions() {
    constexpr int64_t kTaps = 3;
    const Tensor x = zeros({o_.rows, o_.width}, dtype_), y = zeros(x.shape(), dtype_),
                 w = zeros({kTaps, o_.width}, dtype_), b = zeros({o_.width}, DType::kF32),
                 dx = zeros(x.shape(), dtype_), dw = zeros(w.shape(), DType::kF32),
                 db = zeros(b.shape(), DType::kF32);
    const Sequences one = Sequences::equal(1, o_.rows);
    const kernels::ConvSpec causal{
        .taps = kTaps, .outputs = one.offsets().view(), .inputs = one.offsets().view()};
    time("depthwise_conv", 2 * size(x), 0, [&] { k_.depthwise_conv(x, w, b, y, causal); });
    time("depthwise_conv_backward", 3 * size(x), 0, [&] {
      k_.depthwise_conv_backward(
          x, w, y, causal, {dx, Write::kOverwrite, dw, db, Write::kOverwrite, Write::kOverwrite});
    });
  }

  void updates() {
    const Tensor w = zeros({int64_t{8} << 20}, DType::kF32), g = zeros(w.shape(), DType::kF32),
                 m = zeros(w.shape(), DType::kF32), v = zeros(w.shape(), DType::kF32),
                 copy = zeros(w.shape(), DType::kBF16);
    const kernels::AdamWSpec spec{.lr = 1e-3,
                                  .beta1 = 0.9,
                                  .beta2 = 0.95,
                                  .eps = 1e-8,
                                  .weight_decay = 0.1,
                                  .grad_scale = 1.0,
                                  .correction1 = 0.1,
                                  .correction2 = 0.05};
    time("adamw", 7 * size(w) + size(copy), 0, [&] { k_.adamw(w, g, m, v, copy, spec); });
    time("sum_squares", size(w), 0, [&] { k_.sum_squares(w); });
  }

  static Tensor zeros_i32(const Shape& shape) {
    Tensor t(shape, DType::kI32);
    t.fill_zero();
    return t;
  }

  const KernelsOptions& o_;
  DType dtype_;
  const kernels::Kernels& k_ = kernels::cpu_kernels();
  std::vector<Row> rows_;
};

int run_kernels(const KernelsOptions& o, CommandContext& context) {
  const double read = kernels::measure_read_bandwidth(),
               matrix = kernels::measure_matrix_rate(dtype_of_precision(o.precision)),
               int8 = kernels::measure_int8_rate(), limits[] = {read, matrix, int8};
  const auto rows = KernelBench(o).run();
  nlohmann::ordered_json json = {{"matrix_gflops", matrix * 1e-9},
                                 {"int8_gops", int8 * 1e-9},
                                 {"read_gbps", read * 1e-9},
                                 {"kernels", nlohmann::ordered_json::array()}};
  std::string text = fmt::format(
      "limits: {} products {:.0f} GFLOP/s, int8 {:.0f} GOP/s, memory {:.1f} GB/s (data in cache can "
      "be faster)\n",
      o.precision, matrix * 1e-9, int8 * 1e-9, read * 1e-9);
  for (const Row& r : rows) {
    const auto limit = static_cast<size_t>(r.limit);
    const double rate = r.work / r.seconds, share = rate / limits[limit];
    json["kernels"].push_back({{"name", r.name},
                               {"us", r.seconds * 1e6},
                               {kUnits[limit].key, rate * 1e-9},
                               {"share", share}});
    text += fmt::format("{:22} {:9.0f} us {:8.1f} {:8} {:4.0f} %\n", r.name, r.seconds * 1e6,
                        rate * 1e-9, kUnits[limit].text, 100 * share);
  }
  print_measured(context, std::move(json), text);
  return 0;
}

}  // namespace

Command bench_kernels_command() {
  return make_command<KernelsOptions>(
      {.name = "kernels",
       .summary = "each kernel compared with the machine's limit for it",
       .help = "The shapes are those of the m26 preset unless given.\n"},
      run_kernels);
}

}  // namespace lathe
