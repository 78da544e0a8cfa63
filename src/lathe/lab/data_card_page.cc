#include "lathe/lab/data_card_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "lathe/report/html.h"
#include "lathe/report/page.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Line {
  std::string name, value;
  double bar = 0;  // of the longest, 0 to 1; 0: none is drawn
};
// A table with a title: what every form of a card is made of.
struct Part {
  std::string title;
  std::vector<Line> lines;
};

std::string share_of(int64_t count, int64_t all) {
  if (all == 0) return fmt::format("{}", count);
  return fmt::format("{} ({:.1f} %)", count,
                     100.0 * static_cast<double>(count) / static_cast<double>(all));
}

// Counts by name, the largest first.
Part counts_of(const std::string& title, const Json& counts) {
  std::vector<std::pair<std::string, int64_t>> sorted;
  int64_t all = 0;
  for (const auto& [name, count] : counts.items()) {
    sorted.emplace_back(name, count.get<int64_t>());
    all += count.get<int64_t>();
  }
  std::ranges::stable_sort(sorted, std::greater(), &std::pair<std::string, int64_t>::second);
  Part part{title, {}};
  for (const auto& [name, count] : sorted)
    part.lines.push_back({name, share_of(count, all),
                          static_cast<double>(count) / static_cast<double>(sorted[0].second)});
  return part;
}

Part lengths_of(const std::string& title, const Json& lengths) {
  Part part{fmt::format("{}: mean {:.1f}, median {}, 95th percentile {}, longest {}", title,
                        lengths.at("mean").get<double>(), lengths.at("median").get<int64_t>(),
                        lengths.at("p95").get<int64_t>(), lengths.at("longest").get<int64_t>()),
            {}};
  int64_t most = 1;
  for (const Json& bucket : lengths.at("histogram"))
    most = std::max(most, bucket[2].get<int64_t>());
  for (const Json& bucket : lengths.at("histogram")) {
    const auto first = bucket[0].get<int64_t>(), last = bucket[1].get<int64_t>(),
               count = bucket[2].get<int64_t>();
    part.lines.push_back(
        {first == last ? fmt::format("{}", first) : fmt::format("{}–{}", first, last),
         fmt::format("{}", count), static_cast<double>(count) / static_cast<double>(most)});
  }
  return part;
}

Part rows_of(const Json& card) {
  const auto number = [&](const char* key) { return card.at(key).get<int64_t>(); };
  const int64_t rows = number("rows");
  Part part{"Rows", {{"rows", fmt::format("{}", rows)}}};
  part.lines.push_back({"equal to an earlier row", share_of(number("exact_duplicates"), rows)});
  part.lines.push_back(
      {"nearly equal to an earlier row", share_of(number("near_duplicates"), rows)});
  part.lines.push_back(
      {"with a prompt that has different answers", share_of(number("conflicting_rows"), rows)});
  if (card.contains("trained_tokens"))
    part.lines.push_back(
        {"tokens that are trained on", fmt::format("{}", number("trained_tokens"))});
  for (const char* key : {"skipped", "changed"})
    if (card.contains(key))
      for (const auto& [why, count] : card.at(key).items())
        part.lines.push_back({(key == std::string("skipped") ? "left out: " : "") + why,
                              share_of(count.get<int64_t>(), rows)});
  return part;
}

Part overlaps_of(const Json& card) {
  Part part{fmt::format("Rows with {} words in a row that other text has",
                        card.at("ngram").get<int64_t>()),
            {}};
  for (const Json& each : card.at("overlaps"))
    part.lines.push_back(
        {each.at("file").get<std::string>(),
         share_of(each.at("rows").get<int64_t>(), card.at("rows").get<int64_t>())});
  part.lines.push_back(
      {"too short to compare", fmt::format("{}", card.at("too_short").get<int64_t>())});
  return part;
}

std::vector<Part> lengths_in_tokens(const Json& card) {
  if (!card.contains("tokens_of_answers")) return {};
  return {lengths_of("Tokens of prompts", card.at("tokens_of_prompts")),
          lengths_of("Tokens of answers", card.at("tokens_of_answers"))};
}

std::vector<Part> parts_of(const Json& card) {
  std::vector<Part> parts = {rows_of(card)};
  if (card.contains("overlaps")) parts.push_back(overlaps_of(card));
  parts.push_back(counts_of("Forms", card.at("forms")));
  if (!card.at("roles").empty()) parts.push_back(counts_of("Messages by role", card.at("roles")));
  parts.push_back(counts_of("Languages", card.at("languages")));
  for (Part& each : lengths_in_tokens(card)) parts.push_back(std::move(each));
  parts.push_back(lengths_of("Words of prompts", card.at("words_of_prompts")));
  parts.push_back(lengths_of("Words of answers", card.at("words_of_answers")));
  if (!card.at("examples").empty()) {
    Part examples{"For example", {}};
    for (const Json& each : card.at("examples"))
      examples.lines.push_back({each.get<std::string>(), ""});
    parts.push_back(std::move(examples));
  }
  return parts;
}

std::string html_of(const Part& part) {
  std::string rows;
  for (const Line& line : part.lines) {
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td>", html_escaped(line.name),
                        html_escaped(line.value));
    rows += line.bar > 0 ? fmt::format(
                               "<td style=\"width:40%\"><div class=\"bar\" "
                               "style=\"width:{:.1f}%\"></div></td></tr>\n",
                               100 * line.bar)
                         : std::string("<td></td></tr>\n");
  }
  return "<h2>" + html_escaped(part.title) + "</h2>\n" + card("<table>" + rows + "</table>");
}

// Bars of an eighth of a character.
std::string drawn_bar(double share) {
  constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  constexpr int kWidest = 24;
  const int eighths = static_cast<int>(share * kWidest * 8 + 0.5);
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  return bar + kEighths[eighths % 8];
}

std::string escaped_cell(const std::string& text) {
  std::string cell;
  for (const char c : text) cell += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return cell;
}

}  // namespace

std::string data_card_page(const Json& card, const std::string& title) {
  std::string body = "<h1>" + html_escaped(title) + "</h1>\n";
  for (const Part& part : parts_of(card)) body += html_of(part);
  return html_page(title, body);
}

std::string data_card_markdown(const Json& card, const std::string& title) {
  std::string text = "# " + title + "\n";
  for (const Part& part : parts_of(card)) {
    text += "\n## " + part.title + "\n\n";
    if (part.lines.empty()) text += "(none)\n";
    if (part.lines.empty()) continue;
    const bool bars =
        std::ranges::any_of(part.lines, [](const Line& line) { return line.bar > 0; });
    text += bars ? "| | | |\n|---|---|---|\n" : "| | |\n|---|---|\n";
    for (const Line& line : part.lines)
      text += fmt::format("| {} | {} |{}\n", escaped_cell(line.name), escaped_cell(line.value),
                          bars ? fmt::format(" {} |", drawn_bar(line.bar)) : "");
  }
  return text;
}

std::string data_card_summary(const Json& card) {
  std::string html;
  std::vector<Part> parts = {rows_of(card),
                             counts_of("Languages of the data", card.at("languages"))};
  for (Part& each : lengths_in_tokens(card)) parts.push_back(std::move(each));
  parts[0].title = "Data";
  for (const Part& part : parts) html += html_of(part);
  return html;
}

}  // namespace lathe
