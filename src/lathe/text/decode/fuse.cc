#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

class Fuse : public DecodeStep {
 public:
  std::unique_ptr<DecodeStage> stage(bool, DecodeStage* next) const override {
    return pass_stage(next);
  }
  std::unique_ptr<DecodeStage> fused_stage(DecodeStage* next) const override {
    return pass_stage(next);
  }
  bool fuses() const override { return true; }
  bool ignores_borders() const override { return true; }
  bool token_local(const DecodePlace&) const override { return true; }
  std::string in_the_middle(std::string_view token, bool) const override {
    return std::string(token);
  }
};

}  // namespace

void make_fuse_decoder(const text_json::Json&, const DecoderSteps& to) {
  to.steps.push_back(std::make_unique<Fuse>());
}

}  // namespace lathe
