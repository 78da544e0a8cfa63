// One process at a time in a folder.
#pragma once

#include <filesystem>

#include "lathe/io/descriptor.h"

namespace lathe {

// Holds `<folder>/.lock`, which names host and process, until it is destroyed; the system lets go
// of it when the process ends, however it ends. Throws kIo naming the process that holds it.
class FolderLock {
 public:
  // The folder exists.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

}  // namespace lathe
