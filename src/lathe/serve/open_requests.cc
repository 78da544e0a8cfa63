#include "lathe/serve/open_requests.h"

namespace lathe {

// With mutex_ held.
void OpenRequests::forget_ended() {
  std::erase_if(open_, [](const auto& entry) {
    const auto generation = entry.second.lock();
    return !generation || generation->over();
  });
}

void OpenRequests::add(const std::string& id, const std::shared_ptr<Generation>& generation) {
  const std::lock_guard lock(mutex_);
  forget_ended();
  open_[id] = generation;
}

std::shared_ptr<Generation> OpenRequests::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  forget_ended();
  const auto it = open_.find(id);
  return it == open_.end() ? nullptr : it->second.lock();
}

std::vector<std::pair<std::string, std::shared_ptr<Generation>>> OpenRequests::all() {
  const std::lock_guard lock(mutex_);
  forget_ended();
  std::vector<std::pair<std::string, std::shared_ptr<Generation>>> out;
  for (const auto& [id, weak] : open_)
    if (auto generation = weak.lock()) out.emplace_back(id, std::move(generation));
  return out;
}

std::vector<std::pair<std::string, Generation::State>> OpenRequests::states() {
  std::vector<std::pair<std::string, Generation::State>> out;
  for (const auto& [id, generation] : all()) out.emplace_back(id, generation->state());
  return out;
}

void OpenRequests::end_older_than(double seconds) {
  for (const auto& [id, generation] : all())
    if (generation->state().seconds > seconds)
      generation->fail(
          ApiError(504, fmt::format("not answered within {} seconds", seconds), {}, "timeout"));
}

}  // namespace lathe
