#include "lathe/eval/record.h"

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// A list of one is the thing itself.
Json one_or_list(const std::vector<std::string>& all) {
  return all.size() == 1 ? Json(all[0]) : Json(all);
}

template <class T>
void put(Json& json, const char* key, const std::vector<T>& list) {
  if (!list.empty()) json[key] = list;
}

template <class T>
T value_at(const Json& line, const char* key, T otherwise = {}) {
  const auto found = line.find(key);
  return found == line.end() ? std::move(otherwise) : found->get<T>();
}

std::vector<std::string> texts_at(const Json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end()) return {};
  if (found->is_string()) return {found->get<std::string>()};
  return found->get<std::vector<std::string>>();
}

template <class T>
std::optional<T> optional_at(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found == line.end() ? std::nullopt : std::optional(found->get<T>());
}

}  // namespace

Json json_of(const Difficulty& difficulty) {
  if (difficulty.size() == 1 && difficulty[0].first.empty()) return difficulty[0].second;
  Json json = Json::object();
  for (const auto& [name, value] : difficulty) json[name] = value;
  return json;
}

Difficulty difficulty_of(const Json& json) {
  if (!json.is_object()) return {{"", json.get<double>()}};
  Difficulty all;
  for (const auto& [name, value] : json.items()) all.emplace_back(name, value.get<double>());
  return all;
}

Json json_of(const EvalAnswer& a) {
  Json json = Json::object();
  put(json, "logprobs", a.logprobs);
  put(json, "greedy", a.greedy);
  put(json, "tokens", a.tokens);
  put(json, "uncond", a.uncond);
  put(json, "per_token", a.per_token);
  if (a.truncated) json["truncated"] = true;
  if (!a.responses.empty())
    json[a.responses.size() == 1 ? "response" : "responses"] = one_or_list(a.responses);
  return json;
}

EvalAnswer answer_of(const Json& line) {
  EvalAnswer a;
  a.logprobs = value_at<std::vector<double>>(line, "logprobs");
  a.greedy = value_at<std::vector<bool>>(line, "greedy");
  a.tokens = value_at<std::vector<int64_t>>(line, "tokens");
  a.uncond = value_at<std::vector<double>>(line, "uncond");
  a.per_token =
      value_at<std::vector<std::vector<std::pair<std::string, float>>>>(line, "per_token");
  a.truncated = value_at<bool>(line, "truncated");
  a.responses = texts_at(line, line.contains("response") ? "response" : "responses");
  return a;
}

Json json_of(const EvalRecord& r) {
  Json json = {{"task", r.task}, {"id", r.item.id}, {"prompt", one_or_list(r.item.prompts)}};
  json["continuations"] = r.item.continuations;
  if (r.item.gold) json["gold"] = *r.item.gold;
  if (r.item.target) json["target"] = *r.item.target;
  if (r.item.group) json["group"] = *r.item.group;
  if (r.item.chance) json["chance"] = *r.item.chance;
  if (!r.item.difficulty.empty()) json["difficulty"] = json_of(r.item.difficulty);
  json.update(json_of(r.answer));
  if (!r.filtered.is_null()) json["filtered"] = r.filtered;
  if (!r.reason.empty()) json["reason"] = r.reason;
  if (!r.judgements.is_null()) json["judgements"] = r.judgements;
  if (!r.metrics.empty()) json["metrics"] = r.metrics;
  return json;
}

EvalRecord record_of(const Json& line, std::string_view place) {
  try {
    EvalRecord r;
    r.task = line.at("task").get<std::string>();
    r.item.id = line.at("id").get<int64_t>();
    r.item.prompts = texts_at(line, "prompt");
    r.item.continuations = texts_at(line, "continuations");
    r.item.gold = optional_at<int64_t>(line, "gold");
    r.item.target = optional_at<std::string>(line, "target");
    r.item.group = optional_at<std::string>(line, "group");
    r.item.chance = optional_at<double>(line, "chance");
    if (line.contains("difficulty")) r.item.difficulty = difficulty_of(line["difficulty"]);
    r.answer = answer_of(line);
    r.filtered = value_at<Json>(line, "filtered", nullptr);
    r.reason = value_at<std::string>(line, "reason");
    r.judgements = value_at<Json>(line, "judgements", nullptr);
    r.metrics = value_at<Json>(line, "metrics", Json::object());
    return r;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::kData, place, "is no item of an evaluation: {}", error.what());
  }
}

}  // namespace lathe
