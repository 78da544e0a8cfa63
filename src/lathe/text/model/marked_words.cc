#include "lathe/text/model/marked_words.h"

#include "lathe/text/metaspace.h"
#include "lathe/text/model/piece_loop.h"

namespace lathe {
namespace {

// Works on a whole text, since unknown words side by side are one token.
class MarkedWordPieces {
 public:
  explicit MarkedWordPieces(const MarkedWords& model) : model_(model) {}

  void encode(const uint8_t* p, const uint8_t* q, const uint8_t*, EncodeMeter& meter,
              std::vector<int32_t>& out) {
    std::string_view text(reinterpret_cast<const char*>(p), static_cast<size_t>(q - p));
    bool unknown = false;  // the word before
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(kSpaceMark, 1));
      text.remove_prefix(word.size());
      const auto id = model_.vocabulary().find(word);
      if (id || !unknown) out.push_back(id.value_or(model_.unknown_id()));
      unknown = !id;
      meter.reach(as_bytes(text));
    }
  }

 private:
  const MarkedWords& model_;
};

}  // namespace

std::unique_ptr<TextEncoder> MarkedWords::encoder(const PreTokenizer& pre_tokenizer) const {
  return piece_loop(pre_tokenizer, MarkedWordPieces(*this));
}

}  // namespace lathe
