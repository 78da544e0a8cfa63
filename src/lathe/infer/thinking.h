// What a text thinks before it answers: the tokens between two tags, with a budget. Which tags a
// model has is found in its chat template (chat/thinking_tags.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lathe {

struct Thinking {
  int32_t open = -1, close = -1;
  // What ends a thought from outside: `close` and what the template writes around it.
  std::vector<int32_t> ending = {};
  // Tokens behind `open`; then the ending follows, which is forced. 0 ends it at once.
  std::optional<int64_t> budget = {};
  bool opened = false;  // by the prompt; otherwise the first token may be `open`
};

// How far a text is with its thoughts. A constraint holds behind them. A copy goes on apart.
class ThinkingState {
 public:
  // `thinking` may be null: then it is over at once. What it points to must outlive the state. With
  // `constrained` what the template writes behind a thought is also forced where the model ended
  // it.
  ThinkingState(const Thinking* thinking, bool constrained);

  bool may_open() const { return phase_ == Phase::kMayOpen; }
  bool inside() const { return phase_ == Phase::kInside; }
  bool over() const { return phase_ == Phase::kOver; }
  // What must come next.
  std::vector<int32_t> forced() const;
  // Takes the next token; false if it belongs to the answer.
  bool take(int32_t token);
  // From the next token on.
  void end() { ended_ = true; }
  int64_t tokens() const { return tokens_; }  // between the tags

 private:
  enum class Phase : uint8_t { kMayOpen, kInside, kEnding, kOver };
  bool must_end() const;
  void go_on_ending(size_t at);

  const Thinking* thinking_;
  bool constrained_;
  Phase phase_ = Phase::kOver;
  bool ended_ = false;
  int64_t tokens_ = 0;
  size_t at_ = 0;  // in the ending
};

}  // namespace lathe
