#include "lathe/eval/measure/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The choice itself, without delimiter; where each has a prompt of its own, what follows all of them.
const std::string& choice_text(const EvalRecord& r, size_t i) {
  return r.item.choices.empty() ? r.item.target.value() : r.item.choices[i];
}

size_t characters(std::string_view text) { return jinja::characters_of(text).size(); }

// Whether the right choice is the first with the largest score(i).
template <class F>
double right_by(const EvalRecord& r, F&& score) {
  std::vector<double> scores;
  for (size_t i = 0; i < r.answer.logprobs.size(); ++i)
    scores.push_back(r.answer.logprobs[i] / score(i));
  return std::ranges::max_element(scores) - scores.begin() == r.item.gold.value() ? 1 : 0;
}

double acc(const EvalRecord& r) {
  return right_by(r, [](size_t) { return 1.0; });
}
double acc_norm(const EvalRecord& r) {
  return right_by(r, [&](size_t i) { return static_cast<double>(characters(choice_text(r, i))); });
}
double acc_bytes(const EvalRecord& r) {
  return right_by(r, [&](size_t i) { return static_cast<double>(choice_text(r, i).size()); });
}
double acc_tokens(const EvalRecord& r) {
  return right_by(r, [&](size_t i) { return static_cast<double>(r.answer.tokens[i]); });
}
double acc_uncond(const EvalRecord& r) {
  std::vector<double> gains;
  for (size_t i = 0; i < r.answer.logprobs.size(); ++i)
    gains.push_back(r.answer.logprobs[i] - r.answer.uncond[i]);
  return std::ranges::max_element(gains) - gains.begin() == r.item.gold.value() ? 1 : 0;
}

double bits(double loss, size_t bytes) {
  return loss / static_cast<double>(bytes) / std::numbers::ln2;
}
double bits_of_right_choice(const EvalRecord& r) {
  const auto gold = static_cast<size_t>(r.item.gold.value());
  return bits(-r.answer.logprobs[gold], choice_text(r, gold).size());
}

double loss_of(const EvalRecord& r) { return -r.answer.logprobs[0]; }
double one(const EvalRecord&) { return 1; }
double greedy(const EvalRecord& r) { return r.answer.greedy[0] ? 1 : 0; }
double perplexity(const EvalRecord& r) { return std::exp(loss_of(r)); }
double bits_of_target(const EvalRecord& r) {
  return bits(loss_of(r), r.item.target.value().size());
}

// Stretches between white space, also those without a letter at either end.
double words(const EvalRecord& r) {
  double count = 1;
  bool in_space = false;
  for (const char32_t c : jinja::characters_of(r.item.target.value())) {
    count += jinja::is_space(c) && !in_space;
    in_space = jinja::is_space(c);
  }
  return count;
}
double bytes(const EvalRecord& r) { return static_cast<double>(r.item.target.value().size()); }
double word_perplexity(const EvalRecord& r) { return std::exp(loss_of(r) / words(r)); }
double byte_perplexity(const EvalRecord& r) { return std::exp(loss_of(r) / bytes(r)); }

const MetricRule* rule_of(TaskKind kind, std::string_view name) {
  for (const MetricRule& rule : likelihood_metrics())
    if (rule.name == name && std::ranges::find(rule.kinds, kind) != rule.kinds.end()) return &rule;
  return nullptr;
}

double sum_of(const Json& value) {
  if (!value.is_array()) return value.is_boolean() ? value.get<bool>() : value.get<double>();
  double sum = 0;
  for (const Json& each : value) sum += sum_of(each);
  return sum;
}

// The mean of the items' numbers, of which each has one or a list; none where all lists are empty.
std::optional<Estimate> mean_of(std::span<const EvalRecord> records, const std::string& name,
                                std::span<const size_t> of_items) {
  std::vector<double> sums, counts;
  std::vector<size_t> clusters;
  bool lists = false;
  for (size_t i = 0; i < records.size(); ++i) {
    const Json& value = records[i].metrics.at(name);
    if (value.is_array() && value.empty()) continue;
    lists = lists || value.is_array();
    sums.push_back(sum_of(value));
    counts.push_back(value.is_array() ? static_cast<double>(value.size()) : 1);
    if (!of_items.empty()) clusters.push_back(of_items[i]);
  }
  if (sums.empty()) return std::nullopt;
  if (!lists && clusters.empty() && std::ranges::all_of(sums, is_verdict))
    return share_estimate(sums);
  return ratio_estimate(sums, lists ? std::span<const double>(counts) : std::span<const double>(),
                        clusters);
}

Estimate total_of(const MetricRule& rule, std::span<const EvalRecord> records,
                  std::span<const size_t> clusters) {
  std::vector<double> losses, weights;
  for (const EvalRecord& r : records) {
    losses.push_back(rule.loss(r));
    weights.push_back(rule.weight(r));
  }
  return rule.total(ratio_estimate(losses, weights, clusters));
}

}  // namespace

const std::vector<MetricRule>& likelihood_metrics() {
  using enum TaskKind;
  static const std::vector<MetricRule> kMetrics = {
      {"acc", "the right choice has the largest log-likelihood", {kChoices}, acc},
      {"acc_norm", "… divided by its characters", {kChoices}, acc_norm},
      {"acc_bytes", "… divided by its bytes", {kChoices}, acc_bytes},
      {"acc_tokens", "… divided by its tokens", {kChoices}, acc_tokens},
      {"acc_uncond", "… minus that behind uncond_prompt", {kChoices}, acc_uncond},
      {"bits_per_byte", "loss of the right choice", {kChoices}, bits_of_right_choice},
      {"acc", "the target is what greedy decoding gives", {kLoglikelihood}, greedy},
      {"perplexity",
       "e to the mean loss of a target",
       {kLoglikelihood},
       perplexity,
       loss_of,
       one,
       exponential},
      {"bits_per_byte", "loss of the target", {kLoglikelihood}, bits_of_target},
      {"word_perplexity",
       "e to the loss over the words of all texts",
       {kPerplexity},
       word_perplexity,
       loss_of,
       words,
       exponential},
      {"byte_perplexity",
       "e to the loss over the bytes of all texts",
       {kPerplexity},
       byte_perplexity,
       loss_of,
       bytes,
       exponential},
      {"bits_per_byte",
       "loss over the bytes of all texts",
       {kPerplexity},
       bits_of_target,
       loss_of,
       bytes,
       in_bits},
  };
  return kMetrics;
}

bool is_share(std::string_view metric) {
  constexpr std::array kOthers = {"bits_per_byte", "rating", "consistency", "no_verdict"};
  return metric.find("perplexity") == std::string_view::npos &&
         std::ranges::find(kOthers, metric) == kOthers.end();
}

Json likelihood_metrics_of(const TaskConfig& task, const EvalRecord& record) {
  Json metrics = Json::object();
  for (const std::string& name : task.metrics) {
    const double value = rule_of(task.task_kind(), name)->of(record);
    // Rights and wrongs are whole numbers.
    if (name.starts_with("acc"))
      metrics[name] = static_cast<int64_t>(value);
    else
      metrics[name] = value;
  }
  return metrics;
}

std::vector<size_t> clusters_of(std::span<const EvalRecord> records) {
  std::map<std::string, size_t> numbers;
  std::vector<size_t> clusters;
  for (const EvalRecord& r : records) {
    if (!r.item.group) return {};
    clusters.push_back(numbers.emplace(*r.item.group, numbers.size()).first->second);
  }
  return clusters;
}

std::vector<MetricResult> totals_of(const TaskConfig& task, std::span<const EvalRecord> records) {
  std::vector<MetricResult> results;
  if (records.empty()) return results;
  const std::vector<size_t> clusters = clusters_of(records);
  for (const auto& [name, value] : records[0].metrics.items()) {
    const MetricRule* rule = rule_of(task.task_kind(), name);
    const std::optional<Estimate> estimate =
        rule && rule->loss ? total_of(*rule, records, clusters) : mean_of(records, name, clusters);
    if (estimate) results.push_back({name, *estimate});
  }
  return results;
}

}  // namespace lathe
