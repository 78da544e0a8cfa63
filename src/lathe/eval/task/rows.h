// The rows of a task's data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct TaskRow {
  nlohmann::ordered_json fields;  // an object
  int64_t line = 0;               // where it begins in the file, from 1
  size_t file = 0;                // which of TaskRows::files
};

struct TaskRows {
  std::filesystem::path file;  // as it was named
  std::vector<std::filesystem::path>
      files;  // that were read: those with rows, then those that were joined to them
  std::vector<TaskRow> rows;

  std::string place(size_t row) const;  // "FILE:LINE"
};

// JSON lines or an array of objects; by the name's ending .csv: the first record has the names. Each may be packed
// (io/packed_file.h). `file` may stand for several (data_files.h), whose rows get the field of its name. With `records`
// a JSON file is one object, of which that field is the array. Errors: kIo, kFormat; kData, naming file and line, for a
// row that is no object or of another number of fields, and for a file without rows.
TaskRows read_task_rows(const std::filesystem::path& file,
                        const std::optional<std::string>& records = {});

}  // namespace lathe
