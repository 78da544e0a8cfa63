// Facts about this process and the machine under it.
#pragma once

#include <cstdint>

namespace lathe {

// The most memory this process has had in RAM so far, bytes.
int64_t peak_resident_bytes();

// RAM of the machine, bytes; 0 where the system does not say.
int64_t physical_memory_bytes();

}  // namespace lathe
