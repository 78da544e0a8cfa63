// Whether this machine can run programs in a sandbox.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>

#include "lathe/base/env.h"
#include "lathe/base/error.h"
#include "lathe/io/sandbox/python.h"

namespace lathe::testing {

// Why it cannot; nullopt if it can.
inline std::optional<std::string> no_sandbox() {
  try {
    Sandbox({}, "test", environment("PATH").value_or(""));
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}
inline std::optional<std::string> no_python() {
  try {
    PythonSandbox({}, "test").prepare();
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

// Whether no process of the system has `token` in its command line, soon.
inline bool none_runs(const std::string& token, int tries = 400) {
  const auto runs = [&] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream in(entry.path() / "cmdline", std::ios::binary);
      // Reads nothing of a process that has ended meanwhile; iterators over the file would throw.
      std::string line;
      std::getline(in, line, '\n');
      // The words end with NUL: a shell that has it in its script is none of them.
      if (line.find(std::string("sleep\0", 6) + token) != std::string::npos) return true;
    }
    return false;
  };
  for (int i = 0; i < tries; ++i) {
    if (!runs()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace lathe::testing
