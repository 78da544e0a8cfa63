#include "lathe/train/lineage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/io/atomic_file.h"
#include "lathe/io/hash.h"
#include "lathe/io/output_folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

}  // namespace

Manifest Lineage::manifest(std::string_view kind, const Recipe& recipe,
                           const RunTotals& totals) const {
  Manifest manifest = new_manifest(kind, command);
  manifest.threads = threads;
  manifest.seed = recipe.train.seed;
  manifest.recipe = write_recipe(recipe).dump();
  Json facts = {{"steps", totals.steps},
                {"updates", totals.updates},
                {"tokens", totals.tokens},
                {"flops", totals.flops}};
  if (!branches.empty()) facts["branches"] = branches;
  manifest.facts = facts.dump();
  manifest.inputs = inputs;
  return manifest;
}

void Lineage::complete_checkpoint(const Recipe& recipe, const fs::path& folder,
                                  const fs::path& final_path, const Json& state) const {
  for (const auto& [name, text] : files) write_file_atomically(folder / name, text);
  Manifest manifest = this->manifest("checkpoint", recipe,
                                     {.steps = state.at("step").get<int64_t>(),
                                      .updates = state.at("updates").get<int64_t>(),
                                      .tokens = state.at("tokens").get<int64_t>(),
                                      .flops = state.at("flops").get<double>()});
  const Json& known = state.at("files");
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    manifest.outputs.push_back(
        {name, name, "file",
         known.contains(name) ? known[name].get<std::string>() : hash_file(entry.path())});
  }
  std::ranges::sort(manifest.outputs, {}, &ArtefactRef::path);
  write_manifest(manifest_path(folder, true), manifest, manifest_path(final_path, true));
}

void Lineage::write_result(std::string_view kind, const Recipe& recipe, const fs::path& target,
                           const RunTotals& totals,
                           const std::function<void(const fs::path& folder)>& write) const {
  AtomicDirectory folder = make_output_folder({.path = target, .overwrite = true});
  write(folder.temporary());
  Manifest manifest = this->manifest(kind, recipe, totals);
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(target, true));
  folder.commit();
}

}  // namespace lathe
