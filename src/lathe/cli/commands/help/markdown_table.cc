#include "lathe/cli/commands/help/markdown_table.h"

#include "lathe/base/strings.h"

namespace lathe {
namespace {

// A bar in a cell would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

MarkdownTable::MarkdownTable(const std::vector<std::string>& columns)
    : text_("| " + join(columns, " | ") + " |\n|") {
  for (size_t i = 0; i < columns.size(); ++i) text_ += "---|";
  text_ += "\n";
}

void MarkdownTable::row(const std::vector<std::string>& cells) {
  text_ += "|";
  for (const std::string& c : cells) text_ += " " + cell(c) + " |";
  text_ += "\n";
}

}  // namespace lathe
