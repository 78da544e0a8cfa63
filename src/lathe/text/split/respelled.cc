#include "lathe/text/split/respelled.h"

#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"

namespace lathe {
namespace {

void add(Respelled& r, std::string_view spelling, size_t from) {
  r.text += spelling;
  r.origin.resize(r.text.size(), from);
}

}  // namespace

Respelled in_byte_alphabet(std::string_view bytes) {
  Respelled r;
  for (size_t i = 0; i < bytes.size(); ++i) add(r, to_byte_alphabet(bytes.substr(i, 1)), i);
  r.origin.push_back(bytes.size());
  return r;
}

Respelled with_valid_utf8(std::string_view bytes) {
  Respelled r;
  const uint8_t *begin = as_bytes(bytes), *end = begin + bytes.size();
  for (const uint8_t* p = begin; p < end;) {
    const CodePoint c = decode_utf8(p, end);
    const auto at = static_cast<size_t>(p - begin);
    add(r, c.value == kInvalidByte ? "\xEF\xBF\xBD" : bytes.substr(at, c.size), at);
    p += c.size;
  }
  r.origin.push_back(bytes.size());
  return r;
}

}  // namespace lathe
