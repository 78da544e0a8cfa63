// The adapters that requests may name. Any thread may use it at any time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/model/adapter/lora_adapter.h"

namespace lathe {

class AdapterRegistry {
 public:
  using Adapter = std::shared_ptr<const LoraAdapter>;

  // Takes the place of another one of this name. Requests that were taken keep what they had.
  void load(const std::string& name, Adapter adapter);
  // Requests that were taken keep it, and its memory is given back when the last of them ends. False
  // if there is none of this name.
  bool unload(const std::string& name);
  // Those of the names, in their order. Error kData, with the names that there are, for one that is
  // none of them.
  std::vector<Adapter> find(std::span<const std::string> names) const;

  std::vector<std::string> names() const;
  // Of all that are loaded, and of those that were unloaded and are in use still.
  size_t bytes() const;

 private:
  void retire(const Adapter& adapter);

  mutable std::mutex mutex_;
  std::map<std::string, Adapter> loaded_;
  std::vector<std::weak_ptr<const LoraAdapter>> retired_;
};

}  // namespace lathe
