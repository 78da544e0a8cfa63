#include "lathe/text/split/pretokenizer.h"

#include "lathe/text/byte_alphabet.h"
#include "lathe/text/split/char_class.h"
#include "lathe/text/split/split_step.h"

namespace lathe {
namespace {

using text_json::Json;

// A text in another spelling, and where each of its bytes came from.
struct Respelled {
  std::string text;
  std::vector<size_t> origin;  // text.size() + 1 entries

  void add(std::string_view spelling, size_t from) {
    text += spelling;
    origin.resize(text.size(), from);
  }
};

Respelled in_byte_alphabet(std::string_view bytes) {
  Respelled r;
  for (size_t i = 0; i < bytes.size(); ++i) r.add(to_byte_alphabet(bytes.substr(i, 1)), i);
  r.origin.push_back(bytes.size());
  return r;
}

Respelled with_valid_utf8(std::string_view bytes) {
  Respelled r;
  const uint8_t *begin = as_bytes(bytes), *end = begin + bytes.size();
  for (const uint8_t* p = begin; p < end;) {
    const CodePoint c = decode_utf8(p, end);
    const auto at = static_cast<size_t>(p - begin);
    r.add(c.value == kInvalidByte ? "\xEF\xBF\xBD" : bytes.substr(at, c.size), at);
    p += c.size;
  }
  r.origin.push_back(bytes.size());
  return r;
}

}  // namespace

// One stage of the pipeline.
class PreTokenizer::Step {
 public:
  virtual ~Step() = default;
  // Replaces scratch.pieces by smaller ones. May move the text to scratch.buffer.
  virtual std::string_view run(std::string_view text, Scratch& scratch) const = 0;
};

namespace {

class ByteLevelStep : public PreTokenizer::Step {
 public:
  ByteLevelStep(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  std::string_view run(std::string_view text, PreTokenizer::Scratch& s) const override {
    if (add_prefix_space_) text = with_prefix_spaces(text, s);
    if (!use_regex_) return text;
    s.next.clear();
    const PieceScanner next = pattern_info(Pattern::kGpt2).next;
    for (const Piece& piece : s.pieces) {
      const uint8_t *p = as_bytes(text) + piece.begin, *end = as_bytes(text) + piece.end;
      while (p < end) {
        const uint8_t* q = next(p, end);
        s.next.push_back(
            {static_cast<size_t>(p - as_bytes(text)), static_cast<size_t>(q - as_bytes(text))});
        p = q;
      }
    }
    s.pieces.swap(s.next);
    return text;
  }

 private:
  static std::string_view with_prefix_spaces(std::string_view text, PreTokenizer::Scratch& s) {
    std::string spaced;
    for (Piece& piece : s.pieces) {
      const std::string_view old = text.substr(piece.begin, piece.end - piece.begin);
      piece.begin = spaced.size();
      if (!old.starts_with(' ')) spaced += ' ';
      spaced += old;
      piece.end = spaced.size();
    }
    s.buffer.swap(spaced);
    return s.buffer;
  }

  bool add_prefix_space_, use_regex_;
};

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

PreTokenizer::PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::add(const Json& json, int depth, std::string_view origin) {
  text_json::check_depth(depth, "pre_tokenizer", origin);
  const std::string type = text_json::type_of(json, "pre_tokenizer", origin);
  if (type == "Sequence") {
    for (const Json& part : text_json::get_array(json, "pretokenizers", origin))
      add(part, depth + 1, origin);
  } else if (type == "ByteLevel") {
    if (byte_level_) text_json::bad(origin, "pre_tokenizer has ByteLevel twice");
    const bool prefix = text_json::get_bool(json, "add_prefix_space", true, origin);
    const bool use_regex = text_json::get_bool(json, "use_regex", true, origin);
    byte_level_ = true;
    if (!prefix && !use_regex) return;
    if (!prefix && steps_.empty()) scanner_ = pattern_info(Pattern::kGpt2).next;
    if (!steps_.empty()) scanner_ = nullptr;
    steps_.push_back(std::make_unique<ByteLevelStep>(prefix, use_regex));
  } else {
    std::unique_ptr<Splitter> splitter = make_splitter(json, type, origin);
    if (splitter == nullptr) {
      text_json::bad(origin,
                     "pre_tokenizer '{}' is not supported; supported are ByteLevel, Split, Digits, "
                     "Punctuation, Sequence",
                     type);
    }
    scanner_ = steps_.empty() && !byte_level_ ? splitter->scanner() : nullptr;
    steps_.push_back(std::make_unique<SplitStep>(std::move(splitter), byte_level_));
  }
}

PreTokenizer PreTokenizer::from_json(const Json& json, std::string_view origin) {
  PreTokenizer pre_tokenizer;
  if (!json.is_null()) pre_tokenizer.add(json, 0, origin);
  return pre_tokenizer;
}

Json PreTokenizer::json_for(Pattern pattern) {
  const PatternInfo& info = pattern_info(pattern);
  const auto byte_level = [](bool use_regex) {
    return Json{{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", use_regex}};
  };
  if (info.byte_level_regex) return byte_level(true);
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", info.regex}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return Json{{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level(false)})}};
}

std::string_view PreTokenizer::split(std::string_view text, bool, Scratch& scratch) const {
  scratch.pieces.clear();
  if (text.empty()) return text;
  scratch.pieces.push_back({0, text.size()});
  for (const auto& step : steps_) text = step->run(text, scratch);
  return text;
}

}  // namespace lathe
