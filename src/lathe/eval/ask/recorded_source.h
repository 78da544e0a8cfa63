// Answers from a file, which anything may have written: JSON lines {"task", "id", "responses": […]}.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lathe/eval/ask/answer_source.h"

namespace lathe {

class RecordedSource : public AnswerSource {
 public:
  // Errors: kIo; kData, naming file and line, for a row that is none, and for two of one item.
  explicit RecordedSource(const std::filesystem::path& file);

  // Errors: kData if there is no row for an item; kConfig for a task whose items are not answered by texts.
  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override;

 private:
  std::filesystem::path file_;
  std::map<std::pair<std::string, int64_t>, std::vector<std::string>> responses_;
};

}  // namespace lathe
