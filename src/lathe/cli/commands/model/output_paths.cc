#include "lathe/cli/commands/model/output_paths.h"

#include <filesystem>

#include "lathe/base/error.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

bool is_device(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

bool are_one(const fs::path& a, const fs::path& b) {
  std::error_code of_a, of_b;
  const fs::path whole_a = fs::weakly_canonical(fs::absolute(a), of_a),
                 whole_b = fs::weakly_canonical(fs::absolute(b), of_b);
  return !of_a && !of_b && whole_a == whole_b && !is_device(a);
}

void check_apart(const NamedPath& output, const NamedPath& other, std::string_view what) {
  require(!other.path || !are_one(*output.path, *other.path), ErrorKind::kUsage, output.name,
          "is '{}', which is also {} ({}); give another name", *output.path, other.name, what);
}

}  // namespace

void check_outputs(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].path) continue;
    const fs::path folder = fs::absolute(*outputs[i].path).parent_path();
    std::error_code error;
    require(fs::is_directory(folder, error), ErrorKind::kUsage, outputs[i].name,
            "is '{}', but there is no folder {}; create it first", *outputs[i].path,
            folder.string());
    for (const NamedPath& input : inputs) check_apart(outputs[i], input, "which is read");
    for (size_t j = 0; j < i; ++j) check_apart(outputs[i], outputs[j], "which is written too");
  }
}

}  // namespace lathe
