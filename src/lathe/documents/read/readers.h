// The readers of single formats; document.cc lists them with their extensions.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "lathe/documents/read/document.h"

namespace lathe {

Document read_plain(std::string_view text);     // paragraphs between empty lines
Document read_markdown(std::string_view text);  // headings, fenced code, items, tables
Document read_rst(std::string_view text);       // headings by the line under them
Document read_html(std::string_view text);      // blocks; scripts and styles are left out
Document read_json(std::string_view text);      // the texts in it
Document read_json_lines(std::string_view text);
Document read_csv(std::string_view text);     // rows, with the names of their columns
Document read_tex(std::string_view text);     // sections and paragraphs, from \begin{document} on
Document read_source(std::string_view text);  // blocks between empty lines that start at the margin

// The lines of a text as [begin, end), without their ends. "\r\n" ends a line, too.
struct Line {
  int64_t begin, end;
};
std::vector<Line> lines_of(std::string_view text);
std::string_view in(std::string_view text, const Line& line);
std::string_view without_blanks(std::string_view text);
// Adds a stretch of the lines from `first` to before `last`, unless they are blank.
void add_lines(Document& out, std::string_view text, const std::vector<Line>& lines, size_t first,
               size_t last, Stretch::Kind kind);

}  // namespace lathe
