#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/split/regex.h"

namespace lathe::fuzz {

// Up to the first NUL the expression, behind it the text.
void check(std::string_view bytes) {
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string_view text = bytes.substr(std::min(end + 1, bytes.size()));
  const Regex regex(bytes.substr(0, end), "f");
  if (!is_valid_utf8(text)) return;
  size_t last = 0;
  regex.for_each_match(text, [&](size_t begin, size_t stop) {
    promise(last <= begin && begin <= stop && stop <= text.size());
    last = stop;
  });
}

std::vector<Seed> seeds() {
  std::vector<Seed> made = {
      {"parts",
       std::string(R"((?m:a.)[^\s\h&&[:alpha:]]\p{^Han}\w+?(?=b)(?<!c)|^x$)") + '\0' + "abc"}};
  for (const PatternInfo& info : kPreTokenizers)
    made.push_back(
        {std::string(info.name), std::string(info.regex) + '\0' + "It's 2024\n  ok \xC3\xA9"});
  return made;
}

}  // namespace lathe::fuzz
