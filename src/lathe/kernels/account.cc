// One formula for all entries of the table, and a specialisation for each that it does not fit.
#include "lathe/kernels/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lathe/kernels/attention/flops.h"
#include "lathe/kernels/attention/visibility.h"
#include "lathe/kernels/quantized/packed_rows.h"
#include "lathe/kernels/slots.h"

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
// What reading `count` rows of [R,H,D] moves.
double rows_of_heads(const TensorView& x, int64_t count) {
  return static_cast<double>(x.shape[1] * x.shape[2] * count) *
         static_cast<double>(size_of(x.dtype));
}
double written(const TensorView& t, Write write) {
  return write == Write::kAccumulate ? 2 * bytes_of(t) : bytes_of(t);
}

template <class... Views>
double sum_of_bytes(const Views&... views) {
  return (bytes_of(views) + ...);
}

// Of one argument of an entry.
template <class T>
double traffic(const T& argument) {
  double bytes = 0;
  for_each_operand(argument, [&](const TensorView& t, Write write = Write::kOverwrite) {
    bytes += written(t, write);
  });
  return bytes;
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

template <class... Rest>
const TensorView& first_tensor(const TensorView& t, const Rest&...) {
  return t;
}
template <HoldsNoTensor First, class... Rest>
const TensorView& first_tensor(const First&, const Rest&... rest) {
  return first_tensor(rest...);
}

template <class... Args>
Description each_operand_once(const Args&... args) {
  return moving(first_tensor(args...), (traffic(args) + ...));
}

template <auto Entry>
struct Formula {
  template <class... Args>
  static Description of(const Args&... args) {
    return each_operand_once(args...);
  }
};

struct OfActivation {
  template <class... Args>
  static Description of(ActivationId f, const Args&... args) {
    Description d = each_operand_once(args...);
    d.shape += fmt::format(" {}", f.name());
    return d;
  }
};
template <>
struct Formula<&Kernels::activation> : OfActivation {};
template <>
struct Formula<&Kernels::activation_backward> : OfActivation {};
template <>
struct Formula<&Kernels::gated> : OfActivation {};
template <>
struct Formula<&Kernels::gated_backward> : OfActivation {};

struct OfProduct {
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
template <>
struct Formula<&Kernels::matmul> : OfProduct {};
template <>
struct Formula<&Kernels::row_matmul> : OfProduct {};

template <>
struct Formula<&Kernels::quantized_matmul> {
  static Description of(const TensorView& x, const PackedParts& w, const TensorView& bias,
                        const TensorView& y) {
    double bytes = sum_of_bytes(x, bias, y);
    for (const PackedRows& part : w.parts) bytes += static_cast<double>(part.bytes());
    const int64_t n = x.shape[0], k = x.shape[1], o = y.shape[1];
    return {
        fmt::format("{}x{}x{} {} quantised", n, k, o, short_name(x.dtype)),
        x.dtype,
        {.flops = 2.0 * static_cast<double>(n) * static_cast<double>(k) * static_cast<double>(o),
         .bytes = bytes}};
  }
};

template <>
struct Formula<&Kernels::axpy> {
  static Description of(double, const TensorView& x, const TensorView& y) {
    return moving(x, bytes_of(x) + 2 * bytes_of(y));
  }
};
template <>
struct Formula<&Kernels::sum_rows> {
  static Description of(const TensorView& x, const TensorView& out, Write write) {
    return moving(x, bytes_of(x) + written(out, write));
  }
};

double convolution_flops(const TensorView& outputs, const ConvSpec& spec) {
  return 2.0 * static_cast<double>(spec.taps) * static_cast<double>(outputs.numel());
}
template <>
struct Formula<&Kernels::depthwise_conv> {
  static Description of(const TensorView& x, const TensorView& w, const TensorView& bias,
                        const TensorView& y, const ConvSpec& spec) {
    Description d = each_operand_once(x, w, bias, y, spec);
    d.work.flops = convolution_flops(y, spec);
    return d;
  }
};
template <>
struct Formula<&Kernels::depthwise_conv_backward> {
  static Description of(const TensorView& x, const TensorView& w, const TensorView& dy,
                        const ConvSpec& spec, const Kernels::LayerGradients& out) {
    Description d = each_operand_once(x, w, dy, spec, out);
    d.work.flops = (out.dw ? 2 : 1) * convolution_flops(dy, spec);
    return d;
  }
};

template <>
struct Formula<&Kernels::embedding> {
  static Description of(const TensorView& table, const TensorView& ids, const TensorView& out) {
    return moving(out, rows_read(table, ids.numel()) + sum_of_bytes(ids, out));
  }
};
template <>
struct Formula<&Kernels::embedding_backward> {
  static Description of(const TensorView& ids, const TensorView& dout, const TensorView& dtable) {
    return moving(dout, sum_of_bytes(ids, dout) + 2 * rows_read(dtable, ids.numel()));
  }
};
template <>
struct Formula<&Kernels::gather_rows> {
  static Description of(const TensorView& x, const TensorView& rows, const TensorView& scales,
                        const TensorView& out) {
    return moving(out, rows_read(x, rows.numel()) + sum_of_bytes(rows, scales, out));
  }
};
template <>
struct Formula<&Kernels::gather_sum> {
  static Description of(const TensorView& x, const Kernels::RowLists& lists,
                        const TensorView& scales, const TensorView& out, Write write) {
    return moving(x, rows_read(x, lists.index.numel()) +
                         sum_of_bytes(lists.begin, lists.index, scales) + written(out, write));
  }
};
template <>
struct Formula<&Kernels::gather_dot> {
  static Description of(const TensorView& a, const TensorView& b, const TensorView& rows,
                        const TensorView& out) {
    return moving(a, rows_read(b, rows.numel()) + sum_of_bytes(a, rows, out));
  }
};
template <>
struct Formula<&Kernels::rope> {
  static Description of(const TensorView& x, const TensorView& cos, const TensorView& sin,
                        const TensorView& positions, const TensorView& out, const RopeSpec&) {
    const int64_t n = positions.numel();
    return moving(x, rows_read(cos, n) + rows_read(sin, n) + sum_of_bytes(x, positions, out));
  }
};

Description of_attention(const TensorView& q, const TensorView& k, const TensorView& v,
                         const AttentionSpec& spec) {
  const AttentionRows& rows = spec.rows;
  const int64_t h = q.shape[1], d = q.shape[2];
  int64_t visible = 0;
  for (int64_t b = 0; b < rows.batch(); ++b) visible += Visibility(spec, rows.sequence(b)).pairs();
  const double pairs = static_cast<double>(h * visible);
  AttentionSpec rest = spec;  // of the scales too no more rows are read than are keys
  rest.key_scales = rest.value_scales = {};
  const int64_t scales = (spec.key_scales ? k.shape[1] : 0) + (spec.value_scales ? k.shape[1] : 0);
  const std::string kept = k.dtype == q.dtype ? "" : " on " + short_name(k.dtype);
  return {fmt::format("{}x{}x{} {}/{} heads x {} {}{}", rows.batch(), rows.most_queries(),
                      rows.most_keys(), h, k.shape[1], d, short_name(q.dtype), kept),
          q.dtype,
          // Of a cache no more rows are read than are keys.
          {.flops = pairs * attention_flops(d, v.shape[2]).forward,
           .bytes = bytes_of(q) + rows_of_heads(k, rows.keys()) + rows_of_heads(v, rows.keys()) +
                    static_cast<double>(scales * rows.keys()) * sizeof(float) + traffic(rest)}};
}
template <>
struct Formula<&Kernels::attention> {
  static Description of(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const AttentionSpec& spec) {
    Description d = of_attention(q, k, v, spec);
    d.work.bytes += sum_of_bytes(out, lse);
    return d;
  }
};
template <>
struct Formula<&Kernels::attention_backward> {
  static Description of(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const TensorView& dout,
                        const AttentionSpec& spec, const Kernels::AttentionGradients& gradients) {
    Description d = of_attention(q, k, v, spec);
    const AttentionFlops a_pair = attention_flops(q.shape[2], v.shape[2]);
    d.work.flops *= a_pair.backward / a_pair.forward;
    d.work.bytes += sum_of_bytes(out, lse, dout) + traffic(gradients);
    return d;
  }
};

template <>
struct Formula<&Kernels::adamw> {
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

template <auto Member>
struct Entry;
template <class Result, class... Args, Result (*Kernels::*Member)(Args...)>
struct Entry<Member> {
  static inline const char* name = nullptr;

  static Result call(Args... args) {
    if (open_account == nullptr) return (cpu_kernels().*Member)(args...);
    const Clock::time_point began = Clock::now();
    const AccountedCall timed(*open_account, name, began, Formula<Member>::of(args...));
    return (cpu_kernels().*Member)(args...);
  }
};

// Lives as long as the program: operations keep references to their table.
Kernels& accounting_table() {
  static Kernels table = [] {
    Kernels t = cpu_kernels();
    for_each_slot([&](auto slot) {
      Entry<slot.member>::name = slot.name;
      t.*slot.member = Entry<slot.member>::call;
    });
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
