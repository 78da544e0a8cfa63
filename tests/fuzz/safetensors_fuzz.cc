#include <algorithm>

#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/io/safetensors.h"

namespace lathe::fuzz {

// Every array of an accepted file lies inside it: all of its bytes are read.
void check(std::string_view bytes) {
  SafetensorsMetadata metadata;
  for (const ArraySpan& array : parse_safetensors(std::as_bytes(std::span(bytes)), "f", &metadata))
    promise(std::ranges::count(array.bytes, std::byte{}) <= std::ssize(array.bytes));
}

std::vector<Seed> seeds() {
  const std::vector<std::byte> bytes(24, std::byte{7});
  const ArraySpan arrays[] = {{"a", "F32", {2, 2}, std::span(bytes).first(16)},
                              {"b", "BF16", {4}, std::span(bytes).last(8)},
                              {"none", "U8", {0, 3}, {}}};
  const TempFolder folder;
  write_safetensors(folder / "two", arrays, {{"format", "pt"}});
  return {{"two", content_of(folder / "two")}};
}

}  // namespace lathe::fuzz
