// The list of the table's entries, from which everything that repeats for each entry is generated:
// the declarations of the reference kernels (ref/ref.h) and of every instruction-set level
// (cpu/isa/isa.h), their tables, the guards (cpu/table.cc), the account (account.cc), and tests. It
// also has the iteration over the tensors in the arguments of an entry.
#pragma once

#include <cstddef>
#include <type_traits>

#include "lathe/kernels/kernels.h"

// The entries of Kernels, in the order of the struct.
#define LATHE_KERNEL_SLOTS(SLOT) \
  SLOT(matmul)                   \
  SLOT(row_matmul)               \
  SLOT(quantized_matmul)         \
  SLOT(add)                      \
  SLOT(axpy)                     \
  SLOT(scale)                    \
  SLOT(cast)                     \
  SLOT(sum_rows)                 \
  SLOT(sum_squares)              \
  SLOT(activation)               \
  SLOT(activation_backward)      \
  SLOT(gated)                    \
  SLOT(gated_backward)           \
  SLOT(rms_norm)                 \
  SLOT(rms_norm_backward)        \
  SLOT(layer_norm)               \
  SLOT(layer_norm_backward)      \
  SLOT(crms_norm)                \
  SLOT(crms_norm_backward)       \
  SLOT(depthwise_conv)           \
  SLOT(depthwise_conv_backward)  \
  SLOT(embedding)                \
  SLOT(embedding_backward)       \
  SLOT(gather_rows)              \
  SLOT(gather_sum)               \
  SLOT(gather_dot)               \
  SLOT(softmax)                  \
  SLOT(softmax_backward)         \
  SLOT(rope)                     \
  SLOT(attention)                \
  SLOT(attention_backward)       \
  SLOT(dropout)                  \
  SLOT(cross_entropy)            \
  SLOT(adamw)

// Declares a function with the name and the type of an entry: void add(const TensorView& a, …);
#define LATHE_DECLARE_KERNEL(slot) std::remove_pointer_t<decltype(Kernels::slot)> slot;

namespace lathe::kernels {

// One entry as a value: table.*slot.member is its pointer, and slot.member may be a template
// argument.
template <auto Member>
struct Slot {
  static constexpr auto member = Member;
  const char* name;
};

// f(Slot) for every entry.
template <class F>
constexpr void for_each_slot(F&& f) {
#define LATHE_VISIT(slot) f(Slot<&Kernels::slot>{#slot});
  LATHE_KERNEL_SLOTS(LATHE_VISIT)
#undef LATHE_VISIT
}

#define LATHE_COUNT(slot) +1
constexpr size_t kSlots = LATHE_KERNEL_SLOTS(LATHE_COUNT);
#undef LATHE_COUNT
static_assert(offsetof(Kernels, matmul) + kSlots * sizeof(&ref_kernels) == sizeof(Kernels),
              "LATHE_KERNEL_SLOTS must list every entry of Kernels once");

// f(tensor) for every tensor in one argument of an entry, f(tensor, write) where the argument tells
// whether the kernel overwrites the tensor or adds to it. The struct of a new argument must say
// here which tensors it holds.
template <class F>
void for_each_operand(const TensorView& tensor, F&& f) {
  f(tensor);
}
template <class F>
void for_each_operand(const Kernels::LayerGradients& g, F&& f) {
  f(g.dx, g.write_dx);
  f(g.dw, g.write_dw);
  f(g.db, g.write_db);
}
template <class F>
void for_each_operand(const ConvSpec& s, F&& f) {
  f(s.outputs);
  f(s.inputs);
  f(s.output_segments);
  f(s.input_segments);
}
template <class F>
void for_each_operand(const Kernels::RowLists& l, F&& f) {
  f(l.begin);
  f(l.index);
}
template <class F>
void for_each_operand(const AttentionSpec& s, F&& f) {
  f(s.rows.first);
  f(s.rows.first_key);
  f(s.rows.blocks);
  f(s.query_segments);
  f(s.key_segments);
  f(s.prefix);
  f(s.key_scales);
  f(s.value_scales);
  s.tables.for_each(f);
}
template <class F>
void for_each_operand(const Kernels::AttentionGradients& g, F&& f) {
  f(g.dq);
  f(g.dk);
  f(g.dv);
  g.tables.for_each(f);
}
template <class T>
concept HoldsNoTensor =
    !std::is_class_v<T> || std::is_same_v<T, ActivationId> || std::is_same_v<T, RopeSpec> ||
    std::is_same_v<T, AdamWSpec> || std::is_same_v<T, PackedParts>;
template <HoldsNoTensor T, class F>
void for_each_operand(const T&, F&&) {}

}  // namespace lathe::kernels
