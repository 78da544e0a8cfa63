// Facts about this process.
#pragma once

#include <cstdint>

namespace lathe {

// The most memory this process has had in RAM so far, bytes.
int64_t peak_resident_bytes();

}  // namespace lathe
