// The reference kernels: the table of kernels.h in scalar double arithmetic, in the simplest
// readable form, for any floating dtypes and strides, one function for every entry, under its name.
// They are the executable specification that every fast kernel is tested against, the device kRef
// of gradient checks, and what cpu_kernels() falls back to for dtypes it has no fast loop for.
// Contracts: kernels.h. Serial; thread-safe.
#pragma once

#include "lathe/kernels/slots.h"

namespace lathe::kernels::ref {

LATHE_KERNEL_SLOTS(LATHE_DECLARE_KERNEL)

}  // namespace lathe::kernels::ref
