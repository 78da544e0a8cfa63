#include "lathe/text/metaspace.h"

#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

class MetaspaceDecoder : public TokenStep {
 public:
  explicit MetaspaceDecoder(const MetaspaceOptions& options)
      : mark_(options.replacement),
        in_first_(options.prepend == MetaspaceOptions::Prepend::kNever ? " " : "") {}

  bool change(std::string_view token, bool first, std::string& out) const override {
    if (token.find(mark_) == std::string_view::npos) return false;
    out = replace_all(token, mark_, first ? in_first_ : " ");
    return true;
  }
  // All is in the first token.
  std::unique_ptr<DecodeStage> fused_stage(DecodeStage* next) const override {
    return fused_replace_stage(mark_, std::string(in_first_), next);
  }
  std::string in_the_middle(std::string_view token, bool fused) const override {
    return replace_all(token, mark_, fused ? in_first_ : " ");
  }

 private:
  std::string mark_;
  std::string_view in_first_;  // what a mark becomes there
};

}  // namespace

void make_metaspace_decoder(const text_json::Json& json, const DecoderSteps& to) {
  to.steps.push_back(
      std::make_unique<MetaspaceDecoder>(MetaspaceOptions::from_json(json, to.origin)));
}

}  // namespace lathe
