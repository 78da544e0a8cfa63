// A product is described to oneDNN by its strides, so transposed operands are passed as they are.
// Making a primitive costs about a millisecond, using one a few microseconds: they are kept in a
// map by their exact description. Scratch memory comes from the tensors' allocator, so that it is
// counted and reused.

#include "lathe/kernels/cpu/matmul.h"

#include <array>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "lathe/kernels/cpu/scratch.h"

namespace lathe::kernels::cpu {
namespace {

using Memory = dnnl::memory;

struct Primitive {
  dnnl::matmul run;
  Memory::desc a, b, bias, c, scratch;
};

// Everything that a primitive depends on: dimensions, strides, dtypes, bias, accumulation.
using Key = std::array<int64_t, 13>;

Memory::data_type type_of(DType t) {
  return t == DType::kBF16 ? Memory::data_type::bf16 : Memory::data_type::f32;
}

const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

// A stride along a dimension of size 1 is meaningless, but oneDNN wants it consistent with the
// layout.
Memory::desc matrix(const TensorView& v) {
  int64_t row = v.stride[0], column = v.stride[1];
  if (v.shape[0] == 1) row = std::max(row, v.shape[1] * column);
  if (v.shape[1] == 1) column = column == 0 ? 1 : column;
  return {{v.shape[0], v.shape[1]}, type_of(v.dtype), {row, column}};
}

// nullopt when this machine has no implementation for these dtypes.
std::optional<Primitive> make_primitive(const TensorView& a, const TensorView& b,
                                        const TensorView& bias, const TensorView& c, Write write) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (write == Write::kAccumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const Memory::desc da = matrix(a), db = matrix(b), dc = matrix(c);
  const Memory::desc dbias =
      bias ? Memory::desc({1, c.shape[1]}, type_of(bias.dtype), {c.shape[1], 1}) : Memory::desc();
  const dnnl::matmul::desc description =
      bias ? dnnl::matmul::desc(da, db, dbias, dc) : dnnl::matmul::desc(da, db, dc);
  const dnnl::matmul::primitive_desc p(description, attributes, engine(), /*allow_empty=*/true);
  if (!p) return std::nullopt;
  return Primitive{dnnl::matmul(p), da, db, dbias, dc, p.scratchpad_desc()};
}

const std::optional<Primitive>& primitive_for(const TensorView& a, const TensorView& b,
                                              const TensorView& bias, const TensorView& c,
                                              Write write) {
  static std::mutex mutex;
  static std::map<Key, std::optional<Primitive>> primitives;
  const Key key = {a.shape[0],
                   a.shape[1],
                   b.shape[1],
                   a.stride[0],
                   a.stride[1],
                   b.stride[0],
                   b.stride[1],
                   c.stride[0],
                   static_cast<int64_t>(a.dtype),
                   static_cast<int64_t>(b.dtype),
                   static_cast<int64_t>(c.dtype),
                   bias ? static_cast<int64_t>(bias.dtype) : -1,
                   static_cast<int64_t>(write)};
  const std::lock_guard lock(mutex);
  auto found = primitives.find(key);
  if (found == primitives.end())
    found = primitives.emplace(key, make_primitive(a, b, bias, c, write)).first;
  return found->second;  // map nodes do not move
}

void run(const Primitive& p, const TensorView& a, const TensorView& b, const TensorView& bias,
         const TensorView& c) {
  const size_t scratch_bytes = p.scratch.get_size();
  HostAllocator& memory = host_allocator();
  std::byte* scratch =
      scratch_bytes > 0 ? memory.allocate(scratch_bytes, Scratch::kLabel) : nullptr;
  dnnl::stream stream(engine());
  std::unordered_map<int, Memory> arguments = {{DNNL_ARG_SRC, Memory(p.a, engine(), a.data)},
                                               {DNNL_ARG_WEIGHTS, Memory(p.b, engine(), b.data)},
                                               {DNNL_ARG_DST, Memory(p.c, engine(), c.data)}};
  if (bias) arguments.emplace(DNNL_ARG_BIAS, Memory(p.bias, engine(), bias.data));
  if (scratch != nullptr)
    arguments.emplace(DNNL_ARG_SCRATCHPAD, Memory(p.scratch, engine(), scratch));
  p.run.execute(stream, arguments);
  stream.wait();
  if (scratch != nullptr) memory.release(scratch, scratch_bytes, Scratch::kLabel);
}

}  // namespace

bool library_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                    const TensorView& c, Write write) {
  const auto& p = primitive_for(a, b, bias, c, write);
  if (p) run(*p, a, b, bias, c);
  return p.has_value();
}

}  // namespace lathe::kernels::cpu
