#include "lathe/text/split/split_step.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lathe/text/split/digits.h"
#include "lathe/text/split/makers.h"
#include "lathe/text/split/regex.h"
#include "lathe/text/split/respelled.h"

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
    for (size_t at = text.find(needle_); at != std::string_view::npos;
         at = text.find(needle_, at + needle_.size()))
      matches.add(at, at + needle_.size());
    apply_behavior(behavior_, matches.finish(), out);
  }

 private:
  std::string needle_;
  SplitBehavior behavior_;
  bool invert_;
};

std::unique_ptr<Splitter> splitter_of(const Json& json, std::string_view origin) {
  const SplitBehavior behavior = behavior_of(json, origin);
  const bool invert = text_json::get_bool(json, "invert", false, origin);
  const Json& pattern = text_json::get(json, "pattern", origin);
  if (pattern.is_object() && pattern.contains("String")) {
    std::string needle = text_json::get_string(pattern, "String", origin);
    if (needle.empty())  // matches between all characters
      return std::make_unique<RegexSplitter>(Regex("", origin), behavior, invert);
    return std::make_unique<StringSplitter>(std::move(needle), behavior, invert);
  }
  if (!pattern.is_object() || !pattern.contains("Regex"))
    text_json::bad(origin, "the pattern of pre_tokenizer Split is neither String nor Regex");
  const std::string regex = text_json::get_string(pattern, "Regex", origin);
  const bool pieces_are_matches =
      (behavior == SplitBehavior::kIsolated) || (behavior == SplitBehavior::kRemoved && invert);
  if (const auto known = pattern_of_regex(regex); known && pieces_are_matches)
    return std::make_unique<PatternSplitter>(pattern_info(*known).next);
  if (regex == kThreesFromTheRight && behavior == SplitBehavior::kIsolated)
    return threes_from_the_right();
  return std::make_unique<RegexSplitter>(Regex(regex, origin), behavior, invert);
}

class SplitStep : public PreTokenizer::Step {
 public:
  SplitStep(std::unique_ptr<Splitter> splitter, bool mapped)
      : splitter_(std::move(splitter)), mapped_(mapped) {}

  std::string_view run(std::string_view text, PreTokenizer::Scratch& s) const override {
    s.next.clear();
    for (const Piece& piece : s.pieces) {
      const std::string_view part = text.substr(piece.begin, piece.end - piece.begin);
      const size_t first = s.next.size();
      if (mapped_) {
        split_respelled(in_byte_alphabet(part), s.next);
      } else if (splitter_->needs_valid_utf8() && !is_valid_utf8(part)) {
        split_respelled(with_valid_utf8(part), s.next);
      } else {
        splitter_->split(part, s.next);
      }
      if (piece.begin == 0) continue;
      for (size_t i = first; i < s.next.size(); ++i) {
        s.next[i].begin += piece.begin;
        s.next[i].end += piece.begin;
      }
    }
    s.pieces.swap(s.next);
    return text;
  }

 private:
  void split_respelled(const Respelled& r, std::vector<Piece>& out) const {
    const size_t first = out.size();
    splitter_->split(r.text, out);
    for (size_t i = first; i < out.size(); ++i) {
      out[i].begin = r.origin[out[i].begin];
      out[i].end = r.origin[out[i].end];
    }
  }

  std::unique_ptr<Splitter> splitter_;
  bool mapped_;  // behind ByteLevel: sees characters of the byte alphabet
};

}  // namespace

SplitBehavior behavior_of(const Json& json, std::string_view origin) {
  if (text_json::find(json, "behavior") == nullptr) return SplitBehavior::kIsolated;
  const std::string name = text_json::get_string(json, "behavior", origin);
  for (const auto& [known, behavior] : kBehaviors)
    if (known == name) return behavior;
  text_json::bad(origin,
                 "split behavior '{}' is unknown; expected Removed, Isolated, MergedWithPrevious, "
                 "MergedWithNext or Contiguous",
                 name);
}

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

void add_splitter(std::unique_ptr<Splitter> splitter, const PreTokenizerSteps& to) {
  PreTokenizer::Parts& parts = to.parts;
  parts.scanner = parts.steps.empty() && !parts.byte_level ? splitter->scanner() : nullptr;
  parts.steps.push_back(std::make_unique<SplitStep>(std::move(splitter), parts.byte_level));
}

void make_split(const Json& json, const PreTokenizerSteps& to) {
  add_splitter(splitter_of(json, to.origin), to);
}

}  // namespace lathe
