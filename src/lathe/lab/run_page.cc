#include "lathe/lab/run_page.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/data_card_page.h"
#include "lathe/lab/run_facts.h"
#include "lathe/report/html.h"
#include "lathe/report/page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string loss_text(double loss) {
  return std::isfinite(loss) ? fmt::format("{:.3f}", loss) : "not finite";
}

std::string speed_tiles(const RunData& run) {
  double seconds = 0;
  std::vector<double> shares;
  for (const StepPoint& p : run.steps) {
    if (std::isfinite(p.step_ms)) seconds += p.step_ms * 1e-3;
    if (std::isfinite(p.mfu)) shares.push_back(p.mfu);
  }
  std::string html;
  if (seconds > 0) html += tile(human_time(seconds), "in training steps");
  if (shares.empty()) return html;
  const auto middle = shares.begin() + static_cast<ptrdiff_t>(shares.size() / 2);
  std::ranges::nth_element(shares, middle);
  return html + tile(fmt::format("{:.0f} %", 100 * *middle), "of the matrix rate (MFU, median)");
}

std::string tiles(const RunData& run, const RunFacts& facts) {
  const StepPoint& last = run.steps.back();
  std::string html = "<div class=\"tiles\">";
  if (!run.validations.empty()) {
    const ValidationPoint& v = run.validations.back();
    if (std::isfinite(v.reward))
      html += tile(fmt::format("{:.3f}", v.reward), "mean reward on held-out prompts at the end");
    else
      html += tile(loss_text(v.loss), "validation loss at the end");
    if (std::isfinite(v.bits_per_byte))
      html += tile(fmt::format("{:.3f}", v.bits_per_byte), "bits a byte");
  } else {
    html += tile(loss_text(last.loss), "training loss of the last step");
  }
  if (facts.parameters)
    html += tile(human_count(static_cast<double>(*facts.parameters)), "parameters");
  if (std::isfinite(last.tokens)) html += tile(human_count(last.tokens), "tokens trained on");
  html += tile(fmt::format("{:.0f}", last.step), "steps");
  html += speed_tiles(run) + "</div>\n";
  if (!facts.problem.empty())
    html += fmt::format(
        "<p class=\"soft\">The parameters could not be counted from recipe.json: {}"
        "</p>\n",
        html_escaped(facts.problem));
  return html;
}

std::string charts(const RunData& run) {
  std::string html = "<h2>Curves</h2>\n<div class=\"charts\">\n";
  for (const NamedChart& c : run_charts(run))
    html += card(draw_chart(c.spec, ChartUse::kPage),
                 c.name == "loss" || c.name == "reward" ? " wide" : "");
  return html + "</div>\n";
}

std::string data(const RunData& run) {
  return run.data_card.is_object() ? data_card_summary(run.data_card) : "";
}

// What the run forgot: the first and the last loss on each set of data.replay_valid.
std::string old_mixture(const RunData& run) {
  if (run.old_losses.empty()) return "";
  std::string rows;
  for (const auto& [name, losses] : run.old_losses) {
    const OldLoss &before = losses.front(), &after = losses.back();
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
        html_escaped(name), loss_text(before.loss),
        losses.size() > 1 ? loss_text(after.loss) : "not yet",
        losses.size() > 1 ? fmt::format("{:+.3f}", after.loss - before.loss) : "");
  }
  return "<h2>Loss on the old mixture</h2>\n" +
         card(
             "<table><tr><th>set</th><th>before the first step</th><th>after the last</th>"
             "<th>difference</th></tr>" +
             rows + "</table>");
}

std::string flags(const RunData& run) {
  if (run.flags.empty()) return "";
  std::string rows;
  for (const RolloutFlag& flag : run.flags)
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td><td class=\"soft\">{}</td></tr>\n",
                    html_escaped(flag.name), html_escaped(flag.finding), html_escaped(flag.advice));
  return "<h2>What looks wrong</h2>\n" + card("<table>" + rows + "</table>");
}

std::string stages(const Json& demo) {
  if (!demo.is_object() || !demo.contains("stages") || demo["stages"].empty()) return "";
  double longest = 1e-9;
  for (const Json& s : demo["stages"]) longest = std::max(longest, s.at("seconds").get<double>());
  std::string rows;
  for (const Json& s : demo["stages"]) {
    const double seconds = s.at("seconds").get<double>();
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{:.1f} s</td><td style=\"width:28%\"><div class=\"bar\" "
        "style=\"width:{:.1f}%\"></div></td><td class=\"soft\">{}</td></tr>\n",
        html_escaped(s.at("name").get<std::string>()), seconds, 100 * seconds / longest,
        html_escaped(s.at("detail").get<std::string>()));
  }
  return "<h2>Stages</h2>\n" + card("<table>" + rows + "</table>");
}

std::string samples(const RunData& run) {
  if (run.samples.empty()) return "";
  std::string rows;
  for (const SampleText& s : run.samples)
    rows += fmt::format("<tr><td class=\"n soft\">step {}</td><td class=\"text\">{}</td></tr>\n",
                        s.step, html_escaped(s.text));
  return "<h2>Texts during training</h2>\n" + card("<table>" + rows + "</table>");
}

std::string generations(const Json& demo) {
  if (!demo.is_object() || !demo.contains("generations") || demo["generations"].empty()) return "";
  std::string rows;
  for (const Json& g : demo["generations"])
    rows += fmt::format(
        "<tr><td class=\"soft\" style=\"width:22%\">{}</td><td "
        "class=\"text\"><b>{}</b>{}</td></tr>\n",
        html_escaped(g.at("setting").get<std::string>()),
        html_escaped(g.at("prompt").get<std::string>()),
        html_escaped(g.at("text").get<std::string>()));
  return "<h2>Texts of the finished model</h2>\n" +
         card("<table><tr><th>sampling</th><th>text</th></tr>" + rows + "</table>") +
         "<p class=\"soft\">Why small models repeat themselves, and which setting helps: "
         "docs/repetition.md.</p>\n";
}

std::string machine(const RunFacts& facts) {
  if (facts.machine.empty()) return "";
  std::string rows;
  for (const auto& [name, value] : facts.machine)
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", html_escaped(name), html_escaped(value));
  return "<h2>Machine</h2>\n" + card("<table>" + rows + "</table>");
}

// "3.0" stays, {"a":1} becomes lines "a = 1" below its section's name.
std::string recipe(const Json& tree) {
  if (!tree.is_object()) return "";
  std::string text;
  for (const auto& [section, keys] : tree.items()) {
    if (!keys.is_object()) continue;
    text += fmt::format("[{}]\n", section);
    const Json flat = keys.flatten();
    for (auto it = flat.begin(); it != flat.end(); ++it) {
      std::string key = it.key().substr(1);
      std::ranges::replace(key, '/', '.');
      text += fmt::format("{} = {}\n", key, it.value().dump());
    }
    text += "\n";
  }
  return "<h2>Recipe</h2>\n" +
         card("<details><summary>every key, defaults included</summary><pre>" + html_escaped(text) +
              "</pre></details>");
}

std::string lineage_item(const LineageNode& node) {
  std::string html =
      fmt::format("<li><b>{}</b> {}", html_escaped(node.kind.empty() ? "artefact" : node.kind),
                  html_escaped(node.path));
  if (!node.recorded_hash.empty())
    html += fmt::format(" <span class=\"soft\">{}</span>", node.recorded_hash.substr(0, 12));
  if (node.state == LineageNode::State::kChanged) html += " (changed since)";
  if (node.state == LineageNode::State::kMissing) html += " (missing)";
  for (const LineageNode& parent : node.parents) html += "<ul>" + lineage_item(parent) + "</ul>";
  return html + "</li>\n";
}

std::string lineage(const RunData& run) {
  const fs::path made = result_of_run(run.folder);
  std::error_code error;
  if (!fs::exists(manifest_path(made, true), error)) return "";
  return "<h2>Lineage</h2>\n" + card("<ul>" + lineage_item(trace_lineage(made)) + "</ul>");
}

std::string title_of(const RunData& run) {
  return run.demo.is_object() ? "A language model, from raw text"
                              : "Training run " + run.folder.string();
}

std::string introduction(const RunData& run) {
  const Json& demo = run.demo;
  std::string html = fmt::format("<h1>{}</h1>\n", html_escaped(title_of(run)));
  if (demo.is_object() && demo.contains("summary"))
    html +=
        fmt::format("<p class=\"soft\">{}</p>\n", html_escaped(demo["summary"].get<std::string>()));
  return html + fmt::format("<p class=\"soft\">{}, lathe {}</p>\n",
                            html_escaped(run.folder.string()), lathe_version());
}

}  // namespace

std::string report_page(const RunData& run) {
  const RunFacts facts = read_facts(run);
  return html_page(title_of(run), introduction(run) + tiles(run, facts) + flags(run) + charts(run) +
                                      old_mixture(run) + data(run) + generations(run.demo) +
                                      samples(run) + stages(run.demo) + machine(facts) +
                                      recipe(run.recipe) + lineage(run));
}

void write_report(const fs::path& run, const fs::path& file) {
  write_file_atomically(file, report_page(read_run(run)));
}

}  // namespace lathe
