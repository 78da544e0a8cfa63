#include "lathe/text/token_spans.h"

#include <algorithm>

#include "lathe/base/utf8.h"
#include "lathe/text/library_class.h"
#include "lathe/text/text_stretches.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

constexpr size_t kLookAhead = 16;  // characters that a normaliser may have dropped in a row

// The characters of the raw text, and where each begins.
struct RawCharacters {
  std::vector<char32_t> values;
  std::vector<size_t> begins;  // one more than values
};

RawCharacters characters_of(std::string_view text) {
  RawCharacters out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(as_bytes(text) + at, as_bytes(text) + text.size());
    out.values.push_back(c.value);
    out.begins.push_back(at);
    at += c.size;
  }
  out.begins.push_back(text.size());
  return out;
}

bool same(char32_t a, char32_t b) {
  return a == b || (a < 0x110000 && b < 0x110000 && lower_case(a) == lower_case(b));
}

// Follows the text that tokens stand for through the raw text.
class Walk {
 public:
  explicit Walk(std::string_view raw) : raw_(characters_of(raw)) {}

  // The bytes of the raw text that became `surface`, the next characters of the tokens' text.
  std::pair<size_t, size_t> pass(std::string_view surface) {
    size_t first = raw_.values.size(), last = 0;
    for (size_t at = 0; at < surface.size();) {
      const CodePoint c = decode_utf8(as_bytes(surface) + at, as_bytes(surface) + surface.size());
      at += c.size;
      if (!find(c.value)) continue;
      first = std::min(first, at_);
      last = ++at_;
    }
    if (last == 0) return {raw_.begins[at_], raw_.begins[at_]};
    return {raw_.begins[first], raw_.begins[last]};
  }

 private:
  // Moves to the character that became `c`; false if nothing did.
  bool find(char32_t c) {
    const size_t left = raw_.values.size() - at_;
    for (size_t i = 0; i < std::min(left, kLookAhead); ++i) {
      if (!same(raw_.values[at_ + i], c)) continue;
      at_ += i;
      return true;
    }
    return c != ' ' && left > 0;  // replaced, not added
  }

  RawCharacters raw_;
  size_t at_ = 0;
};

// One stretch between added tokens.
class Stretch {
 public:
  Stretch(const Tokenizer& tokenizer, std::string_view raw, size_t begin)
      : tokenizer_(tokenizer), raw_(raw), begin_(begin) {}

  void align(std::span<const int32_t> ids, std::vector<TokenSpan>& out) const {
    std::vector<std::string> surfaces;
    std::string joined;
    for (const int32_t id : ids) {
      surfaces.push_back(tokenizer_.token_bytes(id));
      joined += surfaces.back();
    }
    const bool prefixed = joined != raw_ && joined.starts_with(' ') && joined.substr(1) == raw_;
    if (joined == raw_ || prefixed)
      cut(ids, surfaces, prefixed ? 1 : 0, out);
    else
      walk(ids, surfaces, out);
  }

 private:
  // The tokens' texts follow each other in the raw text, after `added` bytes that are not in it.
  void cut(std::span<const int32_t> ids, std::span<const std::string> surfaces, size_t added,
           std::vector<TokenSpan>& out) const {
    size_t at = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t begin = std::max(at, added) - added;
      at += surfaces[i].size();
      out.push_back(whole_characters(ids[i], begin, std::max(at, added) - added));
    }
  }

  void walk(std::span<const int32_t> ids, std::span<const std::string> surfaces,
            std::vector<TokenSpan>& out) const {
    Walk walk(raw_);
    const int32_t unknown = tokenizer_.data().model->unknown_id();
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto [begin, end] = walk.pass(ids[i] == unknown ? "\uFFFD" : surfaces[i]);
      out.push_back({ids[i], begin_ + begin, begin_ + end});
    }
  }

  TokenSpan whole_characters(int32_t id, size_t begin, size_t end) const {
    const auto inside = [&](size_t at) {
      return at > 0 && at < raw_.size() && (static_cast<uint8_t>(raw_[at]) & 0xC0) == 0x80;
    };
    const bool empty = begin == end;
    while (!empty && inside(begin)) --begin;
    while (!empty && inside(end)) ++end;
    return {id, begin_ + begin, begin_ + end};
  }

  const Tokenizer& tokenizer_;
  const std::string_view raw_;
  const size_t begin_;
};

}  // namespace

std::vector<TokenSpan> encode_with_spans(const Tokenizer& tokenizer, std::string_view text) {
  const TokenizerData& data = tokenizer.data();
  std::vector<AddedTokenMatcher::Segment> segments;
  data.raw_matcher.find(text, false, segments);
  const std::unique_ptr<TextEncoder> encoder = data.model->encoder(data.pre_tokenizer);
  std::vector<std::pair<size_t, std::vector<int32_t>>> ids;  // where a stretch begins, its ids
  TextStretches stretches;
  stretches.for_each(data, text, false, [&](const TextStretch& s) {
    if (ids.empty() || ids.back().first != s.begin) ids.push_back({s.begin, {}});
    if (s.id >= 0)
      ids.back().second.push_back(s.id);
    else
      encoder->encode(s.text, s.start, nullptr, ids.back().second);
  });
  std::vector<TokenSpan> out;
  for (size_t i = 0; const AddedTokenMatcher::Segment& s : segments) {
    if (i >= ids.size() || ids[i].first != s.begin) continue;  // normalised to nothing
    const std::vector<int32_t>& of_stretch = ids[i++].second;
    if (s.id >= 0)
      out.push_back({s.id, s.begin, s.end});
    else
      Stretch(tokenizer, text.substr(s.begin, s.end - s.begin), s.begin).align(of_stretch, out);
  }
  return out;
}

}  // namespace lathe
