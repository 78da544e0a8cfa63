// The files below some folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct ListedFile {
  std::string path;  // absolute
  int64_t bytes = 0;
  int64_t changed = 0;  // nanoseconds
};

// In the order of their paths, each once; what vanishes meanwhile is left out. Errors: kUsage for one that is not there.
std::vector<ListedFile> list_files(std::span<const std::filesystem::path> folders);

}  // namespace lathe
