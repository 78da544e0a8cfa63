// Fields that rows get from other files.
#pragma once

#include <filesystem>
#include <vector>

#include "lathe/eval/task/rows.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {

// A field that a row has already stays as it is. Errors: kIo; kData, naming the row, for one without the field that
// joins, or for which the other file has no row.
void join_rows(TaskRows& rows, const std::vector<RowJoin>& joins,
               const std::filesystem::path& folder);

}  // namespace lathe
