// Answers of a model that is asked through its chat template.
#pragma once

#include <memory>

#include "lathe/eval/ask/answer_source.h"
#include "lathe/text/chat_template.h"

namespace lathe {

// The messages of the chat that an item of one text is: its message of the system, where it has one, and a turn of the user.
nlohmann::ordered_json messages_of(const EvalItem& item);

// Tasks of kind `generate`: each item is asked as what the template makes of messages_of(), up to where the answer begins.
class ChatSource : public AnswerSource {
 public:
  ChatSource(std::unique_ptr<AnswerSource> model, ChatTemplate chat);

  // Errors: kData, naming the item, for what the template refuses; those of the model.
  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override;

 private:
  std::unique_ptr<AnswerSource> model_;
  ChatTemplate chat_;
};

}  // namespace lathe
