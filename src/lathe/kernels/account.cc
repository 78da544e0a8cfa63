// One formula per entry of the table, in accounting_table(); a test walks the table and finds any
// that was left out.
#include "lathe/kernels/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lathe/kernels/attention/flops.h"
#include "lathe/kernels/attention/visibility.h"

namespace lathe::kernels {

using Clock = std::chrono::steady_clock;

namespace {

Account* open_account = nullptr;

struct Description {
  std::string shape;
  DType dtype;
  Work work;
};

// --- bytes

// A dimension of stride 0 repeats one element.
double bytes_of(const TensorView& t) {
  if (!t) return 0;
  auto bytes = static_cast<double>(size_of(t.dtype));
  for (int i = 0; i < t.rank; ++i)
    bytes *= static_cast<double>(t.stride[i] == 0 ? std::min<int64_t>(t.shape[i], 1) : t.shape[i]);
  return bytes;
}
// What looking up `count` rows of a table [R,C] reads at least.
double rows_read(const TensorView& table, int64_t count) {
  const auto row = static_cast<double>(table.shape[1]) * static_cast<double>(size_of(table.dtype));
  return row * static_cast<double>(std::min(table.shape[0], count));
}
double written(const TensorView& t, Write write) {
  return write == Write::kAccumulate ? 2 * bytes_of(t) : bytes_of(t);
}

template <class... Views>
double sum_of_bytes(const Views&... views) {
  return (bytes_of(views) + ...);
}

// Of one argument of an entry.
double traffic(const TensorView& t) { return bytes_of(t); }
double traffic(const Kernels::NormGradients& g) {
  return written(g.dx, g.write_dx) + written(g.dw, g.write_dw) + written(g.db, g.write_db);
}
double traffic(const Kernels::ConvGradients& g) {
  return written(g.dx, g.write_dx) + written(g.dw, g.write_dw) + written(g.db, g.write_db);
}
double traffic(const Kernels::AttentionGradients& g) {
  return sum_of_bytes(g.dq, g.dk, g.dv, g.distance_bias, g.sink_logits, g.shaw_keys, g.shaw_values);
}
double traffic(const AttentionSpec& s) {
  return sum_of_bytes(s.query_segments, s.key_segments, s.prefix, s.distance_bias, s.key_bias,
                      s.sink_logits, s.shaw_keys, s.shaw_values);
}
double traffic(const ConvSpec& s) { return sum_of_bytes(s.output_segments, s.input_segments); }
template <class T>
double traffic(const T&) {  // scalars
  return 0;
}

// --- words

std::string short_name(DType dtype) {  // "bf16"
  std::string name(safetensors_name(dtype));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

std::string words_for(const TensorView& t) {  // "4096x512 bf16"
  std::string words;
  for (int i = 0; i < t.rank; ++i) words += fmt::format("{}{}", i > 0 ? "x" : "", t.shape[i]);
  return fmt::format("{}{}{}", words, t.rank > 0 ? " " : "", short_name(t.dtype));
}

Description moving(const TensorView& main, double bytes) {
  return {words_for(main), main.dtype, {.flops = 0, .bytes = bytes}};
}

// --- formulas: of(arguments of the entry)

struct EachOperandOnce {
  template <class... Args>
  static Description of(const TensorView& first, const Args&... rest) {
    return moving(first, traffic(first) + (traffic(rest) + ...));
  }
  static Description of(const TensorView& only) { return moving(only, traffic(only)); }
};

struct OfActivation {
  template <class... Args>
  static Description of(ActivationId f, const TensorView& x, const Args&... rest) {
    Description d = EachOperandOnce::of(x, rest...);
    d.shape += fmt::format(" {}", f.name());
    return d;
  }
};

struct OfMatmul {
  static Description of(const TensorView& a, const TensorView& b, const TensorView& bias,
                        const TensorView& c, Write write) {
    const int64_t m = a.shape[0], k = a.shape[1], n = b.shape[1];
    const bool a_by_rows = a.stride[1] == 1, b_by_rows = b.stride[1] == 1;
    const char* product = !a_by_rows ? "dw" : b_by_rows ? "dx" : "forward";
    return {
        fmt::format("{}x{}x{} {} {}", m, k, n, short_name(a.dtype), product),
        a.dtype,
        {.flops = 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n),
         .bytes = sum_of_bytes(a, b, bias) + written(c, write)}};
  }
};

struct OfAxpy {
  static Description of(double, const TensorView& x, const TensorView& y) {
    return moving(x, bytes_of(x) + 2 * bytes_of(y));
  }
};
struct OfScale {
  static Description of(double, const TensorView& x, const TensorView& out) {
    return moving(x, sum_of_bytes(x, out));
  }
};
struct OfSumRows {
  static Description of(const TensorView& x, const TensorView& out, Write write) {
    return moving(x, bytes_of(x) + written(out, write));
  }
};

double convolution_flops(const TensorView& outputs, const ConvSpec& spec) {
  return 2.0 * static_cast<double>(spec.taps) * static_cast<double>(outputs.numel());
}
struct OfConvolution {
  static Description of(const TensorView& x, const TensorView& w, const TensorView& bias,
                        const TensorView& y, const ConvSpec& spec) {
    Description d = EachOperandOnce::of(x, w, bias, y, spec);
    d.work.flops = convolution_flops(y, spec);
    return d;
  }
};
struct OfConvolutionBackward {
  static Description of(const TensorView& x, const TensorView& w, const TensorView& dy,
                        const ConvSpec& spec, const Kernels::ConvGradients& out) {
    Description d = EachOperandOnce::of(x, w, dy, spec, out);
    d.work.flops = (out.dw ? 2 : 1) * convolution_flops(dy, spec);
    return d;
  }
};

struct OfEmbedding {
  static Description of(const TensorView& table, const TensorView& ids, const TensorView& out) {
    return moving(out, rows_read(table, ids.numel()) + sum_of_bytes(ids, out));
  }
};
struct OfEmbeddingBackward {
  static Description of(const TensorView& ids, const TensorView& dout, const TensorView& dtable) {
    return moving(dout, sum_of_bytes(ids, dout) + 2 * rows_read(dtable, ids.numel()));
  }
};
struct OfGatherRows {
  static Description of(const TensorView& x, const TensorView& rows, const TensorView& scales,
                        const TensorView& out) {
    return moving(out, rows_read(x, rows.numel()) + sum_of_bytes(rows, scales, out));
  }
};
struct OfGatherSum {
  static Description of(const TensorView& x, const Kernels::RowLists& lists,
                        const TensorView& scales, const TensorView& out, Write write) {
    return moving(x, rows_read(x, lists.index.numel()) +
                         sum_of_bytes(lists.begin, lists.index, scales) + written(out, write));
  }
};
struct OfGatherDot {
  static Description of(const TensorView& a, const TensorView& b, const TensorView& rows,
                        const TensorView& out) {
    return moving(a, rows_read(b, rows.numel()) + sum_of_bytes(a, rows, out));
  }
};
struct OfRope {
  static Description of(const TensorView& x, const TensorView& cos, const TensorView& sin,
                        const TensorView& positions, const TensorView& out, const RopeSpec&) {
    const int64_t n = positions.numel();
    return moving(x, rows_read(cos, n) + rows_read(sin, n) + sum_of_bytes(x, positions, out));
  }
};

Description of_attention(const TensorView& q, const TensorView& k, const TensorView& v,
                         const AttentionSpec& spec) {
  const int64_t b = q.shape[0], t = q.shape[1], h = q.shape[2], d = q.shape[3], s = k.shape[1];
  const double pairs = static_cast<double>(h * Visibility(spec, t, s).pairs(b));
  return {
      fmt::format("{}x{}x{} {}/{} heads x {} {}", b, t, s, h, k.shape[2], d, short_name(q.dtype)),
      q.dtype,
      {.flops = pairs * attention_flops(d, v.shape[3]).forward,
       .bytes = sum_of_bytes(q, k, v) + traffic(spec)}};
}
struct OfAttention {
  static Description of(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const AttentionSpec& spec) {
    Description d = of_attention(q, k, v, spec);
    d.work.bytes += sum_of_bytes(out, lse);
    return d;
  }
};
struct OfAttentionBackward {
  static Description of(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const TensorView& dout,
                        const AttentionSpec& spec, const Kernels::AttentionGradients& gradients) {
    Description d = of_attention(q, k, v, spec);
    const AttentionFlops a_pair = attention_flops(q.shape[3], v.shape[3]);
    d.work.flops *= a_pair.backward / a_pair.forward;
    d.work.bytes += sum_of_bytes(out, lse, dout) + traffic(gradients);
    return d;
  }
};

struct OfAdamW {
  static Description of(const TensorView& w, const TensorView& g, const TensorView& m,
                        const TensorView& v, const TensorView& copy, const AdamWSpec&) {
    return moving(w, 2 * sum_of_bytes(w, m, v) + sum_of_bytes(g, copy));
  }
};

}  // namespace

// --- the table

// Times one call. The row is found beforehand, so that nothing can fail once the kernel has run.
class AccountedCall {
 public:
  AccountedCall(Account& account, const char* kernel, Clock::time_point began, const Description& d)
      : row_(account.rows_[{kernel, d.shape}]) {
    row_.kernel = kernel;
    row_.shape = d.shape;
    row_.dtype = d.dtype;
    ++row_.calls;
    row_.work.flops += d.work.flops;
    row_.work.bytes += d.work.bytes;
    start_ = Clock::now();
    account.own_seconds_ += std::chrono::duration<double>(start_ - began).count();
  }
  ~AccountedCall() { row_.seconds += std::chrono::duration<double>(Clock::now() - start_).count(); }
  AccountedCall(const AccountedCall&) = delete;
  AccountedCall& operator=(const AccountedCall&) = delete;

 private:
  AccountRow& row_;
  Clock::time_point start_;
};

namespace {

template <auto Member, class Formula>
struct Entry;
template <class Result, class... Args, Result (*Kernels::*Member)(Args...), class Formula>
struct Entry<Member, Formula> {
  static inline const char* name = nullptr;

  static Result call(Args... args) {
    if (open_account == nullptr) return (cpu_kernels().*Member)(args...);
    const Clock::time_point began = Clock::now();
    const AccountedCall timed(*open_account, name, began, Formula::of(args...));
    return (cpu_kernels().*Member)(args...);
  }
};

template <auto Member, class Formula>
void put(Kernels& table, const char* name) {
  Entry<Member, Formula>::name = name;
  table.*Member = Entry<Member, Formula>::call;
}

void put_products_and_attention(Kernels& t) {
  put<&Kernels::matmul, OfMatmul>(t, "matmul");
  put<&Kernels::attention, OfAttention>(t, "attention");
  put<&Kernels::attention_backward, OfAttentionBackward>(t, "attention_backward");
  put<&Kernels::depthwise_conv, OfConvolution>(t, "depthwise_conv");
  put<&Kernels::depthwise_conv_backward, OfConvolutionBackward>(t, "depthwise_conv_backward");
}

void put_elementwise(Kernels& t) {
  put<&Kernels::add, EachOperandOnce>(t, "add");
  put<&Kernels::axpy, OfAxpy>(t, "axpy");
  put<&Kernels::scale, OfScale>(t, "scale");
  put<&Kernels::cast, EachOperandOnce>(t, "cast");
  put<&Kernels::sum_rows, OfSumRows>(t, "sum_rows");
  put<&Kernels::sum_squares, EachOperandOnce>(t, "sum_squares");
  put<&Kernels::activation, OfActivation>(t, "activation");
  put<&Kernels::activation_backward, OfActivation>(t, "activation_backward");
  put<&Kernels::gated, OfActivation>(t, "gated");
  put<&Kernels::gated_backward, OfActivation>(t, "gated_backward");
  put<&Kernels::dropout, EachOperandOnce>(t, "dropout");
  put<&Kernels::adamw, OfAdamW>(t, "adamw");
}

void put_rows(Kernels& t) {
  put<&Kernels::rms_norm, EachOperandOnce>(t, "rms_norm");
  put<&Kernels::rms_norm_backward, EachOperandOnce>(t, "rms_norm_backward");
  put<&Kernels::layer_norm, EachOperandOnce>(t, "layer_norm");
  put<&Kernels::layer_norm_backward, EachOperandOnce>(t, "layer_norm_backward");
  put<&Kernels::crms_norm, EachOperandOnce>(t, "crms_norm");
  put<&Kernels::crms_norm_backward, EachOperandOnce>(t, "crms_norm_backward");
  put<&Kernels::softmax, EachOperandOnce>(t, "softmax");
  put<&Kernels::softmax_backward, EachOperandOnce>(t, "softmax_backward");
  put<&Kernels::cross_entropy, EachOperandOnce>(t, "cross_entropy");
  put<&Kernels::rope, OfRope>(t, "rope");
  put<&Kernels::embedding, OfEmbedding>(t, "embedding");
  put<&Kernels::embedding_backward, OfEmbeddingBackward>(t, "embedding_backward");
  put<&Kernels::gather_rows, OfGatherRows>(t, "gather_rows");
  put<&Kernels::gather_sum, OfGatherSum>(t, "gather_sum");
  put<&Kernels::gather_dot, OfGatherDot>(t, "gather_dot");
}

// Lives as long as the program: operations keep references to their table.
Kernels& accounting_table() {
  static Kernels table = [] {
    Kernels t = cpu_kernels();
    put_products_and_attention(t);
    put_elementwise(t);
    put_rows(t);
    return t;
  }();
  table.level = cpu_kernels().level;
  return table;
}

}  // namespace

std::vector<AccountRow> Account::rows() const {
  std::vector<AccountRow> rows;
  for (const auto& [key, row] : rows_) rows.push_back(row);
  return rows;
}

AccountScope::AccountScope(Account& account) : outer_(open_account) {
  substitute_cpu_kernels = &accounting_table();
  open_account = &account;
}

AccountScope::~AccountScope() {
  open_account = outer_;
  if (outer_ == nullptr) substitute_cpu_kernels = nullptr;
}

}  // namespace lathe::kernels
