// A file of preferences, a JSON object a line, that people add to by comparing answers and `lathe train` reads as pairs.
#pragma once

#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>

#include "lathe/io/descriptor.h"

namespace lathe {

// Thread-safe; several programs may add to one file, too.
class VoteFile {
 public:
  // Opens the file, or makes it; what it holds stays. Throws kIo.
  explicit VoteFile(std::filesystem::path path);

  // Adds a line, wholly or not at all. Throws kIo.
  void append(const nlohmann::ordered_json& record);

 private:
  std::filesystem::path path_;
  std::mutex mutex_;
  Descriptor file_;
};

}  // namespace lathe
