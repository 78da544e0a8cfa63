#include "lathe/eval/run/eval_run.h"

#include <algorithm>
#include <cmath>
#include <map>

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

void require_numbers(const AskedTask& asked, const EvalRecord& record) {
  for (const double each : record.answer.logprobs)
    require(
        std::isfinite(each), ErrorKind::kData,
        asked.task.rows().place(static_cast<size_t>(record.item.id)),
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
class Judge {
 public:
  explicit Judge(const AskedTask& asked) : asked_(asked) {
    if (asked.task.config().task_kind() == TaskKind::kGenerate) scorer_ = make_scorer(asked.task);
  }

  // `items` are those that the answers are numbered by.
  std::vector<EvalRecord> judged(std::span<NumberedAnswer> answers, std::span<const EvalItem> items,
                                 const std::function<void()>& while_waiting) {
    std::vector<EvalRecord> records;
    for (NumberedAnswer& each : answers) {
      EvalRecord& record = records.emplace_back();
      record.task = asked_.name();
      record.item = items[each.item];
      record.answer = std::move(each.answer);
      require_numbers(asked_, record);
    }
    if (scorer_)
      score(records, while_waiting);
    else
      for (EvalRecord& record : records)
        record.metrics = likelihood_metrics_of(asked_.task.config(), record);
    return records;
  }

 private:
  void score(std::vector<EvalRecord>& records, const std::function<void()>& while_waiting) {
    std::vector<Answered> answered;
    std::vector<std::vector<std::string>> texts;
    for (const EvalRecord& record : records) texts.push_back(judged_texts(record));
    for (const EvalRecord& record : records) {
      const auto row = static_cast<size_t>(record.item.id);
      const TaskRows& rows = asked_.task.rows();
      answered.push_back({.item = record.item,
                          .row = rows.rows[row].fields,
                          .place = rows.place(row),
                          .responses = texts[answered.size()]});
    }
    const std::vector<Score> scores = scorer_->scores(answered, while_waiting);
    for (size_t i = 0; i < records.size(); ++i) {
      records[i].metrics = scores[i].metrics;
      add_pass_metrics(asked_.task.config(), scores[i], records[i].metrics);
      if (asked_.task.config().filters.size() > 0) records[i].filtered = filtered_of(scores[i]);
      records[i].reason = scores[i].reason;
    }
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

std::optional<double> mean_chance(std::span<const EvalRecord> records) {
  double sum = 0;
  for (const EvalRecord& record : records) {
    const auto chance = chance_of(record);
    if (!chance) return std::nullopt;
    sum += *chance;
  }
  return records.empty() ? std::nullopt : std::optional(sum / static_cast<double>(records.size()));
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

int64_t answer_all(const std::vector<AskedTask>& tasks, AnswerSource& source, ItemFile& file,
                   const std::function<void(const EvalProgress&)>& on_progress) {
  int64_t all = 0, done = 0, computed = 0;
  for (const AskedTask& asked : tasks) all += std::ssize(asked.items);
  for (const AskedTask& asked : tasks) {
    std::vector<EvalItem> open;
    for (const EvalItem& item : asked.items)
      if (!file.has(asked.name(), item.id)) open.push_back(item);
    done += std::ssize(asked.items) - std::ssize(open);
    const auto progress = [&] { on_progress({.task = asked, .done = done, .all = all}); };
    progress();
    if (open.empty()) continue;
    Judge judge(asked);
    source.ask(asked.task, open, [&](std::span<NumberedAnswer> answers) {
      for (const EvalRecord& record : judge.judged(answers, open, progress)) file.write(record);
      done += std::ssize(answers);
      computed += std::ranges::count(answers, false, &NumberedAnswer::known);
      progress();
    });
  }
  return computed;
}

std::vector<EvalRecord> answers_of(const AskedTask& asked, AnswerSource& source,
                                   const std::function<void()>& before_each) {
  Judge judge(asked);
  std::vector<EvalRecord> records;
  source.ask(asked.task, asked.items, [&](std::span<NumberedAnswer> answers) {
    before_each();
    std::ranges::move(judge.judged(answers, asked.items, before_each), std::back_inserter(records));
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
