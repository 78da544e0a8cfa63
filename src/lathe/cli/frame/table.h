// Tables in a terminal.
#pragma once

#include <string>
#include <vector>

namespace lathe {

struct TableColumn {
  std::string title;
  bool is_number;  // set to the right
  std::vector<std::string> cells;
};

// Lines of equal columns, the titles first; all columns have as many cells.
std::string table_text(const std::vector<TableColumn>& columns);

}  // namespace lathe
