#include "lathe/eval/task/joins.h"

#include <map>

#include "lathe/base/error.h"
#include "lathe/eval/task/data_files.h"
#include "lathe/io/packed_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostTextBytes = size_t{16} << 20;

std::string whole_text(const std::filesystem::path& file) {
  PackedFile packed(file);
  std::string text;
  while (packed.append_to(text))
    require(text.size() <= kMostTextBytes, ErrorKind::kData, file.string(),
            "is larger than {} bytes", kMostTextBytes);
  return text;
}

// One join; its files are read once.
class Join {
 public:
  Join(const TaskConfig& task, const RowJoin& config, TaskRows& rows)
      : task_(task), config_(config), rows_(rows) {}

  void add_to(Json& fields, const std::string& place) {
    const std::filesystem::path name = task_.folder / with_fields(config_.file, fields, place);
    if (config_.as) {
      const auto [text, is_new] = texts_.try_emplace(name);
      if (is_new) text->second = whole_text(found(name));
      fields[*config_.as] = text->second;
      return;
    }
    const auto [others, is_new] = others_.try_emplace(name);
    if (is_new) others->second = by_value(name);
    const std::string& on = *config_.on;
    require(fields.contains(on), ErrorKind::kData, place, "the row has no '{}' to join by", on);
    const auto other = others->second.find(fields[on].dump());
    require(other != others->second.end(), ErrorKind::kData, place,
            "{} has no row whose '{}' is {}", name.string(), on, fields[on].dump());
    for (const auto& [key, value] : other->second.items())
      if (!fields.contains(key)) fields[key] = value;
  }

 private:
  using RowsByValue = std::map<std::string, Json>;

  std::filesystem::path found(const std::filesystem::path& name) {
    require_data(task_, name);
    const std::vector<DataFile> files = data_files(name);
    rows_.files.push_back(files.empty() ? name : files[0].file);
    return rows_.files.back();  // one that is missing is an error when it is opened
  }

  RowsByValue by_value(const std::filesystem::path& name) {
    RowsByValue all;
    const TaskRows others = read_task_rows(found(name));
    for (size_t row = 0; row < others.rows.size(); ++row) {
      const Json& fields = others.rows[row].fields;
      require(fields.contains(*config_.on), ErrorKind::kData, others.place(row),
              "the row has no '{}' to join by", *config_.on);
      require(all.try_emplace(fields[*config_.on].dump(), fields).second, ErrorKind::kData,
              others.place(row), "a row before this one has the same '{}'", *config_.on);
    }
    return all;
  }

  const TaskConfig& task_;
  const RowJoin& config_;
  TaskRows& rows_;
  std::map<std::filesystem::path, std::string> texts_;
  std::map<std::filesystem::path, RowsByValue> others_;
};

}  // namespace

void join_rows(TaskRows& rows, const TaskConfig& config) {
  for (const RowJoin& each : config.join) {
    Join join(config, each, rows);
    for (size_t row = 0; row < rows.rows.size(); ++row)
      join.add_to(rows.rows[row].fields, rows.place(row));
  }
}

}  // namespace lathe
