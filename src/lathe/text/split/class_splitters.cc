// The splitters that look at one character at a time: Whitespace, WhitespaceSplit,
// BertPreTokenizer, Digits, Punctuation, CharDelimiterSplit, FixedLength.
#include "lathe/base/utf8.h"
#include "lathe/text/library_class.h"
#include "lathe/text/split/makers.h"
#include "lathe/text/split/split_step.h"

namespace lathe {
namespace {

// What becomes of a character: dropped, a piece of its own, or part of a run of its kind.
enum class Kind : uint8_t { kDropped, kAlone, kRun, kOtherRun };

// `Kinds` has static Kind of(uint16_t), a pure function of a character's classes. Invalid bytes
// have no class.
template <class Kinds>
class KindSplitter : public Splitter {
 public:
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
    const LibraryClasses& classes = LibraryClasses::get();
    Unit next = p < end ? unit_at(classes, p, end) : Unit{};
    while (p < end) {
      const Unit first = next;
      const uint8_t* q = p + first.size;
      while (q < end && (next = unit_at(classes, q, end), next.kind == first.kind) &&
             first.kind != Kind::kAlone)
        q += next.size;
      if (first.kind != Kind::kDropped)
        out.push_back({static_cast<size_t>(p - begin), static_cast<size_t>(q - begin)});
      p = q;
    }
  }

 private:
  struct Unit {
    Kind kind;
    uint32_t size;
  };
  static Unit unit_at(const LibraryClasses& classes, const uint8_t* p, const uint8_t* end) {
    if (*p < 0x80) return {Kinds::of(classes.of_ascii(*p)), 1};
    const CodePoint c = decode_utf8(p, end);
    return {Kinds::of(classes.of(c.value)), c.size};
  }
};

struct WhitespaceKinds {  // \w+|[^\w\s]+
  static Kind of(uint16_t bits) {
    if (bits & kWordChar) return Kind::kRun;
    return bits & kWhiteSpace ? Kind::kDropped : Kind::kOtherRun;
  }
};

struct WhitespaceSplitKinds {
  static Kind of(uint16_t bits) { return bits & kWhiteSpace ? Kind::kDropped : Kind::kRun; }
};

struct BertKinds {
  static Kind of(uint16_t bits) {
    if (bits & kWhiteSpace) return Kind::kDropped;
    return bits & kPunctuation ? Kind::kAlone : Kind::kRun;
  }
};

struct SingleDigitKinds {
  static Kind of(uint16_t bits) { return bits & kNumeric ? Kind::kAlone : Kind::kRun; }
};

struct DigitRunKinds {
  static Kind of(uint16_t bits) { return bits & kNumeric ? Kind::kOtherRun : Kind::kRun; }
};

class PunctuationSplitter : public Splitter {
 public:
  explicit PunctuationSplitter(SplitBehavior behavior) : behavior_(behavior) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const LibraryClasses& classes = LibraryClasses::get();
    Matches matches(text.size(), false);
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    for (const uint8_t* p = begin; p < end;) {
      const CodePoint c = decode_utf8(p, end);
      const auto at = static_cast<size_t>(p - begin);
      if (classes.of(c.value) & kPunctuation) matches.add(at, at + c.size);
      p += c.size;
    }
    apply_behavior(behavior_, matches.finish(), out);
  }

 private:
  SplitBehavior behavior_;
};

class DelimiterSplitter : public Splitter {
 public:
  explicit DelimiterSplitter(std::string delimiter) : delimiter_(std::move(delimiter)) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    size_t from = 0;
    while (from <= text.size()) {
      const size_t at = std::min(text.find(delimiter_, from), text.size());
      if (at > from) out.push_back({from, at});
      from = at + delimiter_.size();
    }
  }

 private:
  std::string delimiter_;
};

class FixedLengthSplitter : public Splitter {
 public:
  explicit FixedLengthSplitter(size_t length) : length_(length) {}
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
    while (p < end) {
      const uint8_t* q = p;
      for (size_t i = 0; i < length_ && q < end; ++i) q += decode_utf8(q, end).size;
      out.push_back({static_cast<size_t>(p - begin), static_cast<size_t>(q - begin)});
      p = q;
    }
  }

 private:
  size_t length_;
};

}  // namespace

void make_whitespace(const text_json::Json&, const PreTokenizerSteps& to) {
  add_splitter(std::make_unique<KindSplitter<WhitespaceKinds>>(), to);
}

void make_whitespace_split(const text_json::Json&, const PreTokenizerSteps& to) {
  add_splitter(std::make_unique<KindSplitter<WhitespaceSplitKinds>>(), to);
}

void make_bert(const text_json::Json&, const PreTokenizerSteps& to) {
  add_splitter(std::make_unique<KindSplitter<BertKinds>>(), to);
}

void make_digits(const text_json::Json& json, const PreTokenizerSteps& to) {
  if (text_json::get_bool(json, "individual_digits", false, to.origin)) {
    add_splitter(std::make_unique<KindSplitter<SingleDigitKinds>>(), to);
  } else {
    add_splitter(std::make_unique<KindSplitter<DigitRunKinds>>(), to);
  }
}

void make_punctuation(const text_json::Json& json, const PreTokenizerSteps& to) {
  const SplitBehavior behavior = behavior_of(json, to.origin);
  add_splitter(std::make_unique<PunctuationSplitter>(behavior), to);
}

void make_char_delimiter_split(const text_json::Json& json, const PreTokenizerSteps& to) {
  std::string delimiter = text_json::get_character(json, "delimiter", to.origin);
  add_splitter(std::make_unique<DelimiterSplitter>(std::move(delimiter)), to);
}

void make_fixed_length(const text_json::Json& json, const PreTokenizerSteps& to) {
  const bool given = text_json::find(json, "length") != nullptr;
  const size_t length = given ? text_json::get_size(json, "length", to.origin) : 5;
  if (length == 0) text_json::bad(to.origin, "'length' of FixedLength is 0, expected at least 1");
  add_splitter(std::make_unique<FixedLengthSplitter>(length), to);
}

}  // namespace lathe
