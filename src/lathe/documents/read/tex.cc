// LaTeX: sections and paragraphs of what is between \begin{document} and \end{document}.
#include <algorithm>
#include <cctype>

#include "lathe/documents/read/readers.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

constexpr std::string_view kHeadings[] = {"part",       "chapter",       "section",
                                          "subsection", "subsubsection", "paragraph"};

// Without commands, comments and braces; what commands are given stays.
std::string words_of(std::string_view tex) {
  std::string out;
  for (size_t i = 0; i < tex.size(); ++i) {
    const char c = tex[i];
    if (c == '%' && (i == 0 || tex[i - 1] != '\\')) {
      i = std::min(tex.find('\n', i), tex.size()) - 1;
    } else if (c == '\\' && i + 1 < tex.size()) {
      size_t end = i + 1;
      while (end < tex.size() && std::isalpha(static_cast<unsigned char>(tex[end])) != 0) ++end;
      if (end == i + 1)
        out += tex[++i];
      else
        i = end - 1;
    } else if (c != '{' && c != '}') {
      out += c == '~' || c == '\n' ? ' ' : c;
    }
  }
  return out;
}

// What stands between the braces behind the command at the beginning of `line`.
std::string argument_of(std::string_view line) {
  const size_t open = line.find('{');
  if (open == std::string_view::npos) return {};
  size_t depth = 0;
  for (size_t i = open; i < line.size(); ++i) {
    depth += line[i] == '{' ? 1 : 0;
    if (line[i] == '}' && --depth == 0)
      return std::string(without_blanks(words_of(line.substr(open + 1, i - open - 1))));
  }
  return std::string(without_blanks(words_of(line.substr(open + 1))));
}

// The level of a heading, from 1; 0 if the line is none.
int heading_level(std::string_view line) {
  if (!line.starts_with('\\')) return 0;
  const size_t end = line.find_first_of("{*[");
  if (end == std::string_view::npos) return 0;
  const auto it = std::ranges::find(kHeadings, line.substr(1, end - 1));
  return it == std::end(kHeadings) ? 0 : static_cast<int>(it - std::begin(kHeadings)) + 1;
}

}  // namespace

Document read_tex(std::string_view text) {
  constexpr std::string_view kBegin = "\\begin{document}", kEnd = "\\end{document}";
  const std::vector<Line> lines = lines_of(text);
  Document out;
  const auto at = [&](size_t i) { return without_blanks(in(text, lines[i])); };
  const auto add = [&](size_t first, size_t last, Kind kind, int level) {
    const size_t before = out.stretches.size();
    add_lines(out, text, lines, first, last, kind);
    if (out.stretches.size() == before) return;
    Stretch& added = out.stretches.back();
    added.level = level;
    const std::string_view bytes = in(text, {added.begin, added.end});
    added.words = level > 0 ? argument_of(bytes) : std::string(without_blanks(words_of(bytes)));
    if (added.words.empty()) out.stretches.pop_back();
  };
  size_t first = 0;
  for (size_t i = 0; i < lines.size(); ++i)
    if (at(i).starts_with("\\title{")) out.title = argument_of(at(i));
  for (size_t i = 0; i < lines.size(); ++i)
    if (at(i).starts_with(kBegin)) first = i + 1;
  size_t i = first;
  for (; i < lines.size() && !at(i).starts_with(kEnd); ++i) {
    if (const int level = heading_level(at(i)); level > 0) {
      add(first, i, Kind::kText, 0);
      add(i, i + 1, Kind::kHeading, level);
      first = i + 1;
    } else if (at(i).empty()) {
      add(first, i, Kind::kText, 0);
      first = i + 1;
    }
  }
  add(first, i, Kind::kText, 0);
  return out;
}

}  // namespace lathe
