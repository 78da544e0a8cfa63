#include "lathe/text/split/makers.h"
#include "lathe/text/split/respelled.h"

namespace lathe {
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
    std::string& spaced = s.next_buffer;
    spaced.clear();
    size_t start = 0;
    for (Piece& piece : s.pieces) {
      const std::string_view old = text.substr(piece.begin, piece.end - piece.begin);
      const size_t of_start = start_of_piece(s, piece);
      piece.begin = spaced.size();
      if (!old.starts_with(' ')) spaced += ' ';
      if (of_start > 0) start = spaced.size() + of_start;
      spaced += old;
      piece.end = spaced.size();
    }
    s.buffer.swap(spaced);
    s.start = start;
    return s.buffer;
  }

  bool add_prefix_space_, use_regex_;
};

}  // namespace

void make_byte_level(const text_json::Json& json, const PreTokenizerSteps& to) {
  PreTokenizer::Parts& parts = to.parts;
  if (parts.byte_level) text_json::bad(to.origin, "pre_tokenizer has ByteLevel twice");
  const bool prefix = text_json::get_bool(json, "add_prefix_space", true, to.origin);
  const bool use_regex = text_json::get_bool(json, "use_regex", true, to.origin);
  parts.byte_level = true;
  if (!prefix && !use_regex) return;
  parts.scanner =
      !prefix && parts.steps.empty() ? pattern_info(Pattern::kGpt2).next : PieceScanner{nullptr};
  parts.steps.push_back(std::make_unique<ByteLevelStep>(prefix, use_regex));
}

}  // namespace lathe
