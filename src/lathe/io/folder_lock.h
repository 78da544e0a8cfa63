// A lock that allows only one process at a time in a folder.
#pragma once

#include <filesystem>

#include "lathe/io/descriptor.h"

namespace lathe {

// Holds `<folder>/.lock`, which names host and process, until it is destroyed; the system releases
// it when the process ends, however it ends. Throws kIo naming the process that holds it;
// is_locked() holds it only for an instant, which is waited for.
class FolderLock {
 public:
  // The folder must exist.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

// Whether a process currently holds the lock of `folder`. Changes nothing in it: a file `.lock`
// that a killed process left is not a lock. Throws kIo if the file exists but cannot be queried.
bool is_locked(const std::filesystem::path& folder);

}  // namespace lathe
