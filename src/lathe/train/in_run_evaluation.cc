#include "lathe/train/in_run_evaluation.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/eval/ask/model_source.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/train/task_choice.h"

namespace lathe {
namespace {

const std::string& required(const std::optional<std::string>& tokenizer) {
  require(tokenizer.has_value(), ErrorKind::kConfig, "eval.tasks",
          "are texts, and the run knows no tokenizer; set data.tokenizer to its folder");
  return *tokenizer;
}

int64_t tokens_of(const AskedTask& asked, const Tokenizer& tokenizer) {
  int64_t tokens = 0;
  for (const EvalItem& item : asked.items) {
    for (const auto* texts : {&item.prompts, &item.continuations})
      for (const std::string& text : *texts) tokens += std::ssize(tokenizer.encode(text));
    if (item.continuations.empty())
      tokens += asked.task.config().max_tokens * asked.task.config().samples;
  }
  return tokens;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void InRunEvalConfig::visit(Visitor& v) {
  const auto free = when_resumed(OnResume::kFree);
  v.field("tasks", tasks, "task files that are measured on the run's weights while it trains",
          free);
  v.field("shots", shots, "solved items before each", at_least(0).when_resumed(OnResume::kFree));
  v.field("limit", limit, "items of each task, from the first",
          at_least(1).when_resumed(OnResume::kFree));
  v.field("every", every, "steps between two measurements; 0: with each validation",
          at_least(0).when_resumed(OnResume::kFree));
  v.field("seed", seed, "of the shots that are drawn", at_least(0).when_resumed(OnResume::kFree));
  v.field(
      "share", share,
      "of the run's time that they may take: one that does not fit waits for a later step, but the "
      "last step is always measured",
      above(0).when_resumed(OnResume::kFree));
  v.field("signal", signal,
          "what `lathe eval signal RUNS --out FILE` wrote, by which `best` chooses", free);
  v.field("best", best,
          "of the tasks measure only so many: those with the largest ratio of signal to noise",
          at_least(1).when_resumed(OnResume::kFree));
}

InRunEvaluation::InRunEvaluation(const InRunEvalConfig& config,
                                 const std::optional<std::string>& tokenizer, Log log)
    : config_(config),
      log_(std::move(log)),
      tokenizer_path_(required(tokenizer)),
      tokenizer_(load_tokenizer(tokenizer_path_)) {
  std::vector<TaskConfig> tasks;
  for (const std::string& name : config.tasks)
    for (TaskConfig& task : tasks_named(name, config.task_data)) tasks.push_back(std::move(task));
  if (config.best) keep_best(tasks);
  for (TaskConfig& task : tasks) add(std::move(task));
}

void InRunEvaluation::keep_best(std::vector<TaskConfig>& tasks) const {
  std::vector<std::string> names, said;
  for (const TaskConfig& task : tasks) names.push_back(task.name);
  const std::vector<ChosenTask> chosen = best_tasks(*config_.signal, names, *config_.best);
  for (const ChosenTask& each : chosen)
    said.push_back(fmt::format("{} ({}: {:.1f})", each.name, each.metric, each.ratio));
  log_.info("of {} the best by the ratio of signal to noise are measured: {}",
            counted(std::ssize(tasks), "task"), join(said, ", "));
  std::erase_if(tasks, [&](const TaskConfig& task) {
    return std::ranges::find(chosen, task.name, &ChosenTask::name) == chosen.end();
  });
}

void InRunEvaluation::add(TaskConfig config) {
  require(
      !runs_programs(config), ErrorKind::kConfig, "eval.tasks",
      "{} runs programs that the model wrote, which a run does not do; measure a checkpoint with "
      "`lathe eval CHECKPOINT --tasks {} --allow-code`",
      config.name, config.name);
  require(!asks_judge(config), ErrorKind::kConfig, "eval.tasks",
          "{} asks another model about answers, which a run does not do; measure a checkpoint with "
          "`lathe eval CHECKPOINT --tasks {} --judge JUDGE`",
          config.name, config.name);
  EvalTask task(std::move(config), config_.shots, Rng(static_cast<uint64_t>(config_.seed)));
  tasks_.push_back(ask_of(std::move(task), config_.limit));
  tokens_ += tokens_of(tasks_.back(), tokenizer_);
}

bool InRunEvaluation::affordable(double seconds_per_token) {
  const double cost = last_.value_or(seconds_per_token * static_cast<double>(tokens_));
  if (spent_ + cost <= config_.share * seconds_since(start_)) return true;
  if (!said_)
    log_.info(
        "eval.tasks take about {:.2g} s; they are measured once that is {:.3g} % of the run's time "
        "(eval.share), and at its end",
        cost, 100 * config_.share);
  said_ = true;
  return false;
}

NamedNumbers InRunEvaluation::measure(const Transformer& model,
                                      std::shared_ptr<const LoraAdapter> adapter,
                                      const std::function<void()>& before_each) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<const LoraAdapter>> adapters;
  if (adapter) adapters.push_back(std::move(adapter));
  ModelSource source(model, tokenizer_, request_rules(model, tokenizer_, tokenizer_path_),
                     config_.seed, std::move(adapters));
  NamedNumbers numbers;
  for (const AskedTask& asked : tasks_) {
    const std::vector<EvalRecord> records = answers_of(asked, source, before_each);
    const auto chance = mean_chance(records);
    for (const MetricResult& each : totals_of(asked.task.config(), records)) {
      const std::string name = fmt::format("eval.{}.{}", asked.name(), each.name);
      numbers.emplace_back(name, each.estimate.value);
      if (each.estimate.error) numbers.emplace_back(name + "_stderr", *each.estimate.error);
      if (chance && is_share(each.name)) numbers.emplace_back(name + "_chance", *chance);
    }
  }
  last_ = seconds_since(start);
  spent_ += *last_;
  return numbers;
}

}  // namespace lathe
