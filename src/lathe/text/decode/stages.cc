// The stages and steps that several decoders are made of.
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

class TokenStage : public DecodeStage {
 public:
  TokenStage(const TokenStep& step, DecodeStage* next) : DecodeStage(next), step_(step) {}
  void push(std::string_view token) override {
    changed_.clear();
    next_->push(step_.change(token, first_, changed_) ? std::string_view(changed_) : token);
    first_ = false;
  }
  void finish() override {
    first_ = true;
    next_->finish();
  }
  bool steady() const override { return !first_; }

 private:
  const TokenStep& step_;
  std::string changed_;
  bool first_ = true;
};

class Pass : public DecodeStage {
 public:
  using DecodeStage::DecodeStage;
  void push(std::string_view text) override { next_->push(text); }
  bool steady() const override { return true; }
};

class Collect : public DecodeStage {
 public:
  using DecodeStage::DecodeStage;
  void push(std::string_view part) override { text_ += part; }
  void finish() override {
    next_->push(text_);
    text_.clear();
    next_->finish();
  }
  bool steady() const override { return false; }

 private:
  std::string text_;
};

// Searches as Knuth, Morris and Pratt (1977) do: what is held back is a prefix of the pattern, so
// its length says it all.
class FusedReplace : public DecodeStage {
 public:
  FusedReplace(std::string pattern, std::string content, DecodeStage* next)
      : DecodeStage(next),
        pattern_(std::move(pattern)),
        content_(std::move(content)),
        border_(pattern_.size() + 1, 0) {
    for (size_t i = 1, k = 0; i < pattern_.size(); ++i) {
      while (k > 0 && pattern_[i] != pattern_[k]) k = border_[k];
      if (pattern_[i] == pattern_[k]) ++k;
      border_[i + 1] = k;
    }
  }

  void push(std::string_view part) override {
    ready_.clear();
    for (const char c : part) {
      while (held_ > 0 && pattern_[held_] != c) give_up_to(border_[held_]);
      if (pattern_[held_] != c) {
        ready_ += c;
      } else if (++held_ == pattern_.size()) {
        ready_ += content_;
        held_ = 0;
      }
    }
    if (!ready_.empty()) next_->push(ready_);
  }

  void finish() override {
    ready_.clear();
    give_up_to(0);
    if (!ready_.empty()) next_->push(ready_);
    next_->finish();
  }

  bool steady() const override { return false; }

 private:
  void give_up_to(size_t left) {
    ready_.append(pattern_, 0, held_ - left);
    held_ = left;
  }

  std::string pattern_, content_;
  std::vector<size_t> border_;  // of each prefix: its longest proper prefix that ends it
  size_t held_ = 0;             // bytes of the pattern
  std::string ready_;
};

class JoinWithSpaces : public TokenStep {
 public:
  bool change(std::string_view token, bool first, std::string& out) const override {
    if (first) return false;
    out = ' ';
    out += token;
    return true;
  }
};

}  // namespace

std::unique_ptr<DecodeStage> TokenStep::stage(bool, DecodeStage* next) const {
  return std::make_unique<TokenStage>(*this, next);
}

std::string TokenStep::in_the_middle(std::string_view token, bool) const {
  std::string out;
  return change(token, false, out) ? out : std::string(token);
}

std::unique_ptr<DecodeStage> pass_stage(DecodeStage* next) { return std::make_unique<Pass>(next); }

std::unique_ptr<DecodeStage> collect_stage(DecodeStage* next) {
  return std::make_unique<Collect>(next);
}

std::unique_ptr<DecodeStage> fused_replace_stage(std::string pattern, std::string content,
                                                 DecodeStage* next) {
  return std::make_unique<FusedReplace>(std::move(pattern), std::move(content), next);
}

std::unique_ptr<const DecodeStep> join_with_spaces() { return std::make_unique<JoinWithSpaces>(); }

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  if (pattern.empty()) {
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    for (const uint8_t* p = begin; p < end;) {
      const uint32_t size = decode_utf8(p, end).size;
      out += content;
      out += text.substr(static_cast<size_t>(p - begin), size);
      p += size;
    }
    return out += content;
  }
  size_t from = 0;
  for (size_t at = text.find(pattern); at != std::string_view::npos;
       at = text.find(pattern, from)) {
    out += text.substr(from, at - from);
    out += content;
    from = at + pattern.size();
  }
  return out += text.substr(from);
}

}  // namespace lathe
