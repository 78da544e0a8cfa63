#include "lathe/eval/ask/cached_source.h"

#include "lathe/base/error.h"
#include "lathe/io/sha256.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

fs::path file_in(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, ErrorKind::kIo, folder.string(), "cannot be made: {}; name another folder",
          error.message());
  return folder / "answers.jsonl";
}

}  // namespace

CachedSource::CachedSource(std::unique_ptr<AnswerSource> source, std::string of_whom,
                           const fs::path& folder)
    : source_(std::move(source)),
      of_whom_(std::move(of_whom)),
      file_(file_in(folder), [&](const Json& line) {
        const auto key = line.find("key"), answer = line.find("answer");
        require(key != line.end() && key->is_string() && answer != line.end(), ErrorKind::kData,
                folder.string(),
                "has an answers.jsonl that is no cache of answers; name another folder");
        known_[key->get<std::string>()] = *answer;
        return true;
      }) {}

// What is drawn depends on the item's own stream, too.
std::string CachedSource::key_of(const TaskConfig& task, const EvalItem& item) const {
  Json key = {of_whom_, task.kind, item.prompts, item.continuations};
  if (item.uncond) key.push_back(*item.uncond);
  if (item.system) key.push_back({"system", *item.system});
  if (std::ranges::find(task.metrics, "acc_uncond") != task.metrics.end()) key.push_back("uncond");
  if (task.task_kind() == TaskKind::kGenerate) {
    key.push_back({task.stop, task.max_tokens, task.samples, task.temperature});
    if (task.temperature > 0) key.push_back({task.name, item.id});
  }
  return sha256_of_text(key.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void CachedSource::ask(const TaskConfig& task, std::span<const EvalItem> items,
                       const std::function<void(std::span<NumberedAnswer>)>& take) {
  std::vector<NumberedAnswer> found;
  std::vector<EvalItem> open;
  std::vector<size_t> places;  // of the open ones
  for (size_t i = 0; i < items.size(); ++i) {
    const auto known = known_.find(key_of(task, items[i]));
    if (known == known_.end()) {
      open.push_back(items[i]);
      places.push_back(i);
    } else {
      found.push_back({.item = i, .answer = answer_of(known->second), .known = true});
    }
  }
  take(found);
  if (open.empty()) return;
  source_->ask(task, open, [&](std::span<NumberedAnswer> answers) {
    for (NumberedAnswer& each : answers) {
      const std::string key = key_of(task, open[each.item]);
      const Json answer = json_of(each.answer);
      file_.write({{"key", key}, {"answer", answer}});
      known_[key] = answer;
      each.item = places[each.item];
    }
    take(answers);
  });
}

}  // namespace lathe
