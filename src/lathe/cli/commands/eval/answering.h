// Who answers the items of tasks, and who judges the answers.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lathe/base/log.h"
#include "lathe/cli/commands/eval/tasks.h"
#include "lathe/eval/ask/answer_source.h"
#include "lathe/eval/run/receipt.h"

namespace lathe {

// Whether a model is asked through a server.
bool is_address(const std::string& model);

struct Answering {
  std::unique_ptr<AnswerSource> source;  // null where nobody is asked
  ReceiptSource named;
};
// The model, the server or the recorded answers of a run, behind its cache.
Answering answering_of(const TaskOptions& o, const std::optional<std::string>& model,
                       const Log& log);
// The judge, if one is named. A folder with a chat template is asked through it: a message of the system, if the task has
// one, and a turn of the user. What it wrote is kept below the cache's folder `judge`.
Answering judge_of(const TaskOptions& o, const Log& log);

}  // namespace lathe
