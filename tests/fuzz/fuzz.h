// What the fuzz targets share. A target is one file: it defines check(), which hands hostile bytes
// to a reader. The reader may refuse them with Error; a crash, a sanitizer's finding, a hang, a
// large allocation or any other exception is a bug.
#pragma once

#include <string_view>

#include "lathe/base/error.h"

namespace lathe::fuzz {

void check(std::string_view bytes);

}  // namespace lathe::fuzz
