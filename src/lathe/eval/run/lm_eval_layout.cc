#include "lathe/eval/run/lm_eval_layout.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/sha256.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What a file's name cannot have in every system, as the harness replaces it.
std::string file_name(const std::string& model) {
  std::string name;
  bool in_run = false;
  for (const char c : model) {
    const bool bad = std::string_view("\"<>:/|\\?*[]").find(c) != std::string_view::npos;
    if (!bad)
      name += c;
    else if (!in_run)
      name += "__";
    in_run = bad;
  }
  return name;
}

// "exact_match@strict": {"exact_match", "strict"}.
std::pair<std::string, std::string> parts_of(const std::string& metric) {
  const size_t at = metric.rfind('@');
  if (at == std::string::npos || metric.starts_with("pass@")) return {metric, "none"};
  return {metric.substr(0, at), metric.substr(at + 1)};
}

Json numbers_of(const std::string& task, const Json& metrics) {
  Json numbers = {{"alias", task}};
  for (const auto& [name, m] : metrics.items()) {
    const auto [metric, filter] = parts_of(name);
    numbers[metric + "," + filter] = m["value"];
    numbers[metric + "_stderr," + filter] = m["stderr"].is_null() ? Json("N/A") : m["stderr"];
  }
  return numbers;
}

Json summary_of(const std::vector<AskedTask>& tasks, const Json& results, const Json& receipt) {
  Json all = {{"results", Json::object()}, {"group_subtasks", Json::object()}};
  for (const AskedTask& asked : tasks) {
    const std::string& name = asked.name();
    const TaskConfig& c = asked.task.config();
    all["results"][name] = numbers_of(name, results["tasks"][name]["metrics"]);
    all["configs"][name] = {{"task", name},
                            {"output_type", c.kind == "choices"      ? "multiple_choice"
                                            : c.kind == "perplexity" ? "loglikelihood_rolling"
                                            : c.kind == "generate"   ? "generate_until"
                                                                     : "loglikelihood"},
                            {"doc_to_text", c.prompt},
                            {"description", c.description},
                            {"target_delimiter", c.delimiter},
                            {"fewshot_delimiter", c.separator},
                            {"num_fewshot", receipt["shots"]}};
    all["versions"][name] = receipt["tasks"][name]["task_sha256"];
    all["n-shot"][name] = receipt["shots"];
    all["n-samples"][name] = {{"original", asked.task.size()}, {"effective", asked.items.size()}};
    all["task_hashes"][name] = receipt["tasks"][name]["prompt_sha256"];
  }
  all["config"] = {{"model", "lathe " + receipt["version"].get<std::string>()},
                   {"model_args", receipt["model"]},
                   {"limit", receipt["options"]["limit"]},
                   {"random_seed", receipt["seed"]}};
  all["date"] = receipt["started"];
  all["model_name"] = receipt["model"];
  all["total_evaluation_time_seconds"] = receipt["seconds"];
  return all;
}

// The harness writes every number of an answer as text.
Json responses_of(const EvalRecord& r) {
  Json all = Json::array();
  for (size_t i = 0; i < r.answer.logprobs.size(); ++i)
    all.push_back({{Json(r.answer.logprobs[i]).dump(), r.answer.greedy[i] ? "True" : "False"}});
  if (!r.answer.responses.empty()) all.push_back(r.answer.responses);
  return all;
}

Json arguments_of(const EvalRecord& r) {
  Json all = Json::object();
  const size_t count = std::max<size_t>(1, r.item.continuations.size());
  for (size_t i = 0; i < count; ++i) {
    Json& of = all[fmt::format("gen_args_{}", i)];
    of["arg_0"] = r.item.prompts[r.item.prompts.size() > 1 ? i : 0];
    if (i < r.item.continuations.size()) of["arg_1"] = r.item.continuations[i];
  }
  return all;
}

std::string target_of(const EvalRecord& r) {
  return r.item.gold ? fmt::format("{}", *r.item.gold) : r.item.target.value_or("");
}

// One line for each filter.
void write_samples(const AskedTask& asked, const ItemFile& items, AtomicFile& out) {
  for (const EvalRecord& r : items.records(asked.name(), std::ssize(asked.items))) {
    std::set<std::string> filters;
    for (const auto& [name, value] : r.metrics.items()) filters.insert(parts_of(name).second);
    const Json& row = asked.task.rows().rows[static_cast<size_t>(r.item.id)].fields;
    for (const std::string& filter : filters) {
      Json line = {{"doc_id", r.item.id},
                   {"doc", row},
                   {"target", target_of(r)},
                   {"arguments", arguments_of(r)},
                   {"resps", responses_of(r)},
                   {"filtered_resps", r.filtered.is_object() ? r.filtered[filter]
                                      : r.filtered.is_null() ? responses_of(r)
                                                             : r.filtered},
                   {"filter", filter},
                   {"metrics", Json::array()},
                   {"doc_hash", sha256_of_text(row.dump(2))},
                   {"prompt_hash", sha256_of_text(r.item.prompts[0])},
                   {"target_hash", sha256_of_text(target_of(r))}};
      for (const auto& [name, value] : r.metrics.items()) {
        const auto [metric, of] = parts_of(name);
        if (of != filter) continue;
        line["metrics"].push_back(metric);
        line[metric] = value;
      }
      out.write(JsonLines::text_of(line));
    }
  }
}

}  // namespace

void write_lm_eval_layout(const fs::path& folder, const std::vector<AskedTask>& tasks,
                          const ItemFile& items, const Json& results, const Json& receipt) {
  const Json& model = receipt["model"];
  std::string date = receipt["started"].get<std::string>();
  std::ranges::replace(date, ':', '-');
  const fs::path to = folder / file_name(model.is_string() ? model.get<std::string>() : "recorded");
  fs::create_directories(to);
  write_json_file(to / ("results_" + date + ".json"), summary_of(tasks, results, receipt));
  for (const AskedTask& asked : tasks) {
    AtomicFile out(to / fmt::format("samples_{}_{}.jsonl", asked.name(), date));
    write_samples(asked, items, out);
    out.commit();
  }
}

}  // namespace lathe
