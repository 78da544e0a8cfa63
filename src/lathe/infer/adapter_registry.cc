#include "lathe/infer/adapter_registry.h"

#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {

void AdapterRegistry::retire(const Adapter& adapter) {
  std::erase_if(retired_, [](const auto& each) { return each.expired(); });
  retired_.push_back(adapter);
}

void AdapterRegistry::load(const std::string& name, Adapter adapter) {
  require(!name.empty() && adapter != nullptr, ErrorKind::kData, "adapter",
          "an adapter needs a name");
  const std::lock_guard lock(mutex_);
  Adapter& place = loaded_[name];
  if (place != nullptr) retire(place);
  place = std::move(adapter);
}

bool AdapterRegistry::unload(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(name);
  if (found == loaded_.end()) return false;
  retire(found->second);
  loaded_.erase(found);
  return true;
}

std::vector<AdapterRegistry::Adapter> AdapterRegistry::find(
    std::span<const std::string> names) const {
  const std::lock_guard lock(mutex_);
  std::vector<Adapter> all;
  for (const std::string& name : names) {
    const auto found = loaded_.find(name);
    if (found == loaded_.end()) {
      std::vector<std::string> known;
      for (const auto& [each, adapter] : loaded_) known.push_back(each);
      fail(ErrorKind::kData, "adapters", "'{}' is not loaded; {}", name,
           known.empty() ? "load it first, or ask without an adapter"
                         : fmt::format("expected one of {}", join(known, ", ")));
    }
    all.push_back(found->second);
  }
  return all;
}

std::vector<std::string> AdapterRegistry::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [name, adapter] : loaded_) all.push_back(name);
  return all;
}

size_t AdapterRegistry::bytes() const {
  const std::lock_guard lock(mutex_);
  std::set<const LoraAdapter*> counted;
  size_t sum = 0;
  const auto add = [&](const LoraAdapter* adapter) {
    if (adapter != nullptr && counted.insert(adapter).second) sum += adapter->bytes();
  };
  for (const auto& [name, adapter] : loaded_) add(adapter.get());
  for (const auto& adapter : retired_) add(adapter.lock().get());
  return sum;
}

}  // namespace lathe
