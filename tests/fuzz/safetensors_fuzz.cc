#include <algorithm>

#include "fuzz/fuzz.h"
#include "lathe/io/safetensors.h"

namespace lathe::fuzz {

// Every array of an accepted file lies inside it: all of its bytes are read.
void check(std::string_view bytes) {
  SafetensorsMetadata metadata;
  for (const ArraySpan& array : parse_safetensors(std::as_bytes(std::span(bytes)), "f", &metadata))
    if (std::ranges::count(array.bytes, std::byte{}) > std::ssize(array.bytes)) __builtin_trap();
}

}  // namespace lathe::fuzz
