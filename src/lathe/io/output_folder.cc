#include "lathe/io/output_folder.h"

#include <algorithm>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/io/model_files.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// What forbids to replace a folder, as the end of a sentence; absent when nothing does.
std::optional<std::string> why_kept(const fs::path& folder) {
  bool empty = true, model = false;
  std::error_code error;
  const fs::directory_iterator entries(folder, error);
  if (error) return fmt::format("it cannot be listed ({})", error.message());
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    const auto kind = model_file_kind(name);
    if (!kind || !entry.is_regular_file(error))
      return fmt::format("it holds '{}', which is not part of a folder of a model or an adapter", name);
    empty = false;
    model = model || name == "config.json" || name == "adapter_config.json" ||
            kind == ModelFileKind::kManifest;
  }
  if (empty || model) return std::nullopt;
  return "it is neither a model folder nor one of an adapter: it has no config.json";
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

// Without links; a path of which a part is no folder is refused where it is written to.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(fs::absolute(path), error);
  if (error) whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

AtomicDirectory make_output_folder(const OutputFolder& output) {
  const std::string name = output.path.string();
  require(!name.empty(), ErrorKind::kUsage, "output", "the name of the folder is empty; give one");
  const fs::path out = resolved(output.path);
  for (const fs::path& source : output.sources)
    require(!lies_in(resolved(source), out), ErrorKind::kUsage, name,
            "this is the input, {}, or a folder around it, which must not be changed; give another "
            "folder",
            source.string());
  std::error_code error;
  if (!fs::exists(fs::symlink_status(out, error))) return AtomicDirectory(out);
  require(fs::is_directory(out, error), ErrorKind::kIo, name,
          "already exists and is not a folder; choose another name");
  const auto kept = why_kept(out);
  require(!kept, ErrorKind::kIo, name,
          "already exists and is not replaced, because {}; choose another name", kept.value_or(""));
  require(output.overwrite, ErrorKind::kIo, name,
          "already exists; choose another name, or replace it with --overwrite");
  return AtomicDirectory(out, AtomicDirectory::IfExists::kReplace);
}

}  // namespace lathe
