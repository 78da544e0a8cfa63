#include "lathe/serve/request_fields.h"

#include <algorithm>

#include "lathe/config/json_text.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const Json kAbsent;

Json parse(std::string_view body) {
  try {
    return parse_json(body, "request",
                      {.depth = 128, .values = 1'000'000, .error_kind = ErrorKind::kData});
  } catch (const Error& error) {
    throw ApiError(400, fmt::format("the body is not valid JSON: {}", error.what()));
  }
}

}  // namespace

RequestFields::RequestFields(std::string_view body) : RequestFields(of(parse(body))) {}

RequestFields RequestFields::of(Json object) {
  if (!object.is_object()) throw ApiError(400, "the body must be a JSON object");
  for (auto it = object.begin(); it != object.end();)
    it = it->is_null() ? object.erase(it) : std::next(it);
  RequestFields out;
  out.body_ = std::move(object);
  return out;
}

bool RequestFields::has(std::string_view key) const { return body_.contains(key); }

const Json& RequestFields::get(std::string_view key) {
  known_.emplace_back(key);
  const auto it = body_.find(key);
  return it == body_.end() ? kAbsent : *it;
}

std::vector<std::string> RequestFields::keys_of_values() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : body_.items())
    if (std::ranges::find(known_, key) == known_.end()) keys.push_back(key);
  return keys;
}

void RequestFields::read_one(const std::string& key,
                             const std::function<void(const Json&, const ReadOptions&)>& read) {
  std::vector<std::string> unknown;
  try {
    read({{key, body_[key]}}, {.unknown = &unknown});
  } catch (const Error& error) {
    throw ApiError(400, message_without_place(error), key);
  }
  if (unknown.empty()) known_.push_back(key);
}

void RequestFields::expect(std::string_view key, std::span<const Json> harmless,
                           std::string_view why) {
  const Json& value = get(key);
  if (value.is_null() || std::ranges::find(harmless, value) != harmless.end()) return;
  refuse(key, "`{}` is not supported: {}", key, why);
}

std::vector<std::string> RequestFields::unknown() const { return keys_of_values(); }

}  // namespace lathe
