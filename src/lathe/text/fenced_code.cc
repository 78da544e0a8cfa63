#include "lathe/text/fenced_code.h"

#include <algorithm>

namespace lathe {
namespace {

struct Fence {
  char mark = 0;
  size_t length = 0;  // 0: the line is no fence
  bool bare = false;  // nothing stands behind it, as at the end of a block
};

// Up to three blanks, then three marks or more (CommonMark 0.31, section 4.5).
Fence fence_of(std::string_view line) {
  const size_t first = std::min(line.find_first_not_of(' '), line.size());
  if (first > 3 || first == line.size() || (line[first] != '`' && line[first] != '~')) return {};
  const size_t end = std::min(line.find_first_not_of(line[first], first), line.size());
  if (end - first < 3) return {};
  const std::string_view rest = line.substr(end);
  if (line[first] == '`' && rest.find('`') != std::string_view::npos) return {};
  return {line[first], end - first, rest.find_first_not_of(" \t\r") == std::string_view::npos};
}

}  // namespace

std::string_view code_of(std::string_view answer) {
  std::string_view found = answer;
  Fence open;
  size_t begin = 0;
  for (size_t at = 0; at < answer.size();) {
    const size_t end = std::min(answer.find('\n', at), answer.size());
    const Fence fence = fence_of(answer.substr(at, end - at));
    if (open.length == 0 && fence.length > 0) {
      open = fence;
      begin = std::min(end + 1, answer.size());
      found = answer.substr(begin);
    } else if (open.length > 0 && fence.mark == open.mark && fence.length >= open.length &&
               fence.bare) {
      open = {};
      found = answer.substr(begin, at - begin);
    }
    at = end + 1;
  }
  return found;
}

}  // namespace lathe
