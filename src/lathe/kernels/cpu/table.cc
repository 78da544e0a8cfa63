// The cpu table: the kernels of the highest instruction-set level that the machine runs, each
// behind a guard.
//
// The fast kernels take f32 and bf16 (and i32 ids, int8 keys) with a contiguous last dimension. The guard
// looks at every operand and hands a call with any other dtype (f16, f64) or layout to the
// reference kernel, which takes all of them; so the cpu table computes everything the ref table
// does, only not everything fast. Some entries look at their operands themselves: cast (f16 and f64
// are what files hold), matmul and row_matmul (their operands may be transposed).
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/matmul.h"
#include "lathe/kernels/kernels.h"
#include "lathe/kernels/ref/ref.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace lathe::kernels {
namespace {

// Products of many rows that oneDNN computes, where it has a kernel; isa/matmul.cc does the others.
// At AVX2 that is faster in f32 by 5 % and, since it need not widen whole matrices, ours in bf16.
// With AVX-512 only oneDNN's have been measured (LOG.md): a step reached 77 % of the rate in f32,
// two thirds in bf16, so its bf16 products are replaced by ours where these multiply pairs. In
// matrix tiles ours are those of inference alone (isa/matmul_tiles.cc); gradients need layouts that
// oneDNN has.
enum class Library : uint8_t { kNothing, kF32, kEverything };

struct Level {
  const char* name;
  void (*fill)(Kernels&);
  bool (*supported)();
  Library library;
  void (*add)(Kernels&) = nullptr;  // what the machine has beside this level
};

#if defined(__x86_64__)
// __builtin_cpu_supports asks the processor and, for registers wider than SSE's, whether the
// operating system saves them.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
// VNNI, the products of bytes: with vectors of AVX2 (AVX-VNNI, bit 4 of EAX in leaf 7.1), and with
// those of AVX-512.
bool has_avx2_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}
bool has_avx512_vnni() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
bool has_avx512_bf16() { return has_avx512_vnni() && __builtin_cpu_supports("avx512bf16"); }
// Asks Linux, which answers with an error where it does not know them.
bool may_use_matrix_tiles() {
#if defined(__linux__)
  constexpr long kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  constexpr long kTileData = 18;     // the component of the XSAVE area
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}
// Matrix tiles and their products of bf16 (bits 24 and 22 of EDX in leaf 7), which Linux lets a process use that asks.
bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!has_avx512_bf16() || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (d >> 24 & 1) != 0 && (d >> 22 & 1) != 0 && may_use_matrix_tiles();
}
#endif

constexpr Level kLevels[] = {
    // lowest first
    {"baseline", isa_baseline::fill, [] { return true; }, Library::kNothing},
#if defined(__x86_64__)
    {"avx2", isa_avx2::fill, has_avx2, Library::kF32,
     [](Kernels& table) {
       if (has_avx2_vnni()) table.quantized_matmul = isa_avx2_vnni::quantized_matmul;
     }},
    {"avx512", isa_avx512::fill, has_avx512, Library::kEverything,
     [](Kernels& table) {
       if (has_avx512_vnni()) table.quantized_matmul = isa_avx512_vnni::quantized_matmul;
     }},
    {"avx512_bf16", isa_avx512_bf16::fill, has_avx512_bf16, Library::kF32},
    {"amx_bf16", isa_avx512_bf16::fill, has_amx_bf16, Library::kEverything,
     [](Kernels& table) {
       table.matmul = isa_amx_bf16::matmul;
       table.row_matmul = isa_amx_bf16::row_matmul;
       table.attention = isa_amx_bf16::attention;
       table.attention_backward = isa_amx_bf16::attention_backward;
     }},
#endif
};

struct Selected {
  Kernels fast;     // straight from the level
  Kernels guarded;  // what cpu_kernels() returns
  Library library;
};
const Selected& selected();

bool plain(const TensorView& t) {
  if (!t) return true;
  const bool dtype = t.dtype == DType::kF32 || t.dtype == DType::kBF16 || t.dtype == DType::kI32 ||
                     t.dtype == DType::kI8;
  return dtype && (t.rank == 0 || t.shape[t.rank - 1] <= 1 || t.stride[t.rank - 1] == 1);
}
// Attention reads its tables as f32.
bool plain(const AttentionTables<TensorView>& tables) {
  bool all = true;
  tables.for_each(
      [&](const TensorView& t) { all = all && plain(t) && (!t || t.dtype == DType::kF32); });
  return all;
}
bool plain(const AttentionSpec& s) { return plain(s.tables); }
bool plain(const Kernels::AttentionGradients& g) {
  return plain(g.dq) && plain(g.dk) && plain(g.dv) && plain(g.tables);
}
template <class T>
bool plain(const T& argument) {
  bool all = true;
  for_each_operand(argument, [&](const TensorView& t, Write = {}) { all = all && plain(t); });
  return all;
}

// Has the type of the entry and chooses between the two tables.
template <auto Entry>
struct Guard;
template <class Result, class... Args, Result (*Kernels::*Entry)(Args...)>
struct Guard<Entry> {
  static Result call(Args... args) {
    const Kernels& table = (plain(args) && ...) ? selected().fast : ref_kernels();
    return (table.*Entry)(args...);
  }
};

bool fast_type(const TensorView& t) {
  return !t || t.dtype == DType::kF32 || t.dtype == DType::kBF16;
}

bool by_library(Library library, const TensorView& a, const TensorView& b) {
  if (a.dtype != b.dtype || cpu::few_rows(a, b)) return false;
  switch (library) {
    case Library::kNothing:
      return false;
    case Library::kF32:
      return a.dtype == DType::kF32;
    case Library::kEverything:
      return true;
  }
  return false;
}

// Operands may be transposed, so only the dtypes are looked at.
void row_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                const TensorView& c, Write write) {
  if (c.shape[0] == 0 || c.shape[1] == 0) return;
  if (!fast_type(a) || !fast_type(bias) || !fast_type(c) || a.shape[1] == 0)
    return ref::matmul(a, b, bias, c, write);
  selected().fast.matmul(a, b, bias, c, write);
}

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write) {
  const bool some = c.shape[0] > 0 && c.shape[1] > 0 && a.shape[1] > 0;
  if (some && fast_type(a) && fast_type(bias) && fast_type(c) &&
      by_library(selected().library, a, b) && cpu::library_matmul(a, b, bias, c, write))
    return;
  row_matmul(a, b, bias, c, write);
}

Selected build(const Level& level) {
  Selected s{};
  s.library = level.library;
  s.fast.name = "cpu";
  s.fast.level = level.name;
  level.fill(s.fast);
  if (level.add != nullptr) level.add(s.fast);
  s.guarded = s.fast;
  for_each_slot([&](auto slot) { s.guarded.*slot.member = Guard<slot.member>::call; });
  // These look at their operands themselves.
  s.guarded.matmul = matmul;
  s.guarded.row_matmul = row_matmul;
  s.guarded.cast = s.fast.cast;
  return s;
}

Selected build_best() {
  const Level* best = &kLevels[0];
  for (const Level& level : kLevels)
    if (level.supported()) best = &level;
  return build(*best);
}

Selected& selection() {
  static Selected s = build_best();
  return s;
}

const Selected& selected() { return selection(); }

}  // namespace

const Kernels& cpu_kernels() { return selected().guarded; }

std::vector<std::string> cpu_levels() {
  std::vector<std::string> names;
  for (const Level& level : kLevels)
    if (level.supported()) names.push_back(level.name);
  return names;
}

void select_cpu_level(const std::string& name) {
  for (const Level& level : kLevels)
    if (level.name == name && level.supported()) {
      selection() = build(level);
      return;
    }
  std::string known;
  for (const std::string& level : cpu_levels()) known += (known.empty() ? "" : ", ") + level;
  fail(ErrorKind::kDevice, "cpu", "no instruction-set level '{}' on this machine; it runs: {}",
       name, known);
}

}  // namespace lathe::kernels
