// Public data that some tests read when it is there: beside the source tree, or where
// LATHE_SHARED_DATA says.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "lathe/io/packed_file.h"
#include "paths.h"

namespace lathe::testing {

inline std::filesystem::path shared_data() {
  const char* set = std::getenv("LATHE_SHARED_DATA");
  return set != nullptr ? std::filesystem::path(set) : tests_folder() / "../../shared/data";
}

// The content of a file, unpacked if it is packed.
inline std::string unpacked(const std::filesystem::path& path) {
  PackedFile file(path);
  std::string content;
  while (file.append_to(content)) continue;
  return content;
}

}  // namespace lathe::testing
