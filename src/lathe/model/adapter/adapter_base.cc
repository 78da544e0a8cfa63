#include "lathe/model/adapter/adapter_base.h"

#include <map>

#include "lathe/base/error.h"
#include "lathe/io/hash.h"
#include "lathe/io/model_files.h"
#include "lathe/model/adapter/adapter_config.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// Of the weights alone: a copy may have another tokenizer or manifest.
std::map<std::string, std::string> weight_hashes(const fs::path& model) {
  if (!fs::is_directory(model)) return {{"", hash_file(model)}};
  std::map<std::string, std::string> hashes;
  for (const auto& entry : fs::directory_iterator(model)) {
    const std::string name = entry.path().filename().string();
    if (model_file_kind(name) == ModelFileKind::kWeights) hashes[name] = hash_file(entry.path());
  }
  return hashes;
}

}  // namespace

bool is_adapter(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "adapter_config.json", error);
}

void require_base(const fs::path& adapter, const fs::path& base, std::string_view key,
                  const Log& log) {
  const std::string named =
      read_adapter_config(adapter / "adapter_config.json").base_model_name_or_path.value_or("");
  std::error_code error;
  if (named.empty() || !fs::exists(named, error)) {
    log.warn(
        "{}: {} says that it was made for {}, which is not here to be compared with {}, the model that it is put "
        "above; it means something only if they are the same",
        key, adapter.string(), named.empty() ? "no model" : "'" + named + "'", base.string());
    return;
  }
  require(
      fs::equivalent(named, base, error) || weight_hashes(named) == weight_hashes(base),
      ErrorKind::kConfig, key,
      "{} is an adapter of {}, but the run starts from {}, another model; make a model of its own of it with `lathe "
      "merge {} --adapter {} --out DIR`, and give that DIR",
      adapter.string(), named, base.string(), named, adapter.string());
}

}  // namespace lathe
