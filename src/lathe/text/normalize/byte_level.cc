#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/normalize/makers.h"

namespace lathe {
namespace {

// Invalid bytes are bytes as all others: here alone they do not pass through unchanged.
class ByteLevelNormalizer : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    if (text.empty()) return false;
    size_t new_start = 0;
    out.reserve(text.size() + text.size() / 2);
    for (size_t i = 0; i < text.size(); ++i) {
      if (i == start) new_start = out.size();
      append_utf8(out, byte_alphabet()[static_cast<uint8_t>(text[i])]);
    }
    start = start == text.size() ? out.size() : new_start;
    return true;
  }
};

}  // namespace

void make_byte_level_normalizer(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<ByteLevelNormalizer>());
}

}  // namespace lathe
