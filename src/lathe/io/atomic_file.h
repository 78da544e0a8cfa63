// Files and folders that appear completely or not at all.
//
// Content is written under a temporary name in the same folder, made durable (fsync), renamed into
// place, and the folder is made durable. Whenever the process or the machine stops, the name holds
// either what was there before or the complete new content. Temporary names end in
// `.tmp-<host>-<pid>-<n>`; those of dead processes can be listed and removed.
//
// Every failed write throws kIo naming the path, the system's error and what to do; the temporary
// is removed and what was there before is untouched. Objects are not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/descriptor.h"

namespace lathe {

class AtomicFile {
 public:
  // Opens the temporary. A symbolic link is followed: the file it points to is replaced. A target
  // that is a device or a pipe (/dev/stdout) is written directly.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();  // without commit(): removes the temporary
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  uint64_t size() const { return size_; }  // bytes written so far
  const std::filesystem::path& path() const { return path_; }

  // Makes the content durable and gives it its name. Nothing may be written afterwards. Making it
  // durable can take a while; if `before_naming` throws, the temporary is removed.
  void commit(const std::function<void()>& before_naming = {});

 private:
  void flush();

  std::filesystem::path path_, temporary_;  // temporary_ is empty when writing directly
  Descriptor file_;
  std::string buffer_;
  uint64_t size_ = 0;
};

// The file holds exactly `text` afterwards.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

class AtomicDirectory {
 public:
  enum class IfExists { kRefuse, kReplace };

  // Creates the temporary folder (and missing parents). With kRefuse a target that exists throws
  // kIo at once. With kReplace commit() exchanges old and new in one step where the file system can
  // (else two renames), then removes the old one.
  explicit AtomicDirectory(const std::filesystem::path& path,
                           IfExists if_exists = IfExists::kRefuse);
  ~AtomicDirectory();  // without commit(): removes the temporary folder
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  // Where the content is written until commit().
  const std::filesystem::path& temporary() const { return temporary_; }
  const std::filesystem::path& path() const { return path_; }
  // As AtomicFile::commit().
  void commit(const std::function<void()>& before_naming = {});

 private:
  std::filesystem::path path_, temporary_;
  IfExists if_exists_;
};

// Temporaries in `folder` whose process has ended: created on this host by a pid that no longer
// runs, or on another host more than a day ago.
std::vector<std::filesystem::path> leftover_temporaries(const std::filesystem::path& folder);
// Removes them; returns how many.
int remove_leftovers(const std::filesystem::path& folder);

// Removes the temporaries in `folder` that this process created, before it ends without running
// destructors. A temporary that holds the previous content while a folder is exchanged is kept.
void remove_own_temporaries(const std::filesystem::path& folder);

}  // namespace lathe
