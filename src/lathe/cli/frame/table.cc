#include "lathe/cli/frame/table.h"

#include <algorithm>

namespace lathe {
namespace {

// Places in a terminal, which are as many as characters that do not continue one in UTF-8.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string table_text(const std::vector<TableColumn>& columns) {
  std::vector<std::string> lines(columns.empty() ? 0 : columns[0].cells.size() + 1);
  for (const TableColumn& column : columns) {
    size_t width = width_of(column.title);
    for (const std::string& cell : column.cells) width = std::max(width, width_of(cell));
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string& cell = i == 0 ? column.title : column.cells[i - 1];
      const std::string blanks(width - width_of(cell), ' ');
      lines[i] += column.is_number ? blanks + cell + "  " : cell + blanks + "  ";
    }
  }
  std::string text;
  for (const std::string& line : lines)
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  return text;
}

}  // namespace lathe
