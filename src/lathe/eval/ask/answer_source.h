// Where the answers to a task's items come from: a model in this process (model_source.h), a file of recorded answers
// (recorded_source.h), a server (server_source.h), what is known already (cached_source.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lathe/eval/record.h"

namespace lathe {

// The answer to one of the items that were asked.
struct NumberedAnswer {
  size_t item = 0;  // its place among them
  EvalAnswer answer;
  bool known = false;  // from a cache (cached_source.h)
};

class AnswerSource {
 public:
  virtual ~AnswerSource() = default;
  // Asks all, in an order of its own; `take` is called as answers come, and between them, with none, so that it can
  // stop what waits by an exception. What was given to it is safe: after an error the others can be asked again.
  // An item's answer does not depend on which others are asked. Errors: kConfig for a kind of task that the source
  // cannot answer; kData, naming the item; those of the source.
  virtual void ask(const TaskConfig& task, std::span<const EvalItem> items,
                   const std::function<void(std::span<NumberedAnswer>)>& take) = 0;
};

}  // namespace lathe
