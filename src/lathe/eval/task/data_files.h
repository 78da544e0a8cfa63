// The files that a name stands for.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lathe/eval/task/task_config.h"

namespace lathe {

struct DataFile {
  std::filesystem::path file;
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();  // that its name gives its rows
};

// Those that exist, in order of their names: the file itself, or packed as NAME.gz or NAME.zst. "val/{subject}_val.csv" is
// every file in val/ of which the name begins and ends like that; what stands between, not empty, is the field
// `subject`. There is one such place at most, in the last part of the name. Errors: kConfig for others.
std::vector<DataFile> data_files(const std::filesystem::path& name);

// With the text of the row's field for each {field}. Errors: kData at `place` for a field that the row does not have or
// that is no text.
std::string with_fields(const std::string& name, const nlohmann::ordered_json& row,
                        const std::string& place);

// Errors: kIo for a file of a task that says how it is got, and that does not exist. Others are errors when they are
// opened.
void require_data(const TaskConfig& config, const std::filesystem::path& name);

}  // namespace lathe
