#include "lathe/documents/index/vector_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace lathe {

VectorFile::VectorFile(const std::filesystem::path& path, int64_t dimensions, int64_t count)
    : path_(path), dimensions_(dimensions), count_(count) {
  if (dimensions_ == 0) return;
  file_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  const auto bytes = static_cast<off_t>(count_ * dimensions_ * static_cast<int64_t>(sizeof(float)));
  if (!file_.is_open() || ::ftruncate(file_.get(), bytes) != 0 ||
      ::lseek(file_.get(), 0, SEEK_END) != bytes)
    fail_to_write(path_, errno);
}

int64_t VectorFile::append(std::span<const float> vectors) {
  write_all(file_, {reinterpret_cast<const char*>(vectors.data()), vectors.size_bytes()}, path_);
  const int64_t first = count_;
  count_ += std::ssize(vectors) / dimensions_;
  return first;
}

void VectorFile::flush() {
  if (file_.is_open()) sync(file_, path_);
}

}  // namespace lathe
