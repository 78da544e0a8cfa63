#include "lathe/train/metrics.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Spelling {
  const char* text;
  double value;
};
constexpr Spelling kSpellings[] = {{"NaN", std::numeric_limits<double>::quiet_NaN()},
                                   {"Infinity", std::numeric_limits<double>::infinity()},
                                   {"-Infinity", -std::numeric_limits<double>::infinity()}};

Json spelled(const Json& value) {
  return value.is_number_float() ? spelled_number(value.get<double>()) : value;
}

}  // namespace

Json spelled_number(double value) {
  for (const Spelling& s : kSpellings)
    if (std::isnan(value) ? std::isnan(s.value) : s.value == value) return s.text;
  return value;
}

MetricsWriter::MetricsWriter(const std::filesystem::path& folder, int64_t last_step)
    : lines_(folder / "metrics.jsonl", last_step, [this](const Json& line) { note(line); }),
      board_(folder / "tensorboard", last_step + 1) {}

void MetricsWriter::note(const Json& record) {
  const auto step = record.at("step").get<int64_t>();
  for (const auto& [key, value] : record.items()) last_[key] = step;
  const auto loss = metric_value(record, "val_loss");
  if (!loss) return;
  if (!best_ || *loss < best_->loss)
    best_ = {step, *loss, 0};
  else
    ++best_->since;
}

int64_t MetricsWriter::last_with(const std::string& key) const {
  const auto found = last_.find(key);
  return found == last_.end() ? 0 : found->second;
}

bool MetricsWriter::has_of(const std::string& key, int64_t step) const {
  const auto found = last_.find(key);
  return found != last_.end() && found->second == step;
}

void MetricsWriter::write(const Json& record) {
  Json line = Json::object();
  for (const auto& [key, value] : record.items()) line[key] = spelled(value);
  lines_.write(line);
  note(record);
  const auto step = record.at("step").get<int64_t>();
  const bool validation = record.contains("val_loss");
  for (const auto& [key, value] : record.items())
    if (key != "step" && value.is_number())
      board_.scalar((validation ? "valid/" : "train/") + key, step, value.get<double>());
  if (record.contains("sample")) board_.text("sample", step, record["sample"].get<std::string>());
  const auto now = std::chrono::steady_clock::now();
  if (std::chrono::duration<double>(now - flushed_).count() < kFlushSeconds) return;
  flushed_ = now;
  flush();
}

std::optional<double> metric_value(const Json& record, const std::string& key) {
  const auto it = record.find(key);
  if (it == record.end()) return std::nullopt;
  if (it->is_number()) return it->get<double>();
  for (const Spelling& s : kSpellings)
    if (*it == s.text) return s.value;
  return std::nullopt;
}

}  // namespace lathe
