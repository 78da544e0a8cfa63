#include "lathe/text/model/word_piece.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/model/piece_loop.h"
#include "lathe/text/model/word_memory.h"

namespace lathe {
namespace {

class WordPieces {
 public:
  explicit WordPieces(const WordPiece& model) : model_(model) {}

  void encode(const uint8_t* p, const uint8_t* q, const uint8_t* limit, EncodeMeter&,
              std::vector<int32_t>& out) {
    const auto n = static_cast<size_t>(q - p);
    const std::string_view word(reinterpret_cast<const char*>(p), n);
    if (n > kWordBytes) return model_.encode(word, out);
    const WordKey key = word_key(p, n, limit);
    if (memory_.recall(key, out)) return;
    const size_t before = out.size();
    model_.encode(word, out);
    memory_.remember(key, before, out);
  }

 private:
  const WordPiece& model_;
  WordMemory<7> memory_;
};

int64_t characters(std::string_view text) {
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  int64_t n = 0;
  for (; p < end; ++n) p += decode_utf8(p, end).size;
  return n;
}

}  // namespace

WordPiece::WordPiece(Vocabulary tokens, WordPieceOptions options)
    : TokenModel(std::move(tokens)), options_(std::move(options)) {}

void WordPiece::encode(std::string_view word, std::vector<int32_t>& out) const {
  const size_t first = out.size();
  bool known = characters(word) <= options_.longest_word;
  for (size_t at = 0; known && at < word.size();) {
    const std::string prefix = at > 0 ? options_.continuing_prefix : "";
    std::optional<int32_t> id;
    size_t n = std::min(word.size() - at, vocabulary().longest());
    for (; n > 0 && !id; --n) id = vocabulary().find(prefix + std::string(word.substr(at, n)));
    known = id.has_value();
    if (known) out.push_back(*id);
    at += n + 1;
  }
  if (known) return;
  out.resize(first);
  require(options_.unknown.has_value(), ErrorKind::kData, "tokenizer",
          "the word '{}' has no tokens in this vocabulary and there is no unknown token; remove it "
          "from the text or use a tokenizer with an unknown token",
          replace_invalid_utf8(word.substr(0, 80)));
  out.push_back(*options_.unknown);
}

std::unique_ptr<TextEncoder> WordPiece::encoder(const PreTokenizer& pre_tokenizer) const {
  return piece_loop(pre_tokenizer, WordPieces(*this));
}

}  // namespace lathe
