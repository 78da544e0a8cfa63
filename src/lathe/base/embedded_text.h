// A file that the build puts into the program as a text (lathe_embed in cmake/lathe.cmake).
#pragma once

#include <string_view>

namespace lathe {

struct EmbeddedText {
  std::string_view name, text;  // the file's name without the ending that all of its kind have
};

}  // namespace lathe
