// One process at a time in a folder.
#pragma once

#include <filesystem>

#include "lathe/io/descriptor.h"

namespace lathe {

// Holds `<folder>/.lock`, which names host and process, until it is destroyed; the system lets go
// of it when the process ends, however it ends. Throws kIo naming the process that holds it;
// who only asks (is_locked) holds it for an instant, which is waited for.
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

// Whether a process holds the lock of `folder` now. Changes nothing in it: a file `.lock` that a
// killed process left behind is no lock. kIo when the file is there and cannot be asked.
bool is_locked(const std::filesystem::path& folder);

}  // namespace lathe
