#include "lathe/eval/task/data_files.h"

#include <algorithm>
#include <array>
#include <optional>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr std::array<std::string_view, 3> kEndings = {"", ".gz", ".zst"};

struct NamePattern {
  std::string before, field, after;
};

std::optional<NamePattern> pattern_of(const std::filesystem::path& name) {
  const std::string last = name.filename().string();
  const size_t open = last.find('{'), close = last.find('}');
  if (open == std::string::npos) return std::nullopt;
  require(close != std::string::npos && close > open + 1 &&
              last.find('{', open + 1) == std::string::npos,
          ErrorKind::kConfig, name.string(),
          "a file's name has one {{field}} at most, expected as in val/{{subject}}_val.csv");
  return NamePattern{last.substr(0, open), last.substr(open + 1, close - open - 1),
                     last.substr(close + 1)};
}

// What stands for the field; empty if the name does not match.
std::string field_in(std::string_view name, const NamePattern& pattern) {
  for (const std::string_view ending : kEndings) {
    const std::string after = pattern.after + std::string(ending);
    if (name.size() > pattern.before.size() + after.size() && name.starts_with(pattern.before) &&
        name.ends_with(after))
      return std::string(
          name.substr(pattern.before.size(), name.size() - pattern.before.size() - after.size()));
  }
  return "";
}

}  // namespace

std::vector<DataFile> data_files(const std::filesystem::path& name) {
  std::vector<DataFile> files;
  std::error_code missing;
  const std::optional<NamePattern> pattern = pattern_of(name);
  if (!pattern) {
    for (const std::string_view ending : kEndings)
      if (std::filesystem::path file = name; std::filesystem::exists(file += ending, missing))
        return {{.file = file}};
    return {};
  }
  const std::filesystem::path folder = name.has_parent_path() ? name.parent_path() : ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    const std::string field = field_in(entry.path().filename().string(), *pattern);
    if (!field.empty()) files.push_back({entry.path(), {{pattern->field, field}}});
  }
  std::ranges::sort(files, {}, [](const DataFile& each) { return each.file; });
  return files;
}

std::string with_fields(const std::string& name, const nlohmann::ordered_json& row,
                        const std::string& place) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const size_t open = std::min(name.find('{', at), name.size());
    out += name.substr(at, open - at);
    const size_t close = name.find('}', open);
    if (close == std::string::npos) return out + name.substr(open);
    const std::string field = name.substr(open + 1, close - open - 1);
    require(row.contains(field) && row[field].is_string(), ErrorKind::kData, place,
            "the row has no text '{}', which the name of the file {} asks for", field, name);
    out += row[field].get<std::string>();
    at = close + 1;
  }
  return out;
}

void require_data(const TaskConfig& config, const std::filesystem::path& name) {
  if (!config.get || !data_files(name).empty()) return;
  fail(ErrorKind::kIo, name.string(), "does not exist. To get it: {}{}", *config.get,
       config.is_builtin ? fmt::format(". Keep these names below {}, or name the folder that they "
                                       "are in with --task-data",
                                       config.folder.string())
                         : "");
}

}  // namespace lathe
