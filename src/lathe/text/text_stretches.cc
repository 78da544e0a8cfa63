#include "lathe/text/text_stretches.h"

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
  const bool begins_text = raw.begin == 0;
  if (!data.normalizer.changes_nothing()) text = data.normalizer.apply(text, normalized_);
  if (data.normalized_matcher.empty()) {
    if (!text.empty()) f({.begin = raw.begin, .text = text, .begins_text = begins_text});
    return;
  }
  normalized_segments_.clear();
  data.normalized_matcher.find(text, special_as_text, normalized_segments_);
  for (const AddedTokenMatcher::Segment& s : normalized_segments_) {
    if (s.id >= 0) {
      f({.begin = raw.begin, .id = s.id});
    } else {
      f({.begin = raw.begin,
         .text = text.substr(s.begin, s.end - s.begin),
         .begins_text = begins_text && s.begin == 0});
    }
  }
}

}  // namespace lathe
