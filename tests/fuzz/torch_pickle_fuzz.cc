#include "fuzz/fuzz.h"
#include "lathe/io/torch_pickle.h"

namespace lathe::fuzz {

// What comes of an accepted pickle keeps to its contract.
void check(std::string_view bytes) {
  for (const TorchView& v : parse_torch_pickle(bytes, "f")) {
    if (v.shape.size() != v.strides.size() || v.offset < 0) __builtin_trap();
    for (const int64_t n : v.shape)
      if (n < 0) __builtin_trap();
  }
}

}  // namespace lathe::fuzz
