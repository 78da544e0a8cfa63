// Escapes text for HTML and XML.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// With & < > " escaped, bytes that are not UTF-8 and control characters shown as U+FFFD.
std::string html_escaped(std::string_view text);

}  // namespace lathe
