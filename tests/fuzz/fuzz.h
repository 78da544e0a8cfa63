// What the fuzz targets share. A target is one file: it defines check(), which hands hostile bytes
// to a reader, and seeds(). The reader may refuse the bytes with Error; a crash, a sanitizer's
// finding, a hang, a large allocation or any other exception is a bug, and so is a promise of the
// reader that does not hold (promise()).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"

namespace lathe::fuzz {

void check(std::string_view bytes);

struct Seed {
  std::string name, bytes;
};
// Small valid samples: a fuzzer that begins with them gets past the first checks of a reader.
std::vector<Seed> seeds();

inline void promise(bool kept) {
  if (!kept) __builtin_trap();
}

}  // namespace lathe::fuzz
