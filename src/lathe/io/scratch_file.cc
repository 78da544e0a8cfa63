#include "lathe/io/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

Descriptor without_name(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return Descriptor(file);
  // A file system that cannot do that.
  std::string name = (folder / ".scratch-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) fail_to_write(folder, errno);
  ::unlink(name.c_str());
  return Descriptor(named);
}

// f(bytes done) for the rest of `size` bytes; a signal may come in between.
template <class F>
void all_of(size_t size, const std::filesystem::path& folder, F&& f) {
  for (size_t done = 0; done < size;) {
    const ssize_t count = f(done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_write(folder, errno);
    require(count > 0, ErrorKind::kIo, folder.string(), "a scratch file here ends early");
    done += static_cast<size_t>(count);
  }
}

}  // namespace

ScratchFile::ScratchFile(std::filesystem::path folder)
    : folder_(std::move(folder)), file_(without_name(folder_)) {}

void ScratchFile::reserve(int64_t bytes) {
  int error = bytes > 0 ? EINTR : 0;
  while (error == EINTR) error = ::posix_fallocate(file_.get(), 0, bytes);
  require(
      error == 0, ErrorKind::kIo, folder_.string(),
      "no room for a scratch file of {} ({}); free some space, or choose a folder on another disk",
      human_bytes(static_cast<double>(bytes)), std::strerror(error));
}

void ScratchFile::write(int64_t offset, std::span<const std::byte> bytes) const {
  all_of(bytes.size(), folder_, [&](size_t done) {
    return ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done,
                    offset + static_cast<int64_t>(done));
  });
}

void ScratchFile::read(int64_t offset, std::span<std::byte> bytes) const {
  all_of(bytes.size(), folder_, [&](size_t done) {
    return ::pread(file_.get(), bytes.data() + done, bytes.size() - done,
                   offset + static_cast<int64_t>(done));
  });
}

}  // namespace lathe
