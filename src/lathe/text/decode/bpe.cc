#include <algorithm>

#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

// The suffix of a word's last token becomes a space, in the last token nothing.
class BpeStage : public DecodeStage {
 public:
  BpeStage(const std::string& suffix, bool joined, DecodeStage* next)
      : DecodeStage(next), suffix_(suffix), joined_(joined) {}

  void push(std::string_view token) override {
    hand_on(" ");
    const size_t suffix = joined_ ? token.find(suffix_) : 0;
    const size_t certain = std::min(suffix, token.size());
    if (certain > 0) next_->push(token.substr(0, certain));
    holds_ = suffix != std::string_view::npos;
    held_ = token.substr(certain);
  }
  void finish() override {
    hand_on("");
    next_->finish();
  }
  bool steady() const override { return false; }

 private:
  void hand_on(std::string_view for_suffix) {
    if (holds_) next_->push(replace_all(held_, suffix_, for_suffix));
    holds_ = false;
  }

  const std::string& suffix_;
  bool joined_;
  bool holds_ = false;
  std::string held_;  // the last token; of joined ones, its part from the first suffix on
};

class BpeDecoder : public DecodeStep {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  std::unique_ptr<DecodeStage> stage(bool joined, DecodeStage* next) const override {
    return std::make_unique<BpeStage>(suffix_, joined, next);
  }
  // All is in the last token.
  std::unique_ptr<DecodeStage> fused_stage(DecodeStage* next) const override {
    return suffix_.empty() ? pass_stage(next) : fused_replace_stage(suffix_, "", next);
  }
  bool token_local(const DecodePlace&) const override { return false; }
  std::string in_the_middle(std::string_view token, bool fused) const override {
    return replace_all(token, suffix_, fused ? "" : " ");
  }

 private:
  std::string suffix_;
};

}  // namespace

void make_bpe_decoder(const text_json::Json& json, const DecoderSteps& to) {
  to.steps.push_back(
      std::make_unique<BpeDecoder>(text_json::get_string(json, "suffix", to.origin)));
}

}  // namespace lathe
