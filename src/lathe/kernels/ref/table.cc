#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels {

#define LATHE_ENTRY(slot) .slot = ref::slot,

const Kernels& ref_kernels() {
  static const Kernels table{.name = "ref", .level = "scalar", LATHE_KERNEL_SLOTS(LATHE_ENTRY)};
  return table;
}

}  // namespace lathe::kernels
