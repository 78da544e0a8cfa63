#include "lathe/eval/run/eval_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lathe/base/error.h"
#include "lathe/eval/run/contamination.h"
#include "lathe/eval/score/pass_metrics.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/io/sha256.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

void hash_requests(Sha256& hash, const EvalItem& item) {
  const size_t count = std::max<size_t>(1, item.continuations.size());
  for (size_t i = 0; i < count; ++i) {
    hash.update(item.prompts[item.prompts.size() > 1 ? i : 0]);
    hash.update(std::string_view("\0", 1));
    if (!item.continuations.empty()) hash.update(item.continuations[i]);
    hash.update("\n");
  }
}

void require_numbers(const EvalRecord& record) {
  for (const double each : record.answer.logprobs)
    require(
        std::isfinite(each), ErrorKind::kData, record.item.place,
        "the model gives this item the log-likelihood {}; its weights are damaged, or too large "
        "for the precision",
        each);
}

// The texts that were compared, by filter.
Json filtered_of(const Score& score) {
  Json all = nullptr;
  for (const Judged& judged : score.judged) {
    const Json texts = judged.texts.size() == 1 ? Json(judged.texts[0]) : Json(judged.texts);
    if (judged.filter.empty()) return texts;
    all[judged.filter] = texts;
  }
  return all;
}

// Judges answers of a task.
class Judging {
 public:
  Judging(const AskedTask& asked, const ScorerContext& context) : asked_(asked) {
    if (asked.task.config().task_kind() == TaskKind::kGenerate)
      scorer_ = make_scorer(asked.task, context);
  }

  // Whether all these could be judged, whatever is answered.
  void check(std::span<const EvalItem> items) const {
    const std::vector<std::string> empty(1);
    for (const EvalItem& item : items)
      if (scorer_) scorer_->check(answered(item, empty));
  }

  // `items` are those that the answers are numbered by.
  static std::vector<EvalRecord> records_of(const std::string& task,
                                            std::span<NumberedAnswer> answers,
                                            std::span<const EvalItem> items) {
    std::vector<EvalRecord> records;
    for (NumberedAnswer& each : answers) {
      EvalRecord& record = records.emplace_back();
      record.task = task;
      record.item = items[each.item];
      record.answer = std::move(each.answer);
      record.known = each.known;
      require_numbers(record);
    }
    return records;
  }

  // Gives each record, with its metrics, to `take` once they are known.
  void judge(std::vector<EvalRecord> records, const std::function<void(EvalRecord&)>& take,
             const std::function<void()>& while_waiting) {
    if (scorer_) return score(records, take, while_waiting);
    for (EvalRecord& record : records) {
      record.metrics = likelihood_metrics_of(asked_.task.config(), record);
      take(record);
    }
  }

 private:
  void score(std::vector<EvalRecord>& records, const std::function<void(EvalRecord&)>& take,
             const std::function<void()>& while_waiting) {
    std::vector<Answered> all;
    std::vector<std::vector<std::string>> texts;
    for (const EvalRecord& record : records) texts.push_back(judged_texts(record));
    for (size_t i = 0; i < records.size(); ++i) all.push_back(answered(records[i].item, texts[i]));
    const auto take_score = [&](size_t i, const Score& score) {
      EvalRecord& record = records[i];
      record.metrics = score.metrics;
      add_pass_metrics(asked_.task.config(), score, record.metrics);
      if (asked_.task.config().filters.size() > 0) record.filtered = filtered_of(score);
      record.reason = score.reason;
      record.judgements = score.judgements;
      record.known = record.known && score.known;
      take(record);
    };
    scorer_->score(all, take_score, while_waiting);
  }

  Answered answered(const EvalItem& item, std::span<const std::string> responses) const {
    return {.item = item,
            .row = asked_.task.rows().rows[static_cast<size_t>(item.id)].fields,
            .responses = responses};
  }

  // Without thoughts.
  std::vector<std::string> judged_texts(const EvalRecord& record) const {
    std::vector<std::string> texts = record.answer.responses;
    const auto& end = asked_.task.config().think_end;
    if (!end || end->empty()) return texts;
    for (std::string& text : texts)
      if (const size_t at = text.rfind(*end); at != std::string::npos)
        text = jinja::strip_left(std::string_view(text).substr(at + end->size()));
    return texts;
  }

  const AskedTask& asked_;
  std::unique_ptr<Scorer> scorer_;
};

// What guessing gets: said by the item, or one of so many choices.
std::optional<double> chance_of(const EvalRecord& record) {
  if (record.item.chance) return record.item.chance;
  if (!record.item.gold || record.answer.logprobs.empty()) return std::nullopt;
  return 1.0 / static_cast<double>(record.answer.logprobs.size());
}

// Of the metrics of a task's results the first that is a share of right answers; null if none is.
Json share_in(const Json& metrics) {
  for (const auto& [name, m] : metrics.items())
    if (is_share(name)) return m;
  return nullptr;
}

Json json_of(const Estimate& estimate) {
  Json json = {{"value", estimate.value}, {"stderr", nullptr}, {"ci95", nullptr}};
  if (estimate.error) json["stderr"] = *estimate.error;
  if (estimate.ci95) json["ci95"] = {estimate.ci95->first, estimate.ci95->second};
  return json;
}

Json metrics_of(const TaskConfig& task, std::span<const EvalRecord> records) {
  Json metrics = Json::object();
  for (const MetricResult& each : totals_of(task, records))
    metrics[each.name] = json_of(each.estimate);
  return metrics;
}

// The same of the items of each difficulty, the easiest first; null where they have none.
Json by_difficulty(const TaskConfig& task, std::span<const EvalRecord> records) {
  std::map<Difficulty, std::vector<EvalRecord>> groups;
  for (const EvalRecord& record : records) {
    if (record.item.difficulty.empty()) return nullptr;
    groups[record.item.difficulty].push_back(record);
  }
  Json all = Json::array();
  for (const auto& [difficulty, group] : groups) {
    all.push_back({{"difficulty", lathe::json_of(difficulty)},
                   {"n", group.size()},
                   {"metrics", metrics_of(task, group)}});
    if (const auto chance = mean_chance(group)) all.back()["chance"] = *chance;
  }
  return all;
}

}  // namespace

std::optional<double> mean_chance(std::span<const EvalRecord> records) {
  double sum = 0;
  for (const EvalRecord& record : records) {
    const auto chance = chance_of(record);
    if (!chance) return std::nullopt;
    sum += *chance;
  }
  return records.empty() ? std::nullopt : std::optional(sum / static_cast<double>(records.size()));
}

AskedTask ask_of(EvalTask task, std::optional<int64_t> limit,
                 const std::function<void(int64_t)>& done) {
  AskedTask asked{.task = std::move(task), .items = {}, .prompt_sha256 = {}};
  const int64_t count = std::min(asked.task.size(), limit.value_or(asked.task.size()));
  Sha256 hash;
  for (int64_t id = 0; id < count; ++id) {
    asked.items.push_back(asked.task.item(id));
    hash_requests(hash, asked.items.back());
    if (done) done(id + 1);
  }
  asked.prompt_sha256 = hash.hex();
  return asked;
}

namespace {

// A task on its way through a run.
class TaskRun {
 public:
  TaskRun(const AskedTask& asked, const EvalSources& sources, ItemFile& file)
      : asked_(asked),
        sources_(sources),
        file_(file),
        judging_(asked, {.judge = sources.judge}),
        waits_(asks_judge(asked.task.config())) {
    for (const EvalItem& item : asked.items)
      if (!file.answered(asked.name(), item.id)) open_.push_back(item);
    judging_.check(asked.items);
  }

  // Returns how many items are new. `progress` is called with the number of items that are finished.
  int64_t run(const std::function<void(double)>& progress) {
    const auto report = [&] { progress(done()); };
    report();
    if (!open_.empty()) answer(report);
    if (waits_) judge(report);
    return std::ssize(fresh_);
  }

 private:
  // An item that waits for its judge is half done.
  double done() const {
    const auto all = std::ssize(asked_.items);
    const int64_t answered = all - std::ssize(open_) + answered_;
    if (!waits_) return static_cast<double>(answered);
    return static_cast<double>(answered + file_.judged(asked_.name())) / 2;
  }

  void write(const EvalRecord& record) {
    file_.write(record);
    if (!record.known) fresh_.insert(record.item.id);
  }

  void answer(const std::function<void()>& report) {
    sources_.answers.ask(asked_.task.config(), open_, [&](std::span<NumberedAnswer> answers) {
      std::vector<EvalRecord> records = Judging::records_of(asked_.name(), answers, open_);
      const auto count = std::ssize(records);
      const auto take = [&](const EvalRecord& record) { write(record); };
      if (waits_)
        std::ranges::for_each(records, take);
      else
        judging_.judge(std::move(records), take, report);
      answered_ += count;
      report();
    });
  }

  // All that wait at once: a judge answers many questions together.
  void judge(const std::function<void()>& report) {
    std::vector<EvalRecord> records;
    for (const EvalItem& item : asked_.items) {
      const EvalRecord& record = file_.record(asked_.name(), item.id);
      if (!record.metrics.empty()) continue;
      records.push_back(record);
      records.back().item = item;  // with what the file does not have of it
      records.back().known = true;
    }
    if (records.empty()) return;
    judging_.judge(
        std::move(records), [&](const EvalRecord& record) { write(record); }, report);
    report();
  }

  const AskedTask& asked_;
  const EvalSources& sources_;
  ItemFile& file_;
  Judging judging_;
  bool waits_;  // answers, until all are there
  std::vector<EvalItem> open_;
  int64_t answered_ = 0;     // of the open ones
  std::set<int64_t> fresh_;  // items that something was computed for
};

}  // namespace

int64_t answer_all(const std::vector<AskedTask>& tasks, const EvalSources& sources, ItemFile& file,
                   const std::function<void(const EvalProgress&)>& on_progress) {
  int64_t all = 0, before = 0, computed = 0;
  std::vector<std::unique_ptr<TaskRun>> runs;
  for (const AskedTask& asked : tasks) {
    all += std::ssize(asked.items);
    runs.push_back(std::make_unique<TaskRun>(asked, sources, file));
  }
  for (size_t t = 0; t < tasks.size(); ++t) {
    computed += runs[t]->run([&](double done) {
      on_progress({.task = tasks[t], .done = static_cast<double>(before) + done, .all = all});
    });
    before += std::ssize(tasks[t].items);
  }
  return computed;
}

std::vector<EvalRecord> answers_of(const AskedTask& asked, AnswerSource& source,
                                   const std::function<void()>& before_each) {
  Judging judging(asked, {});
  std::vector<EvalRecord> records;
  const auto keep = [&](EvalRecord& record) { records.push_back(std::move(record)); };
  source.ask(asked.task.config(), asked.items, [&](std::span<NumberedAnswer> answers) {
    before_each();
    judging.judge(Judging::records_of(asked.name(), answers, asked.items), keep, before_each);
  });
  std::ranges::sort(records, {}, [](const EvalRecord& record) { return record.item.id; });
  return records;
}

Json results_of(const std::vector<AskedTask>& tasks, const ItemFile& file) {
  Json all = Json::object();
  for (const AskedTask& asked : tasks) {
    const auto records = file.records(asked.name(), std::ssize(asked.items));
    Json metrics = metrics_of(asked.task.config(), records);
    all[asked.name()] = {{"n", records.size()}, {"metrics", std::move(metrics)}};
    if (const auto& questions = asked.task.config().questions)
      all[asked.name()]["questions"] = *questions;
    if (const auto chance = mean_chance(records)) all[asked.name()]["chance"] = *chance;
    if (Json parts = by_difficulty(asked.task.config(), records); !parts.is_null())
      all[asked.name()]["by_difficulty"] = std::move(parts);
    const auto truncated = std::ranges::count_if(
        records, [](const EvalRecord& each) { return each.answer.truncated; });
    if (truncated > 0) all[asked.name()]["truncated"] = truncated;
  }
  return {{"tasks", std::move(all)}};
}

Json contamination_result(const AskedTask& asked, const ItemFile& file,
                          const Contamination& contamination, size_t task) {
  const std::set<int64_t>& found = contamination.found(task);
  std::vector<EvalRecord> clean;
  for (EvalRecord& record : file.records(asked.name(), std::ssize(asked.items)))
    if (!found.contains(record.item.id)) clean.push_back(std::move(record));
  return {{"items", found.size()},
          {"too_short", contamination.too_short(task)},
          {"ngram", contamination.ngram()},
          {"clean", {{"n", clean.size()}, {"metrics", metrics_of(asked.task.config(), clean)}}}};
}

Json suite_result(const Json& results, std::span<const std::string> tasks) {
  double sum = 0, variance = 0;
  for (const std::string& name : tasks) {
    const Json& task = results["tasks"][name];
    const Json share = share_in(task["metrics"]);
    if (share.is_null()) return nullptr;
    const double room = 1 - task.value("chance", 0.0);
    sum += (share["value"].get<double>() - task.value("chance", 0.0)) / room;
    if (share["stderr"].is_null()) return nullptr;
    variance += std::pow(share["stderr"].get<double>() / room, 2);
  }
  const auto n = static_cast<double>(tasks.size());
  return {{"tasks", tasks.size()}, {"value", sum / n}, {"stderr", std::sqrt(variance) / n}};
}

}  // namespace lathe
