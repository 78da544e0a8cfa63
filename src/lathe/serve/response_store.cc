#include "lathe/serve/response_store.h"

#include <vector>

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// Of its text, which is about what it takes in memory.
int64_t bytes_of(const Json& json) {
  return std::ssize(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Json all_messages(const std::shared_ptr<const StoredTurns>& last) {
  std::vector<const StoredTurns*> turns;
  for (const StoredTurns* one = last.get(); one != nullptr; one = one->before.get())
    turns.push_back(one);
  Json out = Json::array();
  for (auto it = turns.rbegin(); it != turns.rend(); ++it)
    out.insert(out.end(), (*it)->messages.begin(), (*it)->messages.end());
  return out;
}

void ResponseStore::keep(const std::string& id, StoredResponse response) {
  const int64_t bytes = bytes_of(response.body) + bytes_of(response.turns->messages);
  const std::lock_guard lock(mutex_);
  if (most_ < 1 || bytes > most_bytes_) return;
  entries_.push_back({id, std::move(response), bytes});
  by_id_[id] = std::prev(entries_.end());
  bytes_ += bytes;
  while (std::ssize(entries_) > most_ || bytes_ > most_bytes_) drop(entries_.begin());
}

void ResponseStore::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_id_.erase(entry->id);
  entries_.erase(entry);
}

std::optional<StoredResponse> ResponseStore::find(const std::string& id, std::string_view owner) {
  const std::lock_guard lock(mutex_);
  const auto it = by_id_.find(id);
  if (it == by_id_.end() || it->second->response.owner != owner) return std::nullopt;
  return it->second->response;
}

bool ResponseStore::forget(const std::string& id, std::string_view owner) {
  const std::lock_guard lock(mutex_);
  const auto it = by_id_.find(id);
  if (it == by_id_.end() || it->second->response.owner != owner) return false;
  drop(it->second);
  return true;
}

}  // namespace lathe
