// Fields that rows get from other files.
#pragma once

#include "lathe/eval/task/rows.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {

// A field that a row has already stays as it is. Errors: kIo, those of require_data(); kData, naming the row, for one without the field that
// joins, or for which the other file has no row.
void join_rows(TaskRows& rows, const TaskConfig& config);

}  // namespace lathe
