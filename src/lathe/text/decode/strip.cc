#include <algorithm>

#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

struct StripOptions {
  std::string character;
  size_t start = 0, stop = 0;  // how many at most, at the beginning and at the end
};

// Drops the first characters of a text in parts, and holds back those that may be the last.
class FusedStrip : public DecodeStage {
 public:
  FusedStrip(const StripOptions& options, DecodeStage* next)
      : DecodeStage(next), options_(options), start_left_(options.start) {}

  void push(std::string_view part) override {
    ready_.clear();
    for (size_t i = 0; i < part.size(); ++i) {
      if (steady()) {
        ready_.append(part, i);
        break;
      }
      add(part[i]);
    }
    if (!ready_.empty()) next_->push(ready_);
  }

  void finish() override {
    ready_.clear();
    if (partial_ > 0) end_run();
    if (!ready_.empty()) next_->push(ready_);
    start_left_ = options_.start;
    run_ = 0;
    next_->finish();
  }

  bool steady() const override { return options_.stop == 0 && start_left_ == 0 && partial_ == 0; }

 private:
  void add(char c) {
    const std::string& character = options_.character;
    if (c != character[partial_]) {
      end_run();
      if (c != character[0]) {
        ready_ += c;
        return;
      }
    }
    if (++partial_ < character.size()) return;
    partial_ = 0;
    if (start_left_ > 0) {
      --start_left_;
    } else if (run_ < options_.stop) {
      ++run_;
    } else {
      ready_ += character;  // the first of the run, which is one longer now
    }
  }

  // Something else stands behind what was held back.
  void end_run() {
    for (; run_ > 0; --run_) ready_ += options_.character;
    ready_.append(options_.character, 0, partial_);
    partial_ = start_left_ = 0;
  }

  const StripOptions& options_;
  size_t start_left_;
  size_t run_ = 0, partial_ = 0;  // held back: characters, and bytes of the next one
  std::string ready_;
};

// Of a token that is all such characters and shorter than `start` and `stop` together nothing is
// left; the library ends there.
class Strip : public TokenStep {
 public:
  explicit Strip(StripOptions options) : options_(std::move(options)) {}

  bool change(std::string_view token, bool, std::string& out) const override {
    const std::string& character = options_.character;
    std::string_view left = token;
    for (size_t i = 0; i < options_.start && left.starts_with(character); ++i)
      left.remove_prefix(character.size());
    for (size_t i = 0; i < options_.stop && left.ends_with(character); ++i)
      left.remove_suffix(character.size());
    out = left;
    return left.size() < token.size();
  }
  std::unique_ptr<DecodeStage> fused_stage(DecodeStage* next) const override {
    return std::make_unique<FusedStrip>(options_, next);
  }
  bool token_local(const DecodePlace& place) const override {
    return !place.fused || options_.stop == 0;
  }
  std::string in_the_middle(std::string_view token, bool fused) const override {
    return fused ? std::string(token) : TokenStep::in_the_middle(token, fused);
  }

 private:
  StripOptions options_;
};

}  // namespace

void make_strip_decoder(const text_json::Json& json, const DecoderSteps& to) {
  StripOptions options{text_json::get_character(json, "content", to.origin),
                       text_json::get_size(json, "start", to.origin),
                       text_json::get_size(json, "stop", to.origin)};
  to.steps.push_back(std::make_unique<Strip>(std::move(options)));
}

}  // namespace lathe
