// The generations that are open, by the ids that their clients know.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lathe/serve/generation.h"

namespace lathe {

// Thread-safe.
class OpenRequests {
 public:
  void add(const std::string& id, const std::shared_ptr<Generation>& generation);
  // Null if it is over, or never was.
  std::shared_ptr<Generation> find(const std::string& id);
  std::vector<std::pair<std::string, Generation::State>> states();
  // Ends those that are older with an error.
  void end_older_than(double seconds);

 private:
  void forget_ended();
  std::vector<std::pair<std::string, std::shared_ptr<Generation>>> all();

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Generation>> open_;
};

}  // namespace lathe
