#include <algorithm>

#include "fuzz/fuzz.h"
#include "io/torch_testing.h"
#include "lathe/io/torch_file.h"

namespace lathe::fuzz {

// Every array of an accepted file lies inside it or in its copies: all of its bytes are read.
void check(std::string_view bytes) {
  ArrayCopies copies;
  for (const ArraySpan& array : parse_torch_file(std::as_bytes(std::span(bytes)), "f", copies))
    promise(std::ranges::count(array.bytes, std::byte{}) <= std::ssize(array.bytes));
}

std::vector<Seed> seeds() {
  return {{"two", testing::torch_file(testing::strided_pickle())},
          {"zip64", testing::torch_file(testing::parameter_pickle(), true)}};
}

}  // namespace lathe::fuzz
