// Memory on disk that only this process uses: a file without a name, which is gone when the process is, however it
// ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "lathe/io/descriptor.h"

namespace lathe {

// Thread-safe but for reserve().
class ScratchFile {
 public:
  // In `folder`, which exists. Throws kIo.
  explicit ScratchFile(std::filesystem::path folder);

  // Room for `bytes` on the disk, so that no later write finds it full. Throws kIo, saying how much is missing where.
  void reserve(int64_t bytes);
  // Within what is reserved. Throws kIo.
  void write(int64_t offset, std::span<const std::byte> bytes) const;
  void read(int64_t offset, std::span<std::byte> bytes) const;

 private:
  std::filesystem::path folder_;
  Descriptor file_;
};

}  // namespace lathe
