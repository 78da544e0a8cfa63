#include "lathe/text/split/split_step.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lathe/text/split/char_class.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

using text_json::Json;

constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors = {{
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
}};

SplitBehavior behavior_of(const Json& json, SplitBehavior otherwise, std::string_view origin) {
  if (text_json::find(json, "behavior") == nullptr) return otherwise;
  const std::string name = text_json::get_string(json, "behavior", origin);
  for (const auto& [known, behavior] : kBehaviors)
    if (known == name) return behavior;
  text_json::bad(origin,
                 "split behavior '{}' is unknown; expected Removed, Isolated, MergedWithPrevious, "
                 "MergedWithNext or Contiguous",
                 name);
}

// Collects matches and the gaps between them.
class Matches {
 public:
  Matches(size_t size, bool invert) : size_(size), invert_(invert) {}
  void add(size_t begin, size_t end) {
    if (begin > from_) list_.push_back({from_, begin, invert_});
    list_.push_back({begin, end, !invert_});
    from_ = end;
  }
  const std::vector<Match>& finish() {
    if (from_ < size_) list_.push_back({from_, size_, invert_});
    return list_;
  }

 private:
  std::vector<Match> list_;
  size_t from_ = 0, size_;
  bool invert_;
};

// One of the catalogue's patterns: it leaves no gaps, so isolating the matches and dropping the
// gaps are the same.
class PatternSplitter : public Splitter {
 public:
  explicit PatternSplitter(PieceScanner next) : next_(next) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
    while (p < end) {
      const uint8_t* q = next_(p, end);
      out.push_back({static_cast<size_t>(p - begin), static_cast<size_t>(q - begin)});
      p = q;
    }
  }
  PieceScanner scanner() const override { return next_; }

 private:
  PieceScanner next_;
};

class RegexSplitter : public Splitter {
 public:
  RegexSplitter(Regex regex, SplitBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    Matches matches(text.size(), invert_);
    regex_.for_each_match(text, [&](size_t begin, size_t end) { matches.add(begin, end); });
    apply_behavior(behavior_, matches.finish(), out);
  }
  bool needs_valid_utf8() const override { return true; }

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

class StringSplitter : public Splitter {
 public:
  StringSplitter(std::string needle, SplitBehavior behavior, bool invert)
      : needle_(std::move(needle)), behavior_(behavior), invert_(invert) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    Matches matches(text.size(), invert_);
    if (!needle_.empty()) {
      for (size_t at = text.find(needle_); at != std::string_view::npos;
           at = text.find(needle_, at + needle_.size()))
        matches.add(at, at + needle_.size());
    }
    apply_behavior(behavior_, matches.finish(), out);
  }

 private:
  std::string needle_;
  SplitBehavior behavior_;
  bool invert_;
};

// Every character with a class in `mask` is a match of its own.
class ClassSplitter : public Splitter {
 public:
  ClassSplitter(uint8_t mask, SplitBehavior behavior) : mask_(mask), behavior_(behavior) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const CharClasses& classes = CharClasses::get();
    Matches matches(text.size(), false);
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    for (const uint8_t* p = begin; p < end;) {
      const CodePoint c = decode_utf8(p, end);
      const auto at = static_cast<size_t>(p - begin);
      if (classes.of(c.value) & mask_) matches.add(at, at + c.size);
      p += c.size;
    }
    apply_behavior(behavior_, matches.finish(), out);
  }

 private:
  uint8_t mask_;
  SplitBehavior behavior_;
};

std::unique_ptr<Splitter> make_split(const Json& json, std::string_view origin) {
  const SplitBehavior behavior = behavior_of(json, SplitBehavior::kIsolated, origin);
  const bool invert = text_json::get_bool(json, "invert", false, origin);
  const Json& pattern = text_json::get(json, "pattern", origin);
  if (pattern.is_object() && pattern.contains("String")) {
    return std::make_unique<StringSplitter>(text_json::get_string(pattern, "String", origin),
                                            behavior, invert);
  }
  if (!pattern.is_object() || !pattern.contains("Regex"))
    text_json::bad(origin, "the pattern of pre_tokenizer Split is neither String nor Regex");
  const std::string regex = text_json::get_string(pattern, "Regex", origin);
  const bool pieces_are_matches =
      (behavior == SplitBehavior::kIsolated) || (behavior == SplitBehavior::kRemoved && invert);
  if (const auto known = pattern_of_regex(regex); known && pieces_are_matches)
    return std::make_unique<PatternSplitter>(pattern_info(*known).next);
  return std::make_unique<RegexSplitter>(Regex(regex, origin), behavior, invert);
}

}  // namespace

void apply_behavior(SplitBehavior behavior, const std::vector<Match>& matches,
                    std::vector<Piece>& out) {
  const size_t first = out.size();
  const auto extend = [&](const Match& m) { out.back().end = m.end; };
  const auto push = [&](const Match& m) { out.push_back({m.begin, m.end}); };
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Match& m : matches)
        if (!m.matched) push(m);
      break;
    case SplitBehavior::kIsolated:
      for (const Match& m : matches) push(m);
      break;
    case SplitBehavior::kContiguous: {
      bool previous = false;
      for (const Match& m : matches) {
        m.matched == previous&& out.size() > first ? extend(m) : push(m);
        previous = m.matched;
      }
      break;
    }
    case SplitBehavior::kMergedWithPrevious: {
      bool previous = false;
      for (const Match& m : matches) {
        m.matched && !previous && out.size() > first ? extend(m) : push(m);
        previous = m.matched;
      }
      break;
    }
    case SplitBehavior::kMergedWithNext: {
      bool next_matched = false;
      for (size_t i = matches.size(); i-- > 0;) {
        const Match& m = matches[i];
        if (m.matched && !next_matched && out.size() > first) {
          out.back().begin = m.begin;
        } else {
          push(m);
        }
        next_matched = m.matched;
      }
      std::reverse(out.begin() + static_cast<ptrdiff_t>(first), out.end());
      break;
    }
  }
  const auto empty = [](const Piece& p) { return p.begin == p.end; };
  out.erase(std::remove_if(out.begin() + static_cast<ptrdiff_t>(first), out.end(), empty),
            out.end());
}

std::unique_ptr<Splitter> make_splitter(const Json& json, const std::string& type,
                                        std::string_view origin) {
  if (type == "Split") return make_split(json, origin);
  if (type == "Digits") {
    const bool individual = text_json::get_bool(json, "individual_digits", false, origin);
    return std::make_unique<ClassSplitter>(
        kNumber, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  if (type == "Punctuation")
    return std::make_unique<ClassSplitter>(kPunct,
                                           behavior_of(json, SplitBehavior::kIsolated, origin));
  return nullptr;
}

}  // namespace lathe
