#include "lathe/base/utf8.h"
#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of "<0x61>", or -1. The library reads a number, which may have a sign: "<0x+1>".
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = token[3] == '+' ? 0 : hex_digit(token[3]), low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Where tokens are only joined, a byte is handed on at once.
class JoinedBytes : public DecodeStage {
 public:
  using DecodeStage::DecodeStage;
  void push(std::string_view token) override {
    const int byte = byte_of(token);
    const char c = static_cast<char>(byte);
    next_->push(byte < 0 ? token : std::string_view(&c, 1));
  }
  bool steady() const override { return true; }
};

// Bytes in a row are one token if they are UTF-8, else one each.
class ByteRuns : public DecodeStage {
 public:
  using DecodeStage::DecodeStage;
  void push(std::string_view token) override {
    if (const int byte = byte_of(token); byte >= 0) {
      run_ += static_cast<char>(byte);
      return;
    }
    end_run();
    next_->push(token);
  }
  void finish() override {
    end_run();
    next_->finish();
  }
  bool steady() const override { return false; }

 private:
  void end_run() {
    const std::string_view run(run_);
    if (run.empty()) return;
    if (is_valid_utf8(run)) {
      next_->push(run);
    } else {
      for (size_t i = 0; i < run.size(); ++i) next_->push(run.substr(i, 1));
    }
    run_.clear();
  }
  std::string run_;
};

class ByteFallback : public DecodeStep {
 public:
  std::unique_ptr<DecodeStage> stage(bool joined, DecodeStage* next) const override {
    if (joined) return std::make_unique<JoinedBytes>(next);
    return std::make_unique<ByteRuns>(next);
  }
  bool token_local(const DecodePlace& place) const override { return !place.fused && place.joined; }
  std::string in_the_middle(std::string_view token, bool) const override {
    const int byte = byte_of(token);
    return byte < 0 ? std::string(token) : std::string(1, static_cast<char>(byte));
  }
};

}  // namespace

void make_byte_fallback_decoder(const text_json::Json&, const DecoderSteps& to) {
  to.steps.push_back(std::make_unique<ByteFallback>());
}

}  // namespace lathe
