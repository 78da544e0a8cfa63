#include "lathe/text/text_stretches.h"

#include <algorithm>

#include "lathe/text/tokenizer_data.h"

namespace lathe {

void TextStretches::for_each(const TokenizerData& data, std::string_view text, bool special_as_text,
                             const std::function<void(const TextStretch&)>& f) {
  segments_.clear();
  data.raw_matcher.find(text, special_as_text, segments_);
  for (const AddedTokenMatcher::Segment& s : segments_) {
    if (s.id >= 0) {
      f({.begin = s.begin, .id = s.id});
    } else {
      normalised(data, s, text.substr(s.begin, s.end - s.begin), special_as_text, f);
    }
  }
}

// A stretch without the added tokens that are looked for in the text as it is.
void TextStretches::normalised(const TokenizerData& data, const AddedTokenMatcher::Segment& raw,
                               std::string_view text, bool special_as_text,
                               const std::function<void(const TextStretch&)>& f) {
  Normalizer::Result result = data.normalizer.apply(text, normalized_);
  if (raw.begin > 0) result.start = 0;
  const auto give = [&](size_t begin, size_t end) {
    f({.begin = raw.begin,
       .text = result.text.substr(begin, end - begin),
       .start = result.start - std::min(begin, result.start)});
  };
  if (data.normalized_matcher.empty()) {
    if (!result.text.empty()) give(0, result.text.size());
    return;
  }
  normalized_segments_.clear();
  data.normalized_matcher.find(result.text, special_as_text, normalized_segments_);
  for (const AddedTokenMatcher::Segment& s : normalized_segments_) {
    if (s.id >= 0) {
      f({.begin = raw.begin, .id = s.id});
    } else {
      give(s.begin, s.end);
    }
  }
}

}  // namespace lathe
