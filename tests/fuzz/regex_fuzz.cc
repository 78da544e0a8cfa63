#include "fuzz/fuzz.h"
#include "lathe/text/regex.h"
#include "lathe/text/utf8.h"

namespace lathe::fuzz {

// Up to the first NUL the expression, behind it the text.
void check(std::string_view bytes) {
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string_view text = bytes.substr(std::min(end + 1, bytes.size()));
  const Regex regex(bytes.substr(0, end), "f");
  if (!is_valid_utf8(text)) return;
  size_t last = 0;
  regex.for_each_match(text, [&](size_t begin, size_t stop) {
    if (begin < last || stop < begin || stop > text.size()) __builtin_trap();
    last = stop;
  });
}

}  // namespace lathe::fuzz
