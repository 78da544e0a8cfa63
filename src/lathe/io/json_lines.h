// A file of JSON objects, one a line, that a program adds to as it goes on and that survives its being killed.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/io/descriptor.h"

namespace lathe {

class JsonLines {
 public:
  // Opens it for more lines. Those for which `keep` is false, and what is no line, such as one that was cut by a kill,
  // are removed first; `keep` gets them in their order. Throws kIo, and what `keep` throws: then nothing is removed.
  JsonLines(std::filesystem::path path,
            const std::function<bool(const nlohmann::ordered_json& line)>& keep);

  // It is in the file when this returns. Bytes that are not UTF-8 become U+FFFD.
  void write(const nlohmann::ordered_json& line);
  const std::filesystem::path& path() const { return path_; }

  // What write() writes.
  static std::string text_of(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

}  // namespace lathe
