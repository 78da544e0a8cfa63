#include "lathe/corpus/validation_part.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/io/hash.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

uint64_t content_hash(std::string_view text) {
  const std::string hex = hash_text(text);
  uint64_t value = 0;
  std::from_chars(hex.data(), hex.data() + 16, value, 16);
  return value;
}

std::string prefix_of(const std::string& out) { return out + "-valid"; }

bool has_part(const std::string& out) {
  std::error_code error;
  return fs::exists(prefix_of(out) + ".bin", error) || fs::exists(prefix_of(out) + ".idx", error);
}

// Whether the manifest of OUT-valid says that `lathe shard --out OUT --val-fraction` made it.
bool is_from_a_split(const Manifest& manifest, const std::string& out) {
  if (manifest.kind != "shard" || manifest.recipe.empty()) return false;
  const auto recipe = parse_json(manifest.recipe, prefix_of(out));
  if (!recipe.is_object() || !recipe.contains("out") || !recipe["out"].is_string()) return false;
  return fs::path(recipe["out"].get<std::string>()).filename() == fs::path(out).filename();
}

}  // namespace

bool ValidationSplit::is_validation(std::string_view text) {
  const uint64_t hash = content_hash(text), number = documents_++;
  const bool valid = draw_.uniform64(by_content_ ? hash : number) < fraction_;
  (valid ? validation_ : training_).push_back(hash);
  return valid;
}

int64_t ValidationSplit::validation_also_in_training() {
  std::sort(training_.begin(), training_.end());
  return std::count_if(validation_.begin(), validation_.end(), [&](uint64_t hash) {
    return std::binary_search(training_.begin(), training_.end(), hash);
  });
}

void refuse_foreign_validation_part(const std::string& out, const Log& log) {
  if (!has_part(out)) return;
  const std::string prefix = prefix_of(out);
  const fs::path manifest = manifest_path(prefix, false);
  std::error_code error;
  require(fs::exists(manifest, error), ErrorKind::kData, prefix,
          "is a shard without a manifest, so its documents may be among those of {}; remove {}.bin "
          "and {}.idx, or give another --out",
          out, prefix, prefix);
  if (!is_from_a_split(read_manifest(manifest), out))
    log.warn(
        "{} is kept, because another command made it. Make sure that its documents are not in {} "
        "as well",
        prefix, out);
}

bool remove_validation_part(const std::string& out) {
  const fs::path manifest = manifest_path(prefix_of(out), false);
  std::error_code error;
  if (!has_part(out) || !fs::exists(manifest, error)) return false;
  if (!is_from_a_split(read_manifest(manifest), out)) return false;
  for (const fs::path& path :
       {fs::path(prefix_of(out) + ".idx"), fs::path(prefix_of(out) + ".bin"), manifest}) {
    fs::remove(path, error);
    if (error) fail(ErrorKind::kIo, path.string(), "cannot be removed: {}", error.message());
  }
  return true;
}

}  // namespace lathe
