#include "lathe/text/byte_alphabet.h"
#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

// A token with a character that is not in the byte alphabet is text already.
class ByteLevelDecoder : public TokenStep {
 public:
  bool change(std::string_view token, bool, std::string& out) const override {
    auto bytes = from_byte_alphabet(token);
    if (bytes) out = std::move(*bytes);
    return bytes.has_value();
  }
  bool fuses() const override { return true; }
};

}  // namespace

void make_byte_level_decoder(const text_json::Json&, const DecoderSteps& to) {
  to.steps.push_back(std::make_unique<ByteLevelDecoder>());
}

}  // namespace lathe
