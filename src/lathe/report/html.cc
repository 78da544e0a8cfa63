#include "lathe/report/html.h"

#include "lathe/base/utf8.h"

namespace lathe {

std::string html_escaped(std::string_view text) {
  std::string out;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    const bool control = c.value < 0x20 && c.value != '\n' && c.value != '\t';
    switch (c.value) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (c.value == kInvalidByte || control) {
          out += "\xEF\xBF\xBD";
        } else {
          out.append(reinterpret_cast<const char*>(p), c.size);
        }
    }
    p += c.size;
  }
  return out;
}

}  // namespace lathe
