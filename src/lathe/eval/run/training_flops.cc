#include "lathe/eval/run/training_flops.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kTrained = {"model", "checkpoint", "adapter"};

// Of this artefact alone. One that was made from another without training has none.
std::optional<double> own_flops(const Manifest& manifest, const fs::path& file) {
  if (manifest.facts.empty()) return std::nullopt;
  const auto facts = parse_json(manifest.facts, file.string());
  const auto found = facts.find("flops");
  return found != facts.end() && found->is_number() ? std::optional(found->get<double>())
                                                    : std::nullopt;
}

std::optional<double> flops_of(const fs::path& artefact, std::vector<fs::path>& above) {
  const auto file = find_manifest(artefact);
  if (!file) return std::nullopt;
  const fs::path identity = fs::weakly_canonical(*file);
  require(std::ranges::find(above, identity) == above.end(), ErrorKind::kFormat, file->string(),
          "names itself among its own ancestors; a manifest was edited");
  above.push_back(identity);
  const Manifest manifest = read_manifest(*file);
  const std::optional<double> own = own_flops(manifest, *file);
  double sum = own.value_or(0);
  bool known = own.has_value();
  for (const ArtefactRef& input : manifest.inputs) {
    if (std::ranges::find(kTrained, input.kind) == kTrained.end()) continue;
    const auto before = flops_of(locate(input, file->parent_path()), above);
    if (!before) return std::nullopt;
    sum += *before;
    known = true;
  }
  above.pop_back();
  return known ? std::optional(sum) : std::nullopt;
}

}  // namespace

std::optional<double> training_flops(const fs::path& model) {
  std::vector<fs::path> above;
  return flops_of(model, above);
}

}  // namespace lathe
