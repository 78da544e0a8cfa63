// Answers of /v1/responses that are kept, to be read again and to be gone on from.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lathe {

// The messages of a conversation, in the form of OpenAI's chat: those of one request and its answer, behind earlier
// ones, which several conversations may share.
struct StoredTurns {
  std::shared_ptr<const StoredTurns> before;
  nlohmann::ordered_json messages;
};
// All of them, from the first.
nlohmann::ordered_json all_messages(const std::shared_ptr<const StoredTurns>& last);

struct StoredResponse {
  std::string owner;  // only who gives the same key finds it
  nlohmann::ordered_json body;
  std::shared_ptr<const StoredTurns> turns;
};

// Holds a number of answers and bytes; the oldest are forgotten first. Thread-safe.
class ResponseStore {
 public:
  explicit ResponseStore(int64_t most, int64_t most_bytes = int64_t{256} << 20)
      : most_(most), most_bytes_(most_bytes) {}

  void keep(const std::string& id, StoredResponse response);
  // nullopt if it was never kept, is forgotten, or is another owner's.
  std::optional<StoredResponse> find(const std::string& id, std::string_view owner);
  bool forget(const std::string& id, std::string_view owner);

 private:
  struct Entry {
    std::string id;
    StoredResponse response;
    int64_t bytes;
  };
  void drop(std::list<Entry>::iterator entry);

  const int64_t most_, most_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the newest last
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  int64_t bytes_ = 0;
};

}  // namespace lathe
