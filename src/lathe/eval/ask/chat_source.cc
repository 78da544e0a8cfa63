#include "lathe/eval/ask/chat_source.h"

#include "lathe/base/error.h"

namespace lathe {

using Json = nlohmann::ordered_json;

Json messages_of(const EvalItem& item) {
  Json messages = Json::array();
  if (item.system) messages.push_back({{"role", "system"}, {"content", *item.system}});
  messages.push_back({{"role", "user"}, {"content", item.prompts[0]}});
  return messages;
}

ChatSource::ChatSource(std::unique_ptr<AnswerSource> model, ChatTemplate chat)
    : model_(std::move(model)), chat_(std::move(chat)) {}

void ChatSource::ask(const TaskConfig& task, std::span<const EvalItem> items,
                     const std::function<void(std::span<NumberedAnswer>)>& take) {
  std::vector<EvalItem> turns(items.begin(), items.end());
  for (EvalItem& item : turns) {
    try {
      item.prompts = {
          chat_.text({{"messages", messages_of(item)}, {"add_generation_prompt", true}})};
    } catch (const Error& error) {
      fail(ErrorKind::kData, item.place, "{}", error.what());
    }
    item.system.reset();
  }
  model_->ask(task, turns, take);
}

}  // namespace lathe
