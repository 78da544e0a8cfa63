// The catalogue of metrics that follow from log-likelihoods, and what the items of a task amount to in any metric.
//
// ℓ is the log-likelihood of a continuation. A choice is right if it is the first with the largest ℓ, or ℓ over its
// length: acc, acc_norm (characters), acc_bytes, acc_tokens; or ℓ minus that behind uncond_prompt: acc_uncond.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/eval/measure/statistics.h"
#include "lathe/eval/record.h"

namespace lathe {

struct MetricRule {
  std::string_view name, summary;
  std::vector<TaskKind> kinds;
  double (*of)(const EvalRecord& record);  // of an item
  // Where the items' values are not averaged: R = Σ loss / Σ weight, from which the value is made.
  double (*loss)(const EvalRecord& record) = nullptr;
  double (*weight)(const EvalRecord& record) = nullptr;
  Estimate (*total)(const Estimate& of) = nullptr;
};
const std::vector<MetricRule>& likelihood_metrics();

// record.metrics of a task that is not of kind generate: those that its file names.
nlohmann::ordered_json likelihood_metrics_of(const TaskConfig& task, const EvalRecord& record);

// Whether a metric, by its name, is a share of right answers, or of comparisons that are won, from 0 to 1.
bool is_share(std::string_view metric);

struct MetricResult {
  std::string name;
  Estimate estimate;
};
// Of all its items, which have the same metrics; one of which no item has a number is left out. Items of a group are a
// cluster. Empty without items.
std::vector<MetricResult> totals_of(const TaskConfig& task, std::span<const EvalRecord> records);

// Of each item the number of its cluster; empty where there are no groups.
std::vector<size_t> clusters_of(std::span<const EvalRecord> records);

}  // namespace lathe
