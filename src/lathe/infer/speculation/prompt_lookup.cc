#include "lathe/infer/speculation/prompt_lookup.h"

#include <algorithm>

namespace lathe {
namespace {

using Ids = std::span<const int32_t>;

// How many tokens before `end` in `source` are the last ones of `text`, at most `longest`.
int64_t common_suffix(Ids source, int64_t end, Ids text, int64_t longest) {
  const int64_t most = std::min({end, std::ssize(text), longest});
  int64_t n = 0;
  while (n < most &&
         source[static_cast<size_t>(end - 1 - n)] == text[text.size() - 1 - static_cast<size_t>(n)])
    ++n;
  return n;
}

struct Place {
  int64_t end = -1, matched = 0;
};

// The last of the places before `before` with the longest common suffix.
Place find(Ids source, int64_t before, Ids text, int64_t longest) {
  Place best;
  for (int64_t end = before; end > 0 && best.matched < longest; --end)
    if (const int64_t n = common_suffix(source, end, text, longest); n > best.matched)
      best = {end, n};
  return best;
}

}  // namespace

void PromptLookup::guess(std::span<Draft> drafts) {
  for (Draft& draft : drafts) {
    Ids source(draft.text);
    Place place = find(source, std::ssize(source) - 1, draft.text, longest_);
    const Place quoted =
        find(draft.encoder_text, std::ssize(draft.encoder_text) - 1, draft.text, longest_);
    if (quoted.matched > place.matched) {
      source = draft.encoder_text;
      place = quoted;
    }
    if (place.matched < shortest_) continue;
    const int64_t count = std::min(draft.most, std::ssize(source) - place.end);
    const Ids next = source.subspan(static_cast<size_t>(place.end), static_cast<size_t>(count));
    draft.guesses.assign(next.begin(), next.end());
  }
}

}  // namespace lathe
