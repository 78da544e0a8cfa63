#include "lathe/documents/cut/cutter.h"

#include <algorithm>
#include <optional>

#include "lathe/base/utf8.h"
#include "lathe/documents/cut/sentences.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

// Bytes: what has no blanks may be few tokens to an encoder, and still is much to show.
constexpr int64_t kLongestSentence = 2000, kLongestPiece = 8000;

std::string_view part(std::string_view text, int64_t begin, int64_t end) {
  return text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

// Ends of sentences, and of parts of those that are too long: behind a blank where there is one, never within a character.
std::vector<int64_t> ends_within(std::string_view text) {
  std::vector<int64_t> out;
  int64_t begin = 0;
  for (const int64_t end : sentence_ends(text)) {
    while (end - begin > kLongestSentence) {
      std::string_view head = part(text, begin, begin + kLongestSentence);
      const size_t blank = head.find_last_of(" \n\t");
      int64_t size = kLongestSentence - static_cast<int64_t>(incomplete_utf8_tail(head));
      if (blank != std::string_view::npos && blank > 0) size = static_cast<int64_t>(blank) + 1;
      out.push_back(begin += size);
    }
    if (end > begin) out.push_back(end);
    begin = end;
  }
  return out;
}

class Cutter {
 public:
  Cutter(std::string_view text, const CutOptions& options) : text_(text), o_(options) {}

  std::vector<Chunk> cut(const Document& document) {
    for (const Stretch& stretch : document.stretches) {
      if (stretch.kind == Kind::kHeading)
        take_heading(stretch);
      else
        take(stretch);
    }
    // A heading with nothing under it.
    if (heading_) add_piece({heading_->begin, heading_->end, {}, 0});
    end_chunk();
    return std::move(out_);
  }

 private:
  void take_heading(const Stretch& heading) {
    end_chunk();
    while (!trail_.empty() && trail_.back().first >= heading.level) trail_.pop_back();
    trail_.emplace_back(heading.level, heading.words);
    if (heading_) {  // two in a row stand together
      heading_words_ += "\n" + heading.words;
    } else {
      heading_ = Piece{heading.begin, heading.end, {}, 0};
      heading_words_ = heading.words;
    }
  }

  // What a stretch says, piece by piece.
  void take(const Stretch& stretch) {
    const bool has_words = !stretch.words.empty();
    const std::string_view said =
        has_words ? std::string_view(stretch.words) : part(text_, stretch.begin, stretch.end);
    const int64_t tokens = o_.tokens(said);
    if (tokens <= o_.chunk_tokens && std::ssize(said) <= kLongestPiece)
      return add_piece({stretch.begin, stretch.end, std::string(said), tokens});
    // With markup the place of a sentence is not known: all of its pieces stand for the whole stretch.
    for (const auto& [begin, end, count] : parts_of(said))
      add_piece({has_words ? stretch.begin : stretch.begin + begin,
                 has_words ? stretch.end : stretch.begin + end, std::string(part(said, begin, end)),
                 count});
  }

  struct Part {
    int64_t begin, end, tokens;
  };
  // Sentences together up to the size of a chunk, each part beginning with the last ones of the part before it.
  std::vector<Part> parts_of(std::string_view said) const {
    std::vector<Part> sentences, out;
    int64_t begin = 0;
    for (const int64_t end : ends_within(said)) {
      sentences.push_back({begin, end, o_.tokens(part(said, begin, end))});
      begin = end;
    }
    for (size_t first = 0; first < sentences.size();) {
      int64_t tokens = 0;
      size_t last = first;
      while (last < sentences.size() &&
             (last == first || (tokens + sentences[last].tokens <= o_.chunk_tokens &&
                                sentences[last].end - sentences[first].begin <= kLongestPiece)))
        tokens += sentences[last++].tokens;
      out.push_back({sentences[first].begin, sentences[last - 1].end, tokens});
      if (last == sentences.size()) break;
      int64_t shared = 0;
      size_t next = last;
      while (next > first + 1 && shared + sentences[next - 1].tokens <= o_.overlap)
        shared += sentences[--next].tokens;
      first = next;
    }
    return out;
  }

  void add_piece(Piece piece) {
    if (heading_) {
      piece.begin = heading_->begin;
      piece.words = heading_words_ + (piece.words.empty() ? "" : "\n") + piece.words;
      piece.tokens += o_.tokens(heading_words_);
      heading_.reset();
    }
    const bool fits =
        tokens_ + piece.tokens <= o_.chunk_tokens && piece.end - open_.begin <= kLongestPiece;
    if (!open_.pieces.empty() && !fits) end_chunk();
    if (open_.pieces.empty()) {
      open_.begin = piece.begin;
      open_.trail = trail();
    }
    open_.end = std::max(open_.end, piece.end);
    tokens_ += piece.tokens;
    open_.pieces.push_back(std::move(piece));
  }

  void end_chunk() {
    if (!open_.pieces.empty()) out_.push_back(std::move(open_));
    open_ = {};
    tokens_ = 0;
  }

  std::string trail() const {
    std::string out;
    for (const auto& [level, title] : trail_) out += (out.empty() ? "" : " > ") + title;
    return out;
  }

  std::string_view text_;
  const CutOptions& o_;
  std::vector<Chunk> out_;
  Chunk open_;
  int64_t tokens_ = 0;  // of the open chunk
  std::vector<std::pair<int, std::string>> trail_;
  std::optional<Piece> heading_;  // that waits for what stands under it
  std::string heading_words_;
};

}  // namespace

std::vector<Chunk> cut(std::string_view text, const Document& document, const CutOptions& options) {
  return Cutter(text, options).cut(document);
}

}  // namespace lathe
