#include "lathe/text/model/word_level.h"

#include "lathe/base/error.h"
#include "lathe/text/model/piece_loop.h"

namespace lathe {
namespace {

class WordLevelPieces {
 public:
  explicit WordLevelPieces(const WordLevel& model) : model_(model) {}
  void encode(const uint8_t* p, const uint8_t* q, const uint8_t*, EncodeMeter&,
              std::vector<int32_t>& out) {
    out.push_back(
        model_.id_of_word({reinterpret_cast<const char*>(p), static_cast<size_t>(q - p)}));
  }

 private:
  const WordLevel& model_;
};

}  // namespace

int32_t WordLevel::id_of_word(std::string_view word) const {
  if (const auto id = vocabulary().find(word)) return *id;
  require(unknown_.has_value(), ErrorKind::kData, "tokenizer",
          "the word '{}' has no token in this vocabulary and there is no unknown token; remove it "
          "from the text or use a tokenizer with an unknown token",
          replace_invalid_utf8(word.substr(0, 80)));
  return *unknown_;
}

std::unique_ptr<TextEncoder> WordLevel::encoder(const PreTokenizer& pre_tokenizer) const {
  return piece_loop(pre_tokenizer, WordLevelPieces(*this));
}

}  // namespace lathe
