// The catalogue of tools that the program itself answers calls of: for rollouts with tools.
//
//   // units.cc: a function, its schema, and its line in tools.cc
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

// Pure functions: the same arguments, the same text. Thread-safe.
struct Tool {
  std::string_view name, summary;
  std::string_view parameters;  // JSON Schema of its arguments
  // Error kData, whose text is meant for the model, for arguments that have no answer.
  std::string (*call)(const nlohmann::ordered_json& arguments);
};
std::span<const Tool> tools();

// As chat templates and OpenAI have it: {"type": "function", "function": {"name", "description", "parameters"}}.
nlohmann::ordered_json tool_schema(const Tool& tool);

// An argument that is a text or a number. Error kData, naming it, if there is none.
std::string text_argument(const nlohmann::ordered_json& arguments, const char* name);
double number_argument(const nlohmann::ordered_json& arguments, const char* name);

}  // namespace lathe
