#include "lathe/lab/score_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lathe/base/strings.h"
#include "lathe/eval/measure/metrics.h"
#include "lathe/report/chart.h"
#include "lathe/report/html.h"
#include "lathe/report/page.h"

namespace lathe {
namespace {

constexpr std::string_view kStyle = R"(
.scores { overflow-x: auto } .scores td, .scores th { white-space: nowrap }
.scores span { color: var(--soft) }
.tiles, ul { margin-bottom: 14px }
)";

std::string place_of(const ScoredModel& model) {
  return model.step ? fmt::format("{}, step {}", model.run, *model.step) : model.folder.string();
}

// Of every task that a model has, its first metric.
std::vector<std::pair<std::string, std::string>> columns_of(
    std::span<const ScoredModel* const> models) {
  std::vector<std::pair<std::string, std::string>> columns;
  for (const ScoredModel* model : models)
    for (const ScoredTask& task : model->tasks)
      if (!task.metrics.empty() && std::ranges::find(columns, task.name, [](const auto& c) {
                                     return c.first;
                                   }) == columns.end())
        columns.emplace_back(task.name, task.metrics[0].first);
  return columns;
}

const Estimate* score_of(const ScoredModel& model, const std::string& task,
                         const std::string& metric) {
  for (const ScoredTask& each : model.tasks)
    if (each.name == task)
      for (const auto& [name, estimate] : each.metrics)
        if (name == metric) return &estimate;
  return nullptr;
}

std::string cell_of(const Estimate* score) {
  if (!score) return "<td></td>";
  const std::string error =
      score->error ? fmt::format(" <span>± {:.4f}</span>", *score->error) : std::string();
  return fmt::format("<td class=\"n\">{:.4f}{}</td>", score->value, error);
}

std::string table_of(std::span<const ScoredModel> models) {
  const std::vector<const ScoredModel*> shown = shown_scores(models);
  const auto columns = columns_of(shown);
  std::string html = "<tr><th>evaluation or run</th><th>FLOPs</th><th>shots</th>";
  for (const auto& [task, metric] : columns)
    html += fmt::format("<th>{}<br><span>{}</span></th>", html_escaped(task), html_escaped(metric));
  html += "<th>model</th><th>time</th></tr>\n";
  for (const ScoredModel* model : shown) {
    html += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
                        html_escaped(place_of(*model)),
                        model->flops ? fmt::format("{:.3g}", *model->flops) : "", model->shots);
    for (const auto& [task, metric] : columns) html += cell_of(score_of(*model, task, metric));
    html += fmt::format("<td>{}</td><td>{}</td></tr>\n", html_escaped(model->model),
                        html_escaped(model->started));
    if (!model->note.empty())
      html += fmt::format("<tr><td colspan=\"{}\">{}</td></tr>\n", 5 + columns.size(),
                          html_escaped(model->note));
  }
  return "<table>" + html + "</table>";
}

// The rungs of each run that has several; all others together. By the name of the run, or empty.
std::map<std::string, std::vector<const Rung*>> lines_of(const Ladder& ladder) {
  std::map<std::string, std::vector<const Rung*>> lines;
  for (const Rung& rung : ladder.rungs) lines[rung.model->run].push_back(&rung);
  std::vector<const Rung*> alone;
  for (auto line = lines.begin(); line != lines.end();) {
    const bool single = line->second.size() < 2;
    if (single) alone.push_back(line->second[0]);
    line = single ? lines.erase(line) : std::next(line);
  }
  std::ranges::sort(alone, {}, &Rung::flops);
  if (!alone.empty()) lines[""] = std::move(alone);
  return lines;
}

void add_line(ChartSpec& spec, std::string name, const std::vector<const Rung*>& rungs) {
  ChartSeries series{.name = std::move(name),
                     .color = static_cast<int>(spec.series.size()) + 1,
                     .dots = true,
                     .points = {}};
  for (const Rung* rung : rungs) {
    series.points.push_back({rung->flops, rung->score.value});
    if (rung->score.ci95)
      series.band.push_back({rung->flops, rung->score.ci95->first, rung->score.ci95->second});
  }
  spec.series.push_back(std::move(series));
}

// Ladders of one kind of metric of the same questions.
std::string chart_of(std::span<const Ladder> ladders) {
  const bool share = is_share(ladders[0].metric);
  ChartSpec spec{
      .title = ladders[0].questions + (ladders.size() > 1 ? "" : ", " + ladders[0].metric),
      .x_label = "FLOPs",
      .series = {}};
  spec.x_scale = AxisScale::kLog;
  spec.from_zero = share;
  ChartSeries chance{.name = "chance", .color = 4, .faint = true, .points = {}};
  for (const Ladder& ladder : ladders) {
    const auto lines = lines_of(ladder);
    const std::string form = ladders.size() > 1 ? ladder.task + ", " + ladder.metric : "";
    for (const auto& [run, rungs] : lines)
      add_line(spec,
               form + (!form.empty() && !run.empty() && lines.size() > 1 ? ": " : "") +
                   (lines.size() > 1 || form.empty() ? run : ""),
               rungs);
    for (const Rung& rung : ladder.rungs)
      if (rung.chance && share) chance.points.push_back({rung.flops, *rung.chance});
  }
  std::ranges::sort(chance.points, {}, &ChartPoint::x);
  if (!chance.points.empty()) spec.series.push_back(std::move(chance));
  return card(draw_chart(spec, ChartUse::kPage));
}

std::string ladders_html(std::span<const Ladder> ladders) {
  std::string charts, texts;
  for (size_t begin = 0; begin < ladders.size();) {
    const auto same = [&](const Ladder& ladder) {
      return ladder.questions == ladders[begin].questions && ladder.shots == ladders[begin].shots &&
             is_share(ladder.metric) == is_share(ladders[begin].metric);
    };
    size_t end = begin;
    while (end < ladders.size() && same(ladders[end])) ++end;
    charts += chart_of(ladders.subspan(begin, end - begin));
    begin = end;
  }
  for (const Ladder& ladder : ladders)
    texts += "<li>" + html_escaped(ladder_text(ladder)) + "</li>\n";
  return "<h2>By the compute of training</h2>\n<p>Intervals of 95 %. Accuracy can stay at chance for long and then rise at once where "
         "the likelihood of the right answer has grown all the time.</p>\n<ul>" +
         texts + "</ul>\n<div class=\"charts\">" + charts + "</div>\n";
}

}  // namespace

std::string ladder_text(const Ladder& ladder) {
  const std::string what =
      fmt::format("{} {}{}", ladder.task, ladder.metric,
                  ladder.shots > 0 ? fmt::format(" ({} shots)", ladder.shots) : std::string());
  const bool share = is_share(ladder.metric);
  if (ladder.from) {
    const Rung& rung = ladder.rungs[*ladder.from];
    return fmt::format("{} {} from {:.3g} FLOPs on ({})", what,
                       share ? "is above chance" : "has changed since the first", rung.flops,
                       place_of(*rung.model));
  }
  if (share && !ladder.rungs[0].chance)
    return what + ": the value of a guess is not known; set chance in the task's file";
  return fmt::format("{} {} at the most compute here, {:.3g} FLOPs", what,
                     share ? "is not above chance" : "has not changed for certain",
                     ladder.rungs.back().flops);
}

std::vector<const ScoredModel*> shown_scores(std::span<const ScoredModel> models) {
  std::vector<const ScoredModel*> shown;
  for (size_t i = 0; i < models.size(); ++i) {
    const bool last =
        i + 1 == models.size() || models[i + 1].run != models[i].run || !models[i + 1].step;
    if (!models[i].step || last) shown.push_back(&models[i]);
  }
  return shown;
}

std::string score_page(std::span<const ScoredModel> models, std::span<const Ladder> ladders) {
  std::set<std::string> tasks;
  for (const ScoredModel& model : models)
    for (const ScoredTask& task : model.tasks) tasks.insert(task.name);
  std::string body = "<h1>Scores</h1>\n<div class=\"tiles\">" +
                     tile(fmt::format("{}", shown_scores(models).size()), "evaluations and runs") +
                     tile(fmt::format("{}", tasks.size()), "tasks") + "</div>\n";
  body += card("<div class=\"scores\">" + table_of(models) + "</div>");
  if (!ladders.empty()) body += ladders_html(ladders);
  return html_page("Scores", body, kStyle);
}

}  // namespace lathe
