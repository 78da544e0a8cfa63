// A table of a generated page, in Markdown.
#pragma once

#include <string>
#include <vector>

namespace lathe {

class MarkdownTable {
 public:
  explicit MarkdownTable(const std::vector<std::string>& columns);
  // One cell for each column; bars in them are escaped.
  void row(const std::vector<std::string>& cells);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace lathe
