// Why a text may be cut into blocks for a pattern, and where.
//
// A cut is made before a character that is neither letter, number, mark nor apostrophe, and behind
// a letter. In none of the catalogue's patterns does a piece hold a letter followed by such a
// character, so every scan of the whole text has a boundary there, however it got there. The piece
// that ends at the cut is a run of letters (with what precedes it), whose scan stops the same way
// at the end of the block as at that character: no branch that ends in a letter looks further
// ahead, except for o200k's optional contraction, which needs the apostrophe. And scanners never
// look back. So the pieces of the blocks are the pieces of the text. A special token that could lie
// across the cut rules the place out.
#include "lathe/text/train/word_cutter.h"

#include <algorithm>

#include "lathe/text/split/char_class.h"

namespace lathe {
namespace {

std::vector<AddedToken> as_added(std::span<const std::string> texts) {
  std::vector<AddedToken> tokens(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    tokens[i].id = static_cast<int32_t>(i);
    tokens[i].content = texts[i];
  }
  return tokens;
}

AddedTokenMatcher matcher_of(std::span<const std::string> texts) {
  return AddedTokenMatcher({texts.begin(), texts.end()}, as_added(texts));
}

class PatternWorker : public WordCutter::Worker {
 public:
  PatternWorker(PieceScanner next, const AddedTokenMatcher& specials)
      : next_(next), specials_(specials) {}

  void cut(std::string_view text, int64_t count, WordTally& into) override {
    segments_.clear();
    specials_.find(text, false, segments_);
    for (const AddedTokenMatcher::Segment& s : segments_) {
      if (s.id >= 0) continue;
      const uint8_t *p = as_bytes(text) + s.begin, *end = as_bytes(text) + s.end;
      while (p < end) {
        const uint8_t* q = next_(p, end);
        into.add({reinterpret_cast<const char*>(p), static_cast<size_t>(q - p)}, count);
        p = q;
      }
    }
  }

 private:
  PieceScanner next_;
  const AddedTokenMatcher& specials_;
  std::vector<AddedTokenMatcher::Segment> segments_;
};

}  // namespace

PatternCutter::PatternCutter(Pattern pattern, std::span<const std::string> special_tokens)
    : next_(pattern_info(pattern).next), specials_(matcher_of(special_tokens)) {
  for (const std::string& token : special_tokens)
    longest_special_ = std::max(longest_special_, token.size());
}

std::unique_ptr<WordCutter::Worker> PatternCutter::worker() const {
  return std::make_unique<PatternWorker>(next_, specials_);
}

size_t PatternCutter::look_ahead() const {
  constexpr size_t kLongestCharacter = 4;
  return std::max(longest_special_, kLongestCharacter);
}

size_t PatternCutter::safe_cut(std::string_view text, size_t from) const {
  const CharClasses& classes = CharClasses::get();
  const uint8_t *begin = as_bytes(text), *end = begin + text.size();
  for (size_t at = std::max<size_t>(from, 1); at < text.size(); ++at) {
    if ((begin[at] & 0xC0) == 0x80 || begin[at] == '\'') continue;
    const uint8_t next = classes.of(decode_utf8(begin + at, end).value);
    if (next & (kLetter | kNumber | kMark)) continue;
    const CodePoint previous = decode_utf8_before(begin, begin + at);
    if (!(classes.of(previous.value) & kLetter)) continue;
    if (specials_.empty() || !specials_.crosses(text, at)) return at;
  }
  return text.size();
}

class SentenceCutter::SentenceWorker : public WordCutter::Worker {
 public:
  explicit SentenceWorker(const SentenceCutter& cutter) : cutter_(cutter), parts_(cutter.rules_) {}

  void cut(std::string_view text, int64_t count, WordTally& into) override {
    if (cutter_.unit_ == SentenceUnit::kText) return cut_sentence(text, count, into);
    while (!text.empty()) {
      const size_t next = std::min(text.find('\n'), text.size() - 1) + 1;
      std::string_view line = text.substr(0, next);
      if (cutter_.unit_ != SentenceUnit::kLineWithFeed && line.ends_with('\n'))
        line.remove_suffix(1);
      if (cutter_.unit_ == SentenceUnit::kBetweenSpaces) {
        cut_at_spaces(line, count, into);
      } else if (!line.empty()) {
        cut_sentence(line, count, into);
      }
      text.remove_prefix(next);
    }
  }

  void finish(WordTally& into) override {
    between_spaces_.for_each(
        [&](const WordCounts::Entry& e) { cut_sentence(e.word(), e.count, into); });
    between_spaces_.clear();
  }

 private:
  // Words come again, and are put off to be cut once. Long ones do not: text without spaces.
  void cut_at_spaces(std::string_view line, int64_t count, WordTally& into) {
    constexpr size_t kLongest = 32;
    for (size_t begin = 0; begin < line.size();) {
      const size_t end = std::min(line.find(' ', begin), line.size());
      const std::string_view word = line.substr(begin, end - begin);
      if (word.size() > kLongest) {
        cut_sentence(word, count, into);
      } else if (!word.empty()) {
        between_spaces_.add(word, hash_bytes(word), count);
      }
      begin = end + 1;
    }
  }

  void cut_sentence(std::string_view sentence, int64_t count, WordTally& into) {
    normal_.clear();
    const auto [normal, start] = cutter_.normalizer_.apply(sentence, normal_);
    segments_.clear();
    cutter_.symbols_.find(normal, false, segments_);
    for (const AddedTokenMatcher::Segment& s : segments_) {
      if (s.id >= 0) continue;
      const std::string_view text = cutter_.pre_tokenizer_.split(
          normal.substr(s.begin, s.end - s.begin), start - std::min(start, s.begin), scratch_);
      for (const Piece& piece : scratch_.pieces)
        cut_word(text.substr(piece.begin, piece.end - piece.begin), count, into);
    }
  }

  void cut_word(std::string_view word, int64_t count, WordTally& into) {
    if (cutter_.rules_.cut_nothing()) return into.add(word, count);
    size_t begin = 0;
    for (const size_t end : parts_.ends(word)) {
      into.add(word.substr(begin, end - begin), count);
      begin = end;
    }
  }

  const SentenceCutter& cutter_;
  PartScanner parts_;
  WordCounts between_spaces_;
  std::string normal_;
  PreTokenizer::Scratch scratch_;
  std::vector<AddedTokenMatcher::Segment> segments_;
};

SentenceCutter::SentenceCutter(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer,
                               PartRules rules, SentenceUnit unit,
                               std::span<const std::string> symbols)
    : normalizer_(normalizer),
      pre_tokenizer_(pre_tokenizer),
      rules_(rules),
      unit_(unit),
      symbols_(matcher_of(symbols)) {
  const bool spaced = std::any_of(symbols.begin(), symbols.end(), [](const std::string& symbol) {
    return symbol.find(' ') != std::string::npos;
  });
  if (spaced && unit_ == SentenceUnit::kBetweenSpaces) unit_ = SentenceUnit::kLine;
}

std::unique_ptr<WordCutter::Worker> SentenceCutter::worker() const {
  return std::make_unique<SentenceWorker>(*this);
}

size_t SentenceCutter::safe_cut(std::string_view text, size_t from) const {
  from = std::max<size_t>(from, 1);
  if (from >= text.size()) return text.size();
  const size_t line_end = text.find('\n', from - 1);
  if (line_end < from + kLongestSentence) return line_end + 1;
  size_t at = from + kLongestSentence;
  while (at < text.size() && (as_bytes(text)[at] & 0xC0) == 0x80) ++at;
  return std::min(at, text.size());
}

}  // namespace lathe
