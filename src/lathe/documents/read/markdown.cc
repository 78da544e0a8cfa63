// Markdown and reStructuredText, as far as their form says what belongs together.
#include <algorithm>

#include "lathe/documents/read/readers.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

// "## Title ##"
bool heading(std::string_view line, int& level, std::string& title) {
  const size_t marks = std::min(line.find_first_not_of('#'), line.size());
  if (marks < 1 || marks > 6 || marks == line.size() || (line[marks] != ' ' && line[marks] != '\t'))
    return false;
  std::string_view rest = without_blanks(line.substr(marks));
  while (rest.ends_with('#')) rest.remove_suffix(1);
  level = static_cast<int>(marks);
  title = without_blanks(rest);
  return !title.empty();
}

bool is_fence(std::string_view line) { return line.starts_with("```") || line.starts_with("~~~"); }

// "- ", "* ", "+ ", "12. ", "3) "
bool is_item(std::string_view line) {
  if (line.size() > 1 && (line[0] == '-' || line[0] == '*' || line[0] == '+') && line[1] == ' ')
    return true;
  const size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
  return digits > 0 && digits < 10 && digits + 1 < line.size() &&
         (line[digits] == '.' || line[digits] == ')') && line[digits + 1] == ' ';
}

bool is_rule(std::string_view line, std::string_view marks) {
  return line.size() >= 3 && marks.find(line[0]) != std::string_view::npos &&
         line.find_first_not_of(line[0]) == std::string_view::npos;
}

// A row of a table says its columns' names, too.
std::string row_words(std::string_view header, std::string_view row) {
  const auto cells = [](std::string_view line) {
    std::vector<std::string_view> out;
    line = without_blanks(line);
    if (line.starts_with('|')) line.remove_prefix(1);
    while (!line.empty()) {
      const size_t end = std::min(line.find('|'), line.size());
      out.push_back(without_blanks(line.substr(0, end)));
      line.remove_prefix(std::min(line.size(), end + 1));
    }
    return out;
  };
  const auto names = cells(header), values = cells(row);
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!out.empty()) out += "; ";
    if (i < names.size() && !names[i].empty()) out += std::string(names[i]) + ": ";
    out += values[i];
  }
  return out;
}

class Markdown {
 public:
  explicit Markdown(std::string_view text) : text_(text), lines_(lines_of(text)) {}

  Document read() {
    for (size_t i = 0; i < lines_.size();) i = take(i);
    end_block(lines_.size());
    return std::move(out_);
  }

 private:
  std::string_view line(size_t i) const { return without_blanks(in(text_, lines_[i])); }

  void end_block(size_t i) {
    add_lines(out_, text_, lines_, first_, i, kind_);
    first_ = i;
    kind_ = Kind::kText;
  }

  void add_heading(size_t i, size_t lines, int level, std::string title) {
    end_block(i);
    add_lines(out_, text_, lines_, i, i + lines, Kind::kHeading);
    out_.stretches.back().level = level;
    out_.stretches.back().words = std::move(title);
    first_ = i + lines;
  }

  size_t take_code(size_t i) {
    end_block(i);
    const std::string_view fence = line(i).substr(0, 3);
    size_t end = i + 1;
    while (end < lines_.size() && !line(end).starts_with(fence)) ++end;
    end = std::min(end + 1, lines_.size());
    add_lines(out_, text_, lines_, i, end, Kind::kCode);
    return first_ = end;
  }

  size_t take_table(size_t i) {
    end_block(i);
    size_t row = i + 2;
    for (; row < lines_.size() && line(row).find('|') != std::string_view::npos; ++row) {
      // The first row has the header's lines.
      add_lines(out_, text_, lines_, row == i + 2 ? i : row, row + 1, Kind::kRow);
      out_.stretches.back().words = row_words(line(i), line(row));
    }
    return first_ = row;
  }

  bool begins_table(size_t i) const {
    return i + 2 < lines_.size() && line(i).find('|') != std::string_view::npos &&
           line(i + 1).find('-') != std::string_view::npos &&
           line(i + 1).find_first_not_of("|-: \t") == std::string_view::npos &&
           line(i + 1).find('|') != std::string_view::npos;
  }

  // The line after what begins with line `i`.
  size_t take(size_t i) {
    const std::string_view here = line(i);
    int level = 0;
    std::string title;
    if (is_fence(here)) return take_code(i);
    if (heading(here, level, title)) {
      add_heading(i, 1, level, std::move(title));
      return i + 1;
    }
    const bool starts = first_ == i;
    if (starts && i + 1 < lines_.size() && !here.empty() && !is_item(here) &&
        is_rule(line(i + 1), "=-")) {
      add_heading(i, 2, line(i + 1)[0] == '=' ? 1 : 2, std::string(here));
      return i + 2;
    }
    if (begins_table(i)) return take_table(i);
    if (here.empty()) {
      end_block(i);
      first_ = i + 1;
    } else if (is_item(here)) {
      end_block(i);
      kind_ = Kind::kItem;
    }
    return i + 1;
  }

  std::string_view text_;
  std::vector<Line> lines_;
  Document out_;
  size_t first_ = 0;
  Kind kind_ = Kind::kText;
};

}  // namespace

Document read_markdown(std::string_view text) { return Markdown(text).read(); }

// A heading is a line with one of marks under it (and perhaps over it); the order in which marks come is that of levels.
Document read_rst(std::string_view text) {
  constexpr std::string_view kMarks = "=-~^\"'`#*+.:_<>";
  const std::vector<Line> lines = lines_of(text);
  Document out;
  std::string order;
  size_t first = 0;
  const auto at = [&](size_t i) { return without_blanks(in(text, lines[i])); };
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool under = i + 1 < lines.size() && !at(i).empty() && !is_rule(at(i), kMarks) &&
                       is_rule(at(i + 1), kMarks) && at(i + 1).size() + 1 >= at(i).size() &&
                       (i == 0 || at(i - 1).empty() || is_rule(at(i - 1), kMarks));
    if (under) {
      const bool over = i > 0 && is_rule(at(i - 1), kMarks);
      add_lines(out, text, lines, first, i - (over ? 1 : 0), Kind::kText);
      add_lines(out, text, lines, i, i + 1, Kind::kHeading);
      const char mark = at(i + 1)[0];
      if (order.find(mark) == std::string::npos) order += mark;
      out.stretches.back().level = static_cast<int>(order.find(mark)) + 1;
      out.stretches.back().words = at(i);
      first = i + 2;
      ++i;
    } else if (at(i).empty()) {
      add_lines(out, text, lines, first, i, Kind::kText);
      first = i + 1;
    }
  }
  add_lines(out, text, lines, first, lines.size(), Kind::kText);
  return out;
}

}  // namespace lathe
