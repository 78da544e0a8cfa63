// Text that ends where readable memory ends: a reader that looks behind it is stopped, with or
// without a sanitizer.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

namespace lathe::testing {

class GuardedText {
 public:
  explicit GuardedText(size_t longest) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    readable_ = (longest / page + 1) * page;
    bytes_ = readable_ + page;
    void* memory =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<char*>(memory);
    if (::mprotect(begin_ + readable_, page, PROT_NONE) != 0) throw std::bad_alloc();
  }
  ~GuardedText() { ::munmap(begin_, bytes_); }
  GuardedText(const GuardedText&) = delete;
  GuardedText& operator=(const GuardedText&) = delete;

  // `text`, of at most the longest length; valid until the next call.
  std::string_view hold(std::string_view text) {
    char* at = begin_ + readable_ - text.size();
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }

 private:
  char* begin_;
  size_t readable_, bytes_;
};

}  // namespace lathe::testing
