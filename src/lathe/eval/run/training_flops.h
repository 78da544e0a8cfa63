// What the training of a model cost.
#pragma once

#include <filesystem>
#include <optional>

namespace lathe {

// FLOPs, forward and backward, of the run that made a model, a checkpoint or an adapter, and of those that made what it began
// from, as their manifests say it. nullopt where one of them does not, as of a model from elsewhere. Errors: kFormat for a
// damaged manifest, and for one that names itself among its ancestors.
std::optional<double> training_flops(const std::filesystem::path& model);

}  // namespace lathe
