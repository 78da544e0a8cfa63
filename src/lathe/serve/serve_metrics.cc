#include "lathe/serve/serve_metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace lathe {
namespace {

// A label's value as the format wants it.
std::string label_value(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + '"';
}

std::string label_of_model(const std::string& model) { return "model=" + label_value(model); }

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

void Histogram::add(double value) {
  ++counts_[static_cast<size_t>(std::ranges::lower_bound(kBounds, value) - kBounds.begin())];
  sum_ += value;
}

void Histogram::write(std::string& out, std::string_view name, const std::string& labels) const {
  uint64_t below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, below);
  }
  out +=
      fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, sum_, name, labels, below);
}

void ServeMetrics::request(std::string_view endpoint, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(endpoint), status}];
}

void ServeMetrics::cancelled(const std::string& model) {
  const std::lock_guard lock(mutex_);
  ++models_[model].cancelled;
}

void ServeMetrics::queued(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  models_[model].queue.add(seconds);
}

void ServeMetrics::first_token(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  models_[model].first.add(seconds);
}

void ServeMetrics::next_token(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  models_[model].next.add(seconds);
}

void ServeMetrics::tokens(const std::string& model, int64_t prompt, int64_t cached, int64_t written,
                          int64_t drafted, int64_t accepted) {
  const std::lock_guard lock(mutex_);
  OfModel& m = models_[model];
  m.prompt += static_cast<uint64_t>(prompt);
  m.cached += static_cast<uint64_t>(cached);
  m.written += static_cast<uint64_t>(written);
  m.drafted += static_cast<uint64_t>(drafted);
  m.accepted += static_cast<uint64_t>(accepted);
}

std::string ServeMetrics::text(std::span<const Gauge> gauges) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  head(out, "lathe_requests_total", "counter", "answered HTTP requests");
  for (const auto& [labels, count] : requests_)
    out += fmt::format("lathe_requests_total{{endpoint={},code=\"{}\"}} {}\n",
                       label_value(labels.first), labels.second, count);
  for (const Gauge& gauge : gauges) {
    head(out, gauge.name, "gauge", gauge.help);
    for (const auto& [model, value] : gauge.by_model)
      out += fmt::format("{}{{{}}} {}\n", gauge.name, label_of_model(model), value);
  }
  const auto counter = [&](std::string_view name, std::string_view help, uint64_t OfModel::*value) {
    head(out, name, "counter", help);
    for (const auto& [model, m] : models_)
      out += fmt::format("{}{{{}}} {}\n", name, label_of_model(model), m.*value);
  };
  counter("lathe_requests_cancelled_total", "requests whose client left or that were cancelled",
          &OfModel::cancelled);
  counter("lathe_prompt_tokens_total", "tokens of prompts", &OfModel::prompt);
  counter("lathe_prompt_tokens_cached_total", "of them, found in the cache of prefixes",
          &OfModel::cached);
  counter("lathe_generated_tokens_total", "tokens written", &OfModel::written);
  counter("lathe_draft_tokens_total", "tokens guessed", &OfModel::drafted);
  counter("lathe_draft_tokens_accepted_total", "guesses that were right", &OfModel::accepted);
  const auto histogram = [&](std::string_view name, std::string_view help,
                             Histogram OfModel::*value) {
    head(out, name, "histogram", help);
    for (const auto& [model, m] : models_) (m.*value).write(out, name, label_of_model(model));
  };
  histogram("lathe_queue_seconds", "from the request until it leaves the queue", &OfModel::queue);
  histogram("lathe_time_to_first_token_seconds", "from the request to its first token",
            &OfModel::first);
  histogram("lathe_time_per_output_token_seconds", "from one token of a request to its next",
            &OfModel::next);
  return out;
}

}  // namespace lathe
