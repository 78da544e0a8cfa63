#include "lathe/infer/thinking.h"

#include <algorithm>

namespace lathe {

ThinkingState::ThinkingState(const Thinking* thinking, bool constrained)
    : thinking_(thinking), constrained_(constrained) {
  if (thinking != nullptr) phase_ = thinking->opened ? Phase::kInside : Phase::kMayOpen;
}

bool ThinkingState::must_end() const {
  return ended_ || (thinking_->budget && tokens_ >= *thinking_->budget);
}

std::vector<int32_t> ThinkingState::forced() const {
  if (phase_ == Phase::kInside && must_end()) return thinking_->ending;
  if (phase_ != Phase::kEnding) return {};
  return {thinking_->ending.begin() + static_cast<int64_t>(at_), thinking_->ending.end()};
}

void ThinkingState::go_on_ending(size_t at) {
  at_ = at;
  phase_ = at < thinking_->ending.size() ? Phase::kEnding : Phase::kOver;
}

bool ThinkingState::take(int32_t token) {
  switch (phase_) {
    case Phase::kMayOpen:
      phase_ = token == thinking_->open ? Phase::kInside : Phase::kOver;
      return phase_ == Phase::kInside;
    case Phase::kInside:
      if (must_end()) {
        go_on_ending(1);
      } else if (token == thinking_->close) {
        const auto close = std::ranges::find(thinking_->ending, token);
        go_on_ending(constrained_ ? static_cast<size_t>(close - thinking_->ending.begin()) + 1
                                  : thinking_->ending.size());
      } else {
        ++tokens_;
      }
      return true;
    case Phase::kEnding:
      go_on_ending(at_ + 1);
      return true;
    case Phase::kOver:
      break;
  }
  return false;
}

}  // namespace lathe
