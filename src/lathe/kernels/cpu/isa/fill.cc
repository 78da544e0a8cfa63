#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {

#define LATHE_FILL(slot) table.slot = slot;

void fill(Kernels& table) { LATHE_KERNEL_SLOTS(LATHE_FILL) }

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
