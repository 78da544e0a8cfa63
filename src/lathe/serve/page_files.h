// The files of page/, which are the web page at `/`. The build puts them into the program (lathe_embed in cmake/lathe.cmake).
#pragma once

#include <span>

#include "lathe/base/embedded_text.h"

namespace lathe {

// In order of their names.
std::span<const EmbeddedText> page_files();

}  // namespace lathe
