#include <cstddef>
#include <cstdint>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    lathe::fuzz::check({reinterpret_cast<const char*>(data), size});
  } catch (const lathe::Error&) {
  }
  return 0;
}
