// A text as added tokens and the normalised stretches between them. Internal to text/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/added_tokens.h"

namespace lathe {

struct TokenizerData;

struct TextStretch {
  size_t begin = 0;  // where it stands in the text; of a part of it, where the whole begins
  int32_t id = -1;   // of an added token
  std::string_view text = {};  // normalised, without added tokens; not empty unless `id` is set
  size_t start = 0;            // see PreTokenizer::split
};

// Reused between texts, by one thread.
class TextStretches {
 public:
  // Calls f for each in order; the view is valid during the call. With `special_as_text` special
  // tokens are passed over.
  void for_each(const TokenizerData& data, std::string_view text, bool special_as_text,
                const std::function<void(const TextStretch&)>& f);

 private:
  void normalised(const TokenizerData& data, const AddedTokenMatcher::Segment& raw,
                  std::string_view text, bool special_as_text,
                  const std::function<void(const TextStretch&)>& f);

  std::vector<AddedTokenMatcher::Segment> segments_, normalized_segments_;
  std::string normalized_;
};

}  // namespace lathe
