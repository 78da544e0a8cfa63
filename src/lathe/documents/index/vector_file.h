// Vectors of equal length, one behind the other as little-endian floats: what an index adds to and never changes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "lathe/io/descriptor.h"

namespace lathe {

class VectorFile {
 public:
  // Keeps the first `count`; what stands behind them was never completed. With 0 dimensions there is no file.
  VectorFile(const std::filesystem::path& path, int64_t dimensions, int64_t count);
  // Returns the place of the first one. Errors: kIo.
  int64_t append(std::span<const float> vectors);
  // Until it is on the disk.
  void flush();

 private:
  std::filesystem::path path_;
  int64_t dimensions_, count_;
  Descriptor file_;
};

}  // namespace lathe
