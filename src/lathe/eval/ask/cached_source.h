// Answers that are known already, from a file that grows: each is found by what was asked and of whom, whatever the task,
// the number of shots or the run.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "lathe/eval/ask/answer_source.h"
#include "lathe/io/json_lines.h"

namespace lathe {

class CachedSource : public AnswerSource {
 public:
  // `of_whom` names all beside the request that an answer follows from: model, tokenizer, arithmetic, seed. The folder is
  // made if it is not there; one process at a time may use it. Errors: kIo; kData for a file that is none.
  CachedSource(std::unique_ptr<AnswerSource> source, std::string of_whom,
               const std::filesystem::path& folder);

  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override;

 private:
  std::string key_of(const TaskConfig& task, const EvalItem& item) const;

  std::unique_ptr<AnswerSource> source_;
  std::string of_whom_;
  std::map<std::string, nlohmann::ordered_json> known_;
  JsonLines file_;
};

}  // namespace lathe
