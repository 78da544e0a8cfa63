// The files of tasks/ and suites/, which the build puts into the program (cmake/embed_texts.cmake).
#pragma once

#include <span>

#include "lathe/base/embedded_text.h"

namespace lathe {

// In order of their names, which are the files' without .toml.
std::span<const EmbeddedText> embedded_tasks();
std::span<const EmbeddedText> embedded_suites();

}  // namespace lathe
