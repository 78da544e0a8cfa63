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

}  // namespace

WordPiece::WordPiece(Vocabulary tokens, WordPieceOptions options)
    : TokenModel(std::move(tokens)), options_(std::move(options)) {
  std::vector<DoubleArray::Entry> first, inside;
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().has(id)) continue;
    const std::string_view text = vocabulary().bytes(id);
    // The trie knows no zero byte, and BERT's normaliser leaves none in a text.
    if (text.empty() || text.find('\0') != std::string_view::npos) continue;
    first.push_back({text, id});
    const std::string_view prefix = options_.continuing_prefix;
    if (text.starts_with(prefix) && text.size() > prefix.size())
      inside.push_back({text.substr(prefix.size()), id});
  }
  const auto build = [](std::vector<DoubleArray::Entry>& entries) {
    std::ranges::sort(entries, {}, &DoubleArray::Entry::key);
    return entries.empty() ? DoubleArray() : DoubleArray::build(entries);
  };
  first_ = build(first);
  inside_ = build(inside);
}

void WordPiece::encode(std::string_view word, std::vector<int32_t>& out) const {
  const size_t first = out.size();
  const uint8_t *p = as_bytes(word), *end = p + word.size();
  bool known = count_characters(word) <= options_.longest_word;
  while (known && p < end) {
    size_t longest = 0;
    int32_t best = -1;
    const DoubleArray& trie = p == as_bytes(word) ? first_ : inside_;
    trie.for_each_prefix(p, end, [&](size_t length, int32_t id) {
      longest = length;
      best = id;
    });
    known = best >= 0;
    if (known) out.push_back(best);
    p += longest;
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
