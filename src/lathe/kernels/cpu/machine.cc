#include "lathe/kernels/machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>
#include <string_view>

namespace lathe::kernels {
namespace {

constexpr int64_t kRows = 4096, kInner = 512, kColumns = 512;
constexpr double kWork = 2.0 * kRows * kInner * kColumns;

// The shortest of `runs` runs, in seconds.
template <class F>
double best_seconds(int runs, F&& f) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// A oneDNN product with weights in the layout it likes best: the rate the hardware allows.
double packed_product_rate(dnnl::memory::data_type a, dnnl::memory::data_type b,
                           dnnl::memory::data_type c) {
  using Memory = dnnl::memory;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl::matmul::desc description(Memory::desc({kRows, kInner}, a, Memory::format_tag::ab),
                                       Memory::desc({kInner, kColumns}, b, Memory::format_tag::any),
                                       Memory::desc({kRows, kColumns}, c, Memory::format_tag::ab));
  const dnnl::matmul::primitive_desc primitive(description, engine, /*allow_empty=*/true);
  if (!primitive) return 0.0;
  const dnnl::matmul product(primitive);
  const Memory x(primitive.src_desc(), engine), w(primitive.weights_desc(), engine),
      y(primitive.dst_desc(), engine);
  for (const auto& [memory, bytes] :
       {std::pair{&x, primitive.src_desc().get_size()}, {&w, primitive.weights_desc().get_size()}})
    std::memset(memory->get_data_handle(), 0, bytes);
  return kWork / best_seconds(40, [&] {
           product.execute(stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
           stream.wait();
         });
}

}  // namespace

double measure_matrix_rate(DType dtype) {
  using Type = dnnl::memory::data_type;
  const double rate = dtype == DType::kBF16
                          ? packed_product_rate(Type::bf16, Type::bf16, Type::bf16)
                          : packed_product_rate(Type::f32, Type::f32, Type::f32);
  // Without bf16 instructions bf16 products run in f32.
  return rate > 0 ? rate : packed_product_rate(Type::f32, Type::f32, Type::f32);
}

double measure_matrix_rate(DType activations, DType weights) {
  const bool pieces = activations == DType::kF32 && weights == DType::kBF16 &&
                      std::string_view(cpu_kernels().level) == "amx_bf16";
  return pieces ? measure_matrix_rate(DType::kBF16) / 3 : measure_matrix_rate(activations);
}

double measure_int8_rate() {
  using Type = dnnl::memory::data_type;
  return packed_product_rate(Type::u8, Type::s8, Type::s32);
}

double measure_read_bandwidth() {
  const Tensor block = Tensor::zeros({int64_t{64} << 20}, DType::kF32);  // 256 MiB
  double sum = 0;  // a kernel that reads everything once and computes little
  const double seconds = best_seconds(8, [&] { sum += cpu_kernels().sum_squares(block); });
  require(sum == 0, ErrorKind::kDevice, "bench", "memory that was cleared reads as {}", sum);
  return static_cast<double>(block.bytes()) / seconds;
}

}  // namespace lathe::kernels
