// Reads the JSON object of a request: keys into a struct with visit() (config/visit.h), and values of other forms one by
// one. What is null is as absent. Every error is an ApiError of status 400 that names its key.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/read_write.h"
#include "lathe/serve/api_error.h"

namespace lathe {

class RequestFields {
 public:
  // A strict parser with limits (config/json_text.h); the text must be an object.
  explicit RequestFields(std::string_view body);
  static RequestFields of(nlohmann::ordered_json object);

  // The value of a key, which counts as known from then on; null where it is absent.
  const nlohmann::ordered_json& get(std::string_view key);
  bool has(std::string_view key) const;

  // The fields of `out` that are there. Fields of JSON's other forms are not a part of it.
  template <class S>
  void read(S& out) {
    for (const std::string& key : keys_of_values())
      read_one(key, [&](const nlohmann::ordered_json& one, const ReadOptions& options) {
        read_config(out, one, kPlace, options);
      });
  }

  // A public parameter that has no effect here: refused, unless it is absent or one of these values, which ask for what
  // is done anyway.
  void expect(std::string_view key, std::span<const nlohmann::ordered_json> harmless,
              std::string_view why);

  // The keys that nobody asked for.
  std::vector<std::string> unknown() const;

 private:
  RequestFields() = default;
  static constexpr std::string_view kPlace = "request.json";
  std::vector<std::string> keys_of_values() const;
  void read_one(const std::string& key,
                const std::function<void(const nlohmann::ordered_json&, const ReadOptions&)>& read);

  nlohmann::ordered_json body_;
  std::vector<std::string> known_;
};

}  // namespace lathe
