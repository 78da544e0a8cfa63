// The destination of messages. The library never prints: it calls the function it was given; cli
// installs one that writes to stderr, tests install one that collects the messages.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>

namespace lathe {

enum class LogLevel { kDebug, kInfo, kWarning };

class Log {
 public:
  using Receiver = std::function<void(LogLevel, const std::string&)>;
  Log() = default;  // silent
  explicit Log(Receiver receiver) : receiver_(std::move(receiver)) {}

  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    write(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) const {
    write(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
  void write(LogLevel level, const std::string& text) const {
    if (receiver_) receiver_(level, text);
  }

 private:
  Receiver receiver_;
};

}  // namespace lathe
