#include "lathe/lab/eval_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/eval/measure/metrics.h"
#include "lathe/eval/record.h"
#include "lathe/eval/task/rows.h"
#include "lathe/io/json_file.h"
#include "lathe/report/chart.h"
#include "lathe/report/heat_map.h"
#include "lathe/report/html.h"
#include "lathe/report/page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kItemsShown = 200, kPromptShown = 6000;

constexpr std::string_view kStyle = R"(
details { border-top: 1px solid var(--grid); padding: 4px 0 }
summary { cursor: pointer }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0 }
.right { color: var(--c2) } .wrong { color: var(--c4) }
.token { border-bottom: 3px solid; margin-right: 1px }
.interval { width: 100%; height: 14px; display: block }
)";

// A value with its interval between two ends, and the value of a guess.
std::string interval(const Json& m, double low, double high, double chance) {
  const auto place = [&](double x) { return 100 * std::clamp((x - low) / (high - low), 0.0, 1.0); };
  std::string svg =
      "<svg class=\"interval\" viewBox=\"0 0 100 14\" preserveAspectRatio=\"none\">"
      "<line x1=\"0\" x2=\"100\" y1=\"7\" y2=\"7\" stroke=\"var(--grid)\"/>";
  if (chance > low)
    svg += fmt::format(
        "<line x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"1\" y2=\"13\" stroke=\"var(--soft)\" "
        "stroke-dasharray=\"2\" vector-effect=\"non-scaling-stroke\"/>",
        place(chance));
  if (!m["ci95"].is_null())
    svg += fmt::format(
        "<line x1=\"{:.2f}\" x2=\"{:.2f}\" y1=\"7\" y2=\"7\" stroke=\"var(--c1)\" stroke-width=\"4\"/>",
        place(m["ci95"][0].get<double>()), place(m["ci95"][1].get<double>()));
  svg += fmt::format("<rect x=\"{:.2f}\" y=\"2\" width=\"0.8\" height=\"10\" fill=\"var(--ink)\"/>",
                     place(m["value"].get<double>()) - 0.4);
  return svg + "</svg>";
}

// A share lies between 0 and 1; anything else is drawn around its interval.
std::string drawn(const Json& m, const std::string& name, double chance) {
  const double value = m["value"].get<double>();
  if (is_share(name)) return interval(m, 0, 1, chance);
  const double high = m["ci95"].is_null() ? value : m["ci95"][1].get<double>();
  return interval(m, 0, 1.25 * std::max(high, 1e-9), 0);
}

std::string metrics_table(const Json& task) {
  const double chance = task.value("chance", 0.0);
  std::string rows;
  for (const auto& [name, m] : task["metrics"].items()) {
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{:.4f}</td><td class=\"n\">{}</td>", html_escaped(name),
        m["value"].get<double>(),
        m["stderr"].is_null() ? std::string() : fmt::format("± {:.4f}", m["stderr"].get<double>()));
    rows += "<td style=\"width:50%\">" + drawn(m, name, chance) + "</td></tr>\n";
  }
  return "<table>" + rows + "</table>";
}

// Tokens with a line below, the redder the less likely.
std::string tokens_of(const std::vector<std::pair<std::string, float>>& tokens) {
  std::string html;
  for (const auto& [text, logprob] : tokens)
    html += fmt::format(
        "<span class=\"token\" style=\"border-color:hsl({:.0f} 70% 50%)\" title=\"log p {:.3f}\">{}</span>",
        std::clamp(120.0 + 12.0 * logprob, 0.0, 120.0), logprob, html_escaped(text));
  return html;
}

std::string continuations_of(const EvalRecord& r) {
  if (r.answer.logprobs.empty()) return {};
  std::string rows;
  for (size_t i = 0; i < r.answer.logprobs.size(); ++i) {
    const bool gold = r.item.gold && *r.item.gold == static_cast<int64_t>(i);
    const std::string text = i < r.answer.per_token.size()
                                 ? tokens_of(r.answer.per_token[i])
                                 : html_escaped(r.item.continuations[i].substr(0, kPromptShown));
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td class=\"n\">{:.3f}</td><td class=\"n\">{}</td></tr>\n",
        gold ? "right" : "", text, r.answer.logprobs[i], r.answer.tokens[i]);
  }
  return "<table><tr><th></th><th>continuation</th><th>log p</th><th>tokens</th></tr>" + rows +
         "</table>";
}

// What can be said of an item in one line.
std::string head_of(const EvalRecord& r) {
  std::string metrics;
  for (const auto& [name, value] : r.metrics.items())
    metrics += fmt::format(
        " {} {}", name,
        value.is_number_float() ? fmt::format("{:.3f}", value.get<double>()) : value.dump());
  const Json first = r.metrics.empty() ? Json() : r.metrics.begin().value();
  const bool judged = first.is_number_integer() || first.is_boolean();
  const bool right = judged && first != 0 && first != false;
  return fmt::format("<span class=\"{}\">{}</span> {}: {}",
                     right    ? "right"
                     : judged ? "wrong"
                              : "",
                     right    ? "✓"
                     : judged ? "✗"
                              : "·",
                     r.item.id, html_escaped(metrics));
}

// What a judge wrote of each response; what it was asked is folded away.
std::string judgements_of(const EvalRecord& r) {
  std::string html;
  for (const Json& each : r.judgements) {
    std::string head = "the judge: " + each["verdict"].dump();
    if (each["verdict"].is_null()) head = "the judge gave no verdict";
    if (each.contains("response_is"))
      head += ", with the answer as the " + each["response_is"].get<std::string>();
    html += "<b>" + html_escaped(head) + "</b><pre>" +
            html_escaped(each["text"].get<std::string>().substr(0, kPromptShown)) +
            "</pre>\n<details><summary>what it was asked</summary><pre>" +
            html_escaped(each["prompt"].get<std::string>().substr(0, kPromptShown)) +
            "</pre></details>\n";
  }
  return html;
}

std::string item_of(const EvalRecord& r) {
  std::string html = "<details><summary>" + head_of(r) + "</summary>\n";
  for (const std::string& prompt : r.item.prompts) {
    const bool cut = prompt.size() > kPromptShown;
    html +=
        "<pre>" +
        html_escaped((cut ? "… " : "") + prompt.substr(cut ? prompt.size() - kPromptShown : 0)) +
        "</pre>\n";
  }
  html += continuations_of(r);
  for (const std::string& response : r.answer.responses)
    html += "<b>answer</b><pre>" + html_escaped(response.substr(0, kPromptShown)) + "</pre>\n";
  if (r.item.target && r.item.continuations.empty())
    html += "<b>target</b><pre>" + html_escaped(*r.item.target) + "</pre>\n";
  if (!r.filtered.is_null())
    html += "<b>compared</b><pre>" + html_escaped(r.filtered.dump()) + "</pre>\n";
  html += judgements_of(r);
  if (!r.reason.empty()) html += "<b>why</b><pre>" + html_escaped(r.reason) + "</pre>\n";
  return html + "</details>\n";
}

// A metric by one number, with its intervals and what guessing gets.
std::string curve_of(const Json& parts, const std::string& metric) {
  ChartSeries series{.name = metric, .color = 1, .dots = true, .points = {}};
  ChartSeries chance{.name = "chance", .color = 4, .faint = true, .points = {}};
  std::string by = "difficulty";
  for (const Json& part : parts) {
    const auto [name, x] = difficulty_of(part["difficulty"])[0];
    if (!name.empty()) by = name;
    if (!part["metrics"].contains(metric)) continue;  // no item of it has a verdict
    const Json& m = part["metrics"][metric];
    series.points.push_back({x, m["value"].get<double>()});
    if (!m["ci95"].is_null())
      series.band.push_back({x, m["ci95"][0].get<double>(), m["ci95"][1].get<double>()});
    if (part.contains("chance") && is_share(metric))
      chance.points.push_back({x, part["chance"].get<double>()});
  }
  ChartSpec spec{.title = metric + " by " + by, .x_label = by, .series = {series}};
  spec.from_zero = true;
  if (!chance.points.empty()) spec.series.push_back(chance);
  return draw_chart(spec, ChartUse::kPage);
}

// A metric by two numbers.
std::string grid_of(const Json& parts, const std::string& metric) {
  HeatMapSpec spec;
  spec.high = 0;
  for (const Json& part : parts) {
    if (!part["metrics"].contains(metric)) continue;  // no item of it has a verdict
    const Difficulty at = difficulty_of(part["difficulty"]);
    const Json& m = part["metrics"][metric];
    const auto value = m["value"].get<double>();
    spec.x_label = at[0].first;
    spec.y_label = at[1].first;
    spec.high = std::max(spec.high, value);
    std::string note = fmt::format("{} of {}", metric, counted(part["n"].get<int64_t>(), "item"));
    if (!m["ci95"].is_null())
      note += fmt::format(", 95 % interval {:.4f} to {:.4f}", m["ci95"][0].get<double>(),
                          m["ci95"][1].get<double>());
    spec.cells.push_back({at[0].second, at[1].second, value, note});
  }
  spec.title = fmt::format("{} by {} and {}", metric, spec.x_label, spec.y_label);
  if (is_share(metric) || spec.high == 0) spec.high = 1;
  return draw_heat_map(spec);
}

std::string by_difficulty(const Json& task) {
  if (!task.contains("by_difficulty") || task["by_difficulty"].size() < 2) return {};
  const Json& parts = task["by_difficulty"];
  const bool two = difficulty_of(parts[0]["difficulty"]).size() == 2;
  std::string html;
  for (const auto& [name, total] : task["metrics"].items())
    html += card(two ? grid_of(parts, name) : curve_of(parts, name));
  return "<div class=\"charts\">" + html + "</div>";
}

std::string task_of(const std::string& name, const Json& task,
                    const std::vector<EvalRecord>& records) {
  std::string html =
      "<h2>" + html_escaped(name) + "</h2>\n" + card(metrics_table(task)) + by_difficulty(task);
  std::string items;
  size_t shown = 0, all = 0;
  for (const EvalRecord& record : records) {
    if (record.task != name) continue;
    if (++all <= kItemsShown) {
      items += item_of(record);
      ++shown;
    }
  }
  const std::string count =
      shown == all ? counted(static_cast<int64_t>(all), "item")
                   : fmt::format("the first {} of {} items; all are in items.jsonl", shown, all);
  return html + card("<details><summary>" + count + "</summary>\n" + items + "</details>");
}

std::string tiles_of(const Json& results, const Json& receipt) {
  int64_t items = 0;
  for (const auto& [name, task] : results["tasks"].items()) items += task["n"].get<int64_t>();
  const auto text = [&](const char* key) {
    return receipt.contains(key) && receipt[key].is_string() ? receipt[key].get<std::string>()
                                                             : std::string("–");
  };
  return "<div class=\"tiles\">" + tile(fmt::format("{}", results["tasks"].size()), "tasks") +
         tile(fmt::format("{}", items), "items") +
         tile(human_time(receipt.value("seconds", 0.0)), "time") +
         tile(fmt::format("{}", receipt.value("shots", 0)), "shots") +
         tile(text("precision"), "precision") + tile(text("kernels"), "kernels") + "</div>\n";
}

}  // namespace

std::string eval_page(const fs::path& folder) {
  const Json results = read_json_file(folder / "results.json"),
             receipt = read_json_file(folder / "receipt.json");
  require(results.contains("tasks") && receipt.contains("tasks"), ErrorKind::kData, folder.string(),
          "is no folder of an evaluation, which has results.json and receipt.json with `tasks`");
  const TaskRows lines = read_task_rows(folder / "items.jsonl");
  std::vector<EvalRecord> records;
  for (size_t i = 0; i < lines.rows.size(); ++i)
    records.push_back(record_of(lines.rows[i].fields, lines.place(i)));
  const std::string title = "Evaluation " + folder.filename().string();
  std::string body = "<h1>" + html_escaped(title) + "</h1>\n";
  if (receipt.value("model", Json()).is_string())
    body += "<p>" + html_escaped(receipt["model"].get<std::string>()) + "</p>\n";
  body += tiles_of(results, receipt);
  for (const auto& [name, task] : results["tasks"].items()) body += task_of(name, task, records);
  body += "<h2>Receipt</h2>\n" + card("<pre>" + html_escaped(receipt.dump(2)) + "</pre>");
  return html_page(title, body, kStyle);
}

}  // namespace lathe
