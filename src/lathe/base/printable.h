// Bytes for people to read.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// `bytes` with control characters and bytes that are not UTF-8 as \xNN.
std::string printable(std::string_view bytes);

}  // namespace lathe
