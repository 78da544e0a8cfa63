#include "lathe/base/printable.h"

#include <fmt/format.h>

#include "lathe/base/utf8.h"

namespace lathe {

std::string printable(std::string_view bytes) {
  std::string out;
  const uint8_t *p = as_bytes(bytes), *end = p + bytes.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value == kInvalidByte || c.value < 0x20 || c.value == 0x7F) {
      out += fmt::format("\\x{:02x}", *p);
    } else {
      out.append(reinterpret_cast<const char*>(p), c.size);
    }
    p += c.size;
  }
  return out;
}

}  // namespace lathe
