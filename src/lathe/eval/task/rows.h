// The rows of a task's data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lathe {

struct TaskRow {
  nlohmann::ordered_json fields;  // an object
  int64_t line = 0;               // where it begins in the file, from 1
};

struct TaskRows {
  std::filesystem::path file;
  std::vector<TaskRow> rows;

  std::string place(size_t row) const;  // "FILE:LINE"
};

// JSON lines or an array of objects; by the name's ending .csv: the first record has the names. Each may be packed
// (io/packed_file.h). Errors: kIo, kFormat; kData, naming file and line, for a row that is no object or of another
// number of fields, and for a file without rows.
TaskRows read_task_rows(const std::filesystem::path& file);

}  // namespace lathe
