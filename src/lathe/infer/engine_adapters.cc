// What acts on each request of the engine beside the model: adapters by name, steering vectors.
#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"

namespace lathe {

void Engine::load_adapter(const std::string& name, std::shared_ptr<const LoraAdapter> adapter) {
  const std::string why = adapter != nullptr ? adapter->why_not(model_) : "";
  require(why.empty(), ErrorKind::kData, name, "{}", why);
  adapters_.load(name, std::move(adapter));
}

bool Engine::unload_adapter(const std::string& name) { return adapters_.unload(name); }

std::vector<std::string> Engine::adapters() const { return adapters_.names(); }

std::vector<std::string> Engine::load_adapters(
    const std::vector<std::shared_ptr<const LoraAdapter>>& all) {
  std::vector<std::string> names;
  for (const auto& adapter : all) {
    names.push_back(std::to_string(names.size() + 1));
    load_adapter(names.back(), adapter);
  }
  return names;
}

// Errors: kData for a name that is not loaded, and for vectors of another model.
Adaptation Engine::adaptation_of(const Request& request) const {
  Adaptation what{.loras = adapters_.find(request.adapters), .steering = request.steering};
  if (!what.steering) return what;
  require(what.steering->vectors != nullptr && std::isfinite(what.steering->scale),
          ErrorKind::kData, "steering", "there are no vectors, or their scale is not a number");
  const std::string why = what.steering->vectors->why_not(model_.config());
  require(why.empty(), ErrorKind::kData, "steering", "{}", why);
  return what;
}

// Sequences with the same adapters next to each other: their rows are multiplied together.
void Engine::group_by_adapters(std::vector<Scheduler::Share>& shares) const {
  const auto identity = [&](const Scheduler::Share& share) -> const std::string& {
    return sequences_.at(share.id)->job->adaptation_identity;
  };
  if (std::ranges::all_of(shares, [&](const auto& share) { return identity(share).empty(); }))
    return;
  std::ranges::stable_sort(shares, {}, identity);
}

std::unique_ptr<RowAdapters> Engine::adapters_of(const std::vector<Scheduler::Share>& shares,
                                                 const Sequences& rows,
                                                 const Sequences* text) const {
  std::vector<Adaptation> all;
  bool any = false;
  for (const auto& share : shares) {
    all.push_back(sequences_.at(share.id)->job->adaptation);
    any = any || !all.back().empty();
  }
  return any ? std::make_unique<RowAdapters>(std::move(all), rows, text) : nullptr;
}

}  // namespace lathe
