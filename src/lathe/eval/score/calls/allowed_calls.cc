#include "lathe/eval/score/calls/allowed_calls.h"

#include <algorithm>
#include <map>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kAbsent;  // a value that stands for no argument

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80);
}

// The schema's names of types; "any" is a text unless the values say otherwise.
const std::map<std::string, std::string>& types_of_schemas() {
  static const std::map<std::string, std::string> kTypes = {
      {"string", "text"},  {"any", "text"},        {"integer", "integer"}, {"float", "float"},
      {"number", "float"}, {"boolean", "boolean"}, {"array", "list"},      {"tuple", "list"},
      {"dict", "object"},  {"object", "object"}};
  return kTypes;
}

std::string type_of(const Json& value) {
  if (value.is_string()) return "text";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "float";
  if (value.is_array()) return "list";
  return value.is_object() ? "object" : "null";
}

// That of the first value, but for the one that stands for none.
std::string type_of_values(const Json& values) {
  const auto first = std::ranges::find_if(values, [](const Json& each) { return each != kAbsent; });
  return first == values.end() ? "" : type_of(*first);
}

bool has_type(const Json& value, const Json& values, const std::string& type,
              const std::string& item_type) {
  const auto fits = [&](const Json& allowed) {
    return !allowed.is_array() || std::ranges::all_of(value, [&](const Json& item) {
      return has_type(item, allowed, item_type, "");
    });
  };
  if (type.empty()) return true;
  if (type_of(value) == type)
    return type != "list" || item_type.empty() || std::ranges::any_of(values, fits);
  return type_of(value) == type_of_values(values);
}

std::string normal_text(const std::string& text) {
  constexpr std::string_view kDropped = " ,./-_*^";
  std::string left;
  for (const char c : text)
    if (kDropped.find(c) == std::string_view::npos) left += c == '\'' ? '"' : c;
  return jinja::lower_case_of(left);
}

bool is_one_of(const Json& value, const Json& values);

bool same_object(const Json& value, const Json& allowed) {
  if (!allowed.is_object()) return false;
  const bool all_allowed = std::ranges::all_of(value.items(), [&](const auto& each) {
    const auto found = allowed.find(each.key());
    return found != allowed.end() && is_one_of(each.value(), *found);
  });
  const bool none_missing = std::ranges::all_of(allowed.items(), [&](const auto& each) {
    return value.contains(each.key()) || is_one_of(Json(kAbsent), each.value());
  });
  return all_allowed && none_missing;
}

bool same(const Json& value, const Json& allowed) {
  if (value.is_string())
    return allowed.is_string() &&
           normal_text(value.get<std::string>()) == normal_text(allowed.get<std::string>());
  if (value.is_object()) return same_object(value, allowed);
  if (!value.is_array()) return value == allowed;
  return allowed.is_array() && std::ranges::equal(value, allowed, same);
}

bool is_one_of(const Json& value, const Json& values) {
  if (!values.is_array()) return same(value, values);
  return std::ranges::any_of(values, [&](const Json& each) { return same(value, each); });
}

std::string schema_type(const Json& schema, const std::string& place) {
  const auto type = schema.find("type");
  if (type == schema.end()) return "";
  const auto known = type->is_string() ? types_of_schemas().find(type->get<std::string>())
                                       : types_of_schemas().end();
  std::vector<std::string> names;
  for (const auto& [name, unused] : types_of_schemas()) names.push_back(name);
  if (known == types_of_schemas().end())
    fail_unknown_name(ErrorKind::kData, fmt::format("{}: type in function", place), shown(*type),
                      names);
  return known->second;
}

const Json* description_of(const std::string& name, const Json& row, const std::string& place) {
  const auto all = row.find("function");
  if (all == row.end()) return nullptr;
  const auto describes = [&](const Json& each) {
    return each.is_object() && each.contains("name") && each["name"] == name;
  };
  if (describes(*all)) return &*all;
  const auto found = all->is_array() ? std::ranges::find_if(*all, describes) : all->end();
  require(found != all->end(), ErrorKind::kData, place,
          "ground_truth calls '{}', which function does not describe", name);
  return &*found;
}

}  // namespace

AllowedCall::AllowedCall(const Json& call, const Json& row, const std::string& place) {
  const bool is_call = call.is_object() && call.size() == 1 && call.front().is_object();
  require(is_call, ErrorKind::kData, place,
          "ground_truth has {}, expected {{FUNCTION: {{ARGUMENT: [values that are right]}}}}",
          shown(call));
  name_ = call.begin().key();
  for (const auto& [name, values] : call.front().items()) {
    require(values.is_array(), ErrorKind::kData, place,
            "ground_truth has {} for '{}' of '{}', expected a list of values that are right",
            shown(values), name, name_);
    arguments_.push_back({.name = name, .values = values, .type = "", .item_type = ""});
  }
  if (const Json* function = description_of(name_, row, place)) describe(*function, place);
}

void AllowedCall::describe(const Json& function, const std::string& place) {
  const auto parameters = function.find("parameters");
  const bool usable = parameters != function.end() && parameters->is_object() &&
                      parameters->contains("properties") &&
                      parameters->at("properties").is_object();
  require(usable, ErrorKind::kData, place, "function '{}' has no parameters with properties",
          name_);
  const Json& properties = parameters->at("properties");
  for (Argument& argument : arguments_) {
    const auto schema = properties.find(argument.name);
    if (schema == properties.end()) continue;
    argument.type = schema_type(*schema, place);
    if (schema->contains("items")) argument.item_type = schema_type(schema->at("items"), place);
  }
  if (const auto required = parameters->find("required"); required != parameters->end())
    for (const Json& each : *required)
      if (each.is_string()) required_.push_back(each.get<std::string>());
}

const AllowedCall::Argument* AllowedCall::find(const std::string& name) const {
  const auto found = std::ranges::find(arguments_, name, &Argument::name);
  return found == arguments_.end() ? nullptr : &*found;
}

std::string AllowedCall::difference(const WrittenCall& call) const {
  if (call.name != name_) return fmt::format("calls {}, expected {}", call.name, name_);
  for (const std::string& name : required_)
    if (!call.arguments.contains(name)) return fmt::format("{} lacks {}", name_, name);
  for (const auto& [name, given] : call.arguments.items()) {
    const Argument* argument = find(name);
    if (argument == nullptr) return fmt::format("{} has no {}", name_, name);
    const Json value =
        argument->type == "float" && given.is_number_integer() ? Json(given.get<double>()) : given;
    if (!has_type(value, argument->values, argument->type, argument->item_type))
      return fmt::format("{} of {} is {}, expected a value of type {}", name, name_, shown(given),
                         argument->type);
    if (!is_one_of(value, argument->values))
      return fmt::format("{} of {} is {}, expected one of {}", name, name_, shown(given),
                         shown(argument->values));
  }
  for (const Argument& each : arguments_)
    if (!call.arguments.contains(each.name) && !is_one_of(Json(kAbsent), each.values))
      return fmt::format("{} lacks {}", name_, each.name);
  return "";
}

std::string difference_of(const std::vector<AllowedCall>& expected,
                          const std::vector<WrittenCall>& written) {
  if (expected.size() != written.size())
    return fmt::format("it has {} calls, expected {}", written.size(), expected.size());
  std::vector<const WrittenCall*> left;
  for (const WrittenCall& each : written) left.push_back(&each);
  for (const AllowedCall& each : expected) {
    std::string first;
    const auto taken = std::ranges::find_if(left, [&](const WrittenCall* call) {
      const std::string difference = each.difference(*call);
      if (first.empty()) first = difference;
      return difference.empty();
    });
    if (taken == left.end()) return first;
    left.erase(taken);
  }
  return "";
}

}  // namespace lathe
