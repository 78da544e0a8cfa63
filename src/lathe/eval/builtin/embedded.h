// The files of tasks/ and suites/, which the build puts into the program (cmake/embed_texts.cmake).
#pragma once

#include <span>
#include <string_view>

namespace lathe {

struct EmbeddedText {
  std::string_view name, text;  // the file's name without .toml
};

// In order of their names.
std::span<const EmbeddedText> embedded_tasks();
std::span<const EmbeddedText> embedded_suites();

}  // namespace lathe
