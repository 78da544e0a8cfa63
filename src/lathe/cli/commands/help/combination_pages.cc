// The matrix of `lathe inspect --matrix` and docs/combinations.md: one text for both, Markdown
// whose columns are padded, so that it reads well in a terminal, too.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/model/combinations.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(3);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  const auto add_line = [&](const Row& row, char fill) {
    for (size_t i = 0; i < widths.size(); ++i)
      text += fmt::format("| {}{} ", row[i], std::string(widths[i] - row[i].size(), fill));
    text += "|\n";
  };
  for (const Row& row : rows) {
    add_line(row, ' ');
    if (&row == &rows[0]) add_line(Row(widths.size()), '-');
  }
  return text;
}

// The meetings of two dimensions.
struct Pair {
  size_t works = 0;
  std::map<std::pair<size_t, size_t>, std::string> refusals;  // by choices; empty: it works
};
using Pairs = std::map<std::pair<size_t, size_t>, Pair>;

Pairs pairs_of(const std::vector<Meeting>& meetings) {
  Pairs pairs;
  for (const Meeting& m : meetings) {
    Pair& pair = pairs[{m.dimension, m.other_dimension}];
    pair.works += m.refusal.empty();
    pair.refusals[{m.choice, m.other_choice}] = m.refusal;
  }
  return pairs;
}

std::string choices_section(const std::vector<Dimension>& dims) {
  std::vector<Row> rows = {{"dimension", "key", "choices"}};
  for (const Dimension& d : dims) {
    Row names;
    for (const Choice& c : d.choices) names.push_back(c.name);
    rows.push_back({d.name, fmt::format("model.{}", d.key), join(names, ", ")});
  }
  return "\n## Choices\n\n" + table(rows);
}

// Every dimension but the first is a row, every one but the last a column.
std::string counts_section(const std::vector<Dimension>& dims, const Pairs& pairs) {
  std::vector<Row> rows = {{""}};
  for (size_t d = 0; d + 1 < dims.size(); ++d) rows[0].push_back(dims[d].name);
  for (size_t row = 1; row < dims.size(); ++row) {
    Row& cells = rows.emplace_back(Row{dims[row].name});
    for (size_t column = 0; column + 1 < dims.size(); ++column) {
      if (column >= row) {
        cells.emplace_back();
        continue;
      }
      const Pair& p = pairs.at({column, row});
      const size_t all = p.refusals.size();
      cells.push_back(p.works == all ? std::to_string(all) : fmt::format("{} of {}", p.works, all));
    }
  }
  return "\n## Pairs that work\n\n" + table(rows);
}

std::string exception_table(const Dimension& a, const Dimension& b, const Pair& pair,
                            std::vector<std::string>& reasons) {
  std::vector<Row> rows = {{fmt::format("{} / {}", a.name, b.name)}};
  for (const Choice& c : b.choices) rows[0].push_back(c.name);
  for (size_t i = 0; i < a.choices.size(); ++i) {
    Row& cells = rows.emplace_back(Row{a.choices[i].name});
    for (size_t j = 0; j < b.choices.size(); ++j) {
      const auto refused = pair.refusals.find({i, j});
      if (refused == pair.refusals.end() || refused->second.empty()) {
        cells.emplace_back(refused == pair.refusals.end() ? "-" : "+");
        continue;
      }
      auto at = std::find(reasons.begin(), reasons.end(), refused->second);
      if (at == reasons.end()) at = reasons.insert(at, refused->second);
      cells.push_back(fmt::format("({})", at - reasons.begin() + 1));
    }
  }
  return fmt::format("\n{}", table(rows));
}

using Alone = std::map<std::pair<size_t, size_t>, std::string>;

// Choices that are refused for themselves, unless what they meet takes the reason away.
Alone refused_alone(const std::vector<Dimension>& dims) {
  Alone alone;
  for (size_t d = 0; d < dims.size(); ++d)
    for (size_t c = 0; c < dims[d].choices.size(); ++c) {
      ModelConfig config = tiny_config();
      dims[d].choices[c].apply(config);
      if (const std::string reason = refusal_of(config); !reason.empty()) alone[{d, c}] = reason;
    }
  return alone;
}

// Whether `m` only repeats why one of its choices is refused alone.
bool repeats(const Meeting& m, const Alone& alone) {
  for (const auto& choice : {std::pair{m.dimension, m.choice}, {m.other_dimension, m.other_choice}})
    if (const auto it = alone.find(choice); it != alone.end() && it->second == m.refusal)
      return true;
  return false;
}

std::string alone_section(const std::vector<Dimension>& dims, const std::vector<Meeting>& rest,
                          const Alone& alone) {
  if (alone.empty()) return "";
  std::string text =
      "\n"
      "## Refused on their own\n\n";
  for (const auto& [where, reason] : alone) {
    Row with;
    for (const Meeting& m : rest) {
      const std::pair a{m.dimension, m.choice}, b{m.other_dimension, m.other_choice};
      if (!m.refusal.empty() || (a != where && b != where)) continue;
      const auto& [dimension, choice] = a == where ? b : a;
      with.push_back(
          fmt::format("{} `{}`", dims[dimension].name, dims[dimension].choices[choice].name));
    }
    text += fmt::format("- {} `{}`: {}. Works with: {}\n", dims[where.first].name,
                        dims[where.first].choices[where.second].name, reason,
                        with.empty() ? "nothing" : join(with, ", "));
  }
  return text;
}

}  // namespace

std::string combinations_markdown() {
  const std::vector<Dimension> dims = dimensions();
  const auto alone = refused_alone(dims);
  std::vector<Meeting> meetings = all_meetings(dims);
  std::erase_if(meetings, [&](const Meeting& m) { return repeats(m, alone); });
  const Pairs pairs = pairs_of(meetings);
  std::string exceptions;
  std::vector<std::string> reasons;
  for (const auto& [where, pair] : pairs)
    if (pair.works < pair.refusals.size())
      exceptions += exception_table(dims[where.first], dims[where.second], pair, reasons);
  std::string text =
      "# Combinations\n\n"
      "This page shows which components work together. `lathe inspect --matrix` writes it by "
      "building a tiny model of every pair (`--json` lists each pair); change the components, not "
      "this page.\n";
  text +=
      choices_section(dims) + counts_section(dims, pairs) + alone_section(dims, meetings, alone);
  text +=
      "\n"
      "## Exceptions\n\n"
      "`+` works, a number is that of the reason below, `-` is refused on its own.\n" +
      exceptions + "\n";
  for (size_t i = 0; i < reasons.size(); ++i) text += fmt::format("{}. {}\n", i + 1, reasons[i]);
  return text;
}

Json combinations_json() {
  const std::vector<Dimension> dims = dimensions();
  Json out = {{"dimensions", Json::array()}, {"pairs", Json::array()}};
  for (const Dimension& d : dims) {
    Json& entry = out["dimensions"].emplace_back(Json{
        {"name", d.name}, {"key", fmt::format("model.{}", d.key)}, {"choices", Json::array()}});
    for (const Choice& c : d.choices) entry["choices"].push_back(c.name);
  }
  const auto named = [&](size_t dimension, size_t choice) {
    return Json{{"dimension", dims[dimension].name},
                {"choice", dims[dimension].choices[choice].name}};
  };
  for (const Meeting& m : all_meetings(dims))
    out["pairs"].push_back({{"a", named(m.dimension, m.choice)},
                            {"b", named(m.other_dimension, m.other_choice)},
                            {"works", m.refusal.empty()},
                            {"reason", m.refusal}});
  return out;
}

}  // namespace lathe
