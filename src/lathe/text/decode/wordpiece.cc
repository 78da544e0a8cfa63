// WordPiece, and CTC, which cleans up as it does.
#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

// English as it is written, one replacement after the other.
std::string cleaned(std::string text) {
  static constexpr std::string_view kReplacements[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  if (text.find(' ') == std::string::npos) return text;
  for (const auto& [pattern, content] : kReplacements)
    if (text.find(pattern) != std::string::npos) text = replace_all(text, pattern, content);
  return text;
}

class WordPiece : public TokenStep {
 public:
  WordPiece(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}

  bool change(std::string_view token, bool first, std::string& out) const override {
    if (!first && token.starts_with(prefix_)) {
      out = token.substr(prefix_.size());
    } else {
      if (!first) out = ' ';
      out += token;
    }
    if (cleanup_) out = cleaned(std::move(out));
    return true;
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

struct CtcOptions {
  std::string pad, word_delimiter;
  bool cleanup = true;

  std::string apply(std::string_view token) const {
    std::string text = replace_all(token, pad, "");
    return cleanup ? replace_all(cleaned(std::move(text)), word_delimiter, " ") : text;
  }
};

class CtcStage : public DecodeStage {
 public:
  CtcStage(const CtcOptions& options, DecodeStage* next) : DecodeStage(next), options_(options) {}
  void push(std::string_view token) override {
    if (any_ && token == previous_) return;
    any_ = true;
    previous_ = token;
    const std::string text = options_.apply(token);
    if (!text.empty()) next_->push(text);
  }
  void finish() override {
    any_ = false;
    next_->finish();
  }
  bool steady() const override { return false; }

 private:
  const CtcOptions& options_;
  std::string previous_;
  bool any_ = false;
};

class Ctc : public DecodeStep {
 public:
  explicit Ctc(CtcOptions options) : options_(std::move(options)) {}
  std::unique_ptr<DecodeStage> stage(bool, DecodeStage* next) const override {
    return std::make_unique<CtcStage>(options_, next);
  }
  bool token_local(const DecodePlace&) const override { return false; }
  std::string in_the_middle(std::string_view token, bool) const override {
    return options_.apply(token);
  }

 private:
  CtcOptions options_;
};

}  // namespace

void make_wordpiece_decoder(const text_json::Json& json, const DecoderSteps& to) {
  to.steps.push_back(std::make_unique<WordPiece>(text_json::get_string(json, "prefix", to.origin),
                                                 text_json::get_bool(json, "cleanup", to.origin)));
}

void make_ctc_decoder(const text_json::Json& json, const DecoderSteps& to) {
  CtcOptions options{text_json::get_string(json, "pad_token", to.origin),
                     text_json::get_string(json, "word_delimiter_token", to.origin),
                     text_json::get_bool(json, "cleanup", to.origin)};
  to.steps.push_back(std::make_unique<Ctc>(std::move(options)));
}

}  // namespace lathe
