// One exception type for everything that can go wrong, thrown where the cause is known.
//
// A message reads `[where] what was wrong, what was found, what was expected, what to do`. The
// program catches Error once, in cli/main.cc, prints the message to stderr and exits with
// exit_code(kind).
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace lathe {

enum class ErrorKind {
  kUsage,        // a command line that cannot be understood
  kConfig,       // a recipe or a config.json that cannot work
  kShape,        // tensors whose shapes do not fit an operation
  kIo,           // a file that cannot be read or written
  kFormat,       // a file whose content is damaged or not what it claims to be
  kData,         // data that cannot be used: an empty corpus, ids outside the vocabulary
  kNumeric,      // a NaN or infinite loss
  kDevice,       // no memory, no such device
  kInterrupted,  // stopped by the user; what was done so far is on disk
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string_view where, const std::string& message)
      : std::runtime_error(fmt::format("[{}] {}", where, message)), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// Process exit code for an uncaught Error: 2 for usage and config (as compilers do), 130 for an
// interrupt (as shells do), 1 otherwise.
constexpr int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kConfig:
      return 2;
    case ErrorKind::kInterrupted:
      return 130;
    case ErrorKind::kShape:
    case ErrorKind::kIo:
    case ErrorKind::kFormat:
    case ErrorKind::kData:
    case ErrorKind::kNumeric:
    case ErrorKind::kDevice:
      return 1;
  }
  return 1;
}

// fail(ErrorKind::kShape, "rms_norm", "weight has {} elements, expected {}", got, want);
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, std::string_view where, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw Error(kind, where, fmt::format(format, std::forward<Args>(args)...));
}

// As fail(), if `condition` does not hold. It is always on, so it is not for inner loops.
template <class... Args>
void require(bool condition, ErrorKind kind, std::string_view where,
             fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(kind, where, format, std::forward<Args>(args)...);
}

}  // namespace lathe
