#include <algorithm>

#include "lathe/text/metaspace.h"
#include "lathe/text/split/makers.h"
#include "lathe/text/split/respelled.h"

namespace lathe {
namespace {

class MetaspaceStep : public PreTokenizer::Step {
 public:
  explicit MetaspaceStep(MetaspaceOptions options) : options_(std::move(options)) {}

  std::string_view run(std::string_view text, PreTokenizer::Scratch& s) const override {
    s.next.clear();
    s.next_buffer.clear();
    size_t start = 0;
    for (const Piece& piece : s.pieces) {
      const size_t of_start = start_of_piece(s, piece), begin = s.next_buffer.size();
      const std::string_view old = text.substr(piece.begin, piece.end - piece.begin);
      const size_t prefix = add(old, of_start > 0, s);
      // What is put in front derives from the character behind it.
      if (of_start > 0) start = begin + prefix + respelled_size(old.substr(0, of_start));
    }
    s.buffer.swap(s.next_buffer);
    s.pieces.swap(s.next);
    s.start = start;
    return s.buffer;
  }

 private:
  size_t respelled_size(std::string_view text) const {
    const auto spaces = static_cast<size_t>(std::count(text.begin(), text.end(), ' '));
    return text.size() + spaces * options_.replacement.size() - spaces;
  }

  bool is_marked(std::string_view piece) const {
    return piece.starts_with(' ') || piece.starts_with(options_.replacement);
  }

  // Appends the piece's new spelling to s.next_buffer and its pieces to s.next. Returns the size of
  // what it puts in front.
  size_t add(std::string_view piece, bool begins_text, PreTokenizer::Scratch& s) const {
    using Prepend = MetaspaceOptions::Prepend;
    std::string& out = s.next_buffer;
    const std::string& mark = options_.replacement;
    size_t begin = out.size();  // of the piece that is being written
    const bool prepend = options_.prepend == Prepend::kAlways ||
                         (options_.prepend == Prepend::kFirst && begins_text);
    const size_t prefix = prepend && !is_marked(piece) ? mark.size() : 0;
    out.append(mark, 0, prefix);
    const auto cut = [&] {
      if (options_.split && out.size() > begin) {
        s.next.push_back({begin, out.size()});
        begin = out.size();
      }
    };
    const char lead = mark[0];
    size_t from = 0;
    for (size_t i = 0; i < piece.size();) {
      if (piece[i] == ' ') {
        out.append(piece, from, i - from);
        cut();
        out += mark;
        from = ++i;
      } else if (piece[i] == lead && piece.substr(i, mark.size()) == mark) {
        out.append(piece, from, i - from);
        cut();
        from = i;
        i += mark.size();
      } else {
        ++i;
      }
    }
    out.append(piece, from, piece.size() - from);
    if (out.size() > begin) s.next.push_back({begin, out.size()});
    return prefix;
  }

  MetaspaceOptions options_;
};

}  // namespace

void make_metaspace(const text_json::Json& json, const PreTokenizerSteps& to) {
  if (to.parts.byte_level)
    text_json::bad(
        to.origin,
        "Metaspace behind ByteLevel is not supported: its mark is no byte; put it first");
  to.parts.scanner = nullptr;
  to.parts.steps.push_back(
      std::make_unique<MetaspaceStep>(MetaspaceOptions::from_json(json, to.origin)));
}

}  // namespace lathe
