// The catalogue of tools that the program itself answers calls of: for rollouts with tools.
//
//   // units.cc: a function, its schema, and its line in tools.cc
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "lathe/io/sandbox/python.h"

namespace lathe {

// Pure functions: the same arguments, the same text. Thread-safe. One of the two is set; error kData, whose text is
// meant for the model, for arguments that have no answer.
struct Tool {
  std::string_view name, summary;
  std::string_view parameters;  // JSON Schema of its arguments
  std::string (*call)(const nlohmann::ordered_json& arguments);
  // The text of a Python program, which runs in a sandbox (io/sandbox/python.h); program_answer() is the answer.
  std::string (*program)(const nlohmann::ordered_json& arguments) = nullptr;
  bool runs_programs() const { return program != nullptr; }
};
std::span<const Tool> tools();

// As chat templates and OpenAI have it: {"type": "function", "function": {"name", "description", "parameters"}}.
nlohmann::ordered_json tool_schema(const Tool& tool);

// What a program printed, at most 2000 bytes of it. Error kData for one that raised an error (with the last line that it
// said of it), took too long, printed too much or could not run.
std::string program_answer(const SandboxResult& result, const SandboxConfig& config);

// An argument that is a text or a number. Error kData, naming it, if there is none.
std::string text_argument(const nlohmann::ordered_json& arguments, const char* name);
double number_argument(const nlohmann::ordered_json& arguments, const char* name);

}  // namespace lathe
