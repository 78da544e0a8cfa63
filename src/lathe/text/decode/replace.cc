#include "lathe/text/decode/step.h"
#include "lathe/text/replacement.h"

namespace lathe {
namespace {

class ReplaceInTokens : public TokenStep {
 public:
  explicit ReplaceInTokens(Replacement replacement) : replacement_(std::move(replacement)) {}
  bool change(std::string_view token, bool, std::string& out) const override {
    size_t start = 0;
    return replacement_.apply(token, out, start);
  }
  std::unique_ptr<DecodeStage> fused_stage(DecodeStage* next) const override {
    const std::string* string = replacement_.string();
    if (string == nullptr) return nullptr;
    return fused_replace_stage(*string, replacement_.content(), next);
  }

 private:
  Replacement replacement_;
};

}  // namespace

void make_replace_decoder(const text_json::Json& json, const DecoderSteps& to) {
  to.steps.push_back(std::make_unique<ReplaceInTokens>(Replacement(json, "decoder", to.origin)));
}

}  // namespace lathe
