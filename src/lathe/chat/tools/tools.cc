#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/chat/tools/arithmetic.h"
#include "lathe/chat/tools/tool.h"
#include "lathe/chat/tools/units.h"
#include "lathe/config/literal.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string calculator(const Json& arguments) {
  return number_text(evaluate_arithmetic(text_argument(arguments, "expression")));
}

std::string units(const Json& arguments) {
  const double value =
      convert_units(number_argument(arguments, "value"), text_argument(arguments, "from"),
                    text_argument(arguments, "to"));
  require(std::isfinite(value), ErrorKind::kData, "units", "the result is too large");
  return number_text(value);
}

std::string python(const Json& arguments) { return text_argument(arguments, "code"); }

constexpr std::string_view kCalculator = R"({"type": "object", "properties": {
  "expression": {"type": "string", "description": "numbers, + - * / % ** and parentheses"}},
  "required": ["expression"]})";

constexpr std::string_view kUnitsSchema = R"({"type": "object", "properties": {
  "value": {"type": "number", "description": "how much"},
  "from": {"type": "string", "description": "its unit, such as km"},
  "to": {"type": "string", "description": "the unit that is wanted, such as mile"}},
  "required": ["value", "from", "to"]})";

constexpr std::string_view kPythonSchema = R"({"type": "object", "properties": {
  "code": {"type": "string", "description": "a whole program, which prints what you want to know"}},
  "required": ["code"]})";

constexpr Tool kTools[] = {
    {"calculator", "Computes the value of an arithmetic expression.", kCalculator, calculator},
    {"units", "Converts a measurement to another unit.", kUnitsSchema, units},
    {"python", "Runs a Python program and gives what it prints. Nothing is kept for the next one.",
     kPythonSchema, nullptr, python},
};

const Json& argument(const Json& arguments, const char* name) {
  const auto found = arguments.find(name);
  require(found != arguments.end() && !found->is_null(), ErrorKind::kData, "arguments",
          "'{}' is missing", name);
  return *found;
}

}  // namespace

std::span<const Tool> tools() { return kTools; }

Json tool_schema(const Tool& tool) {
  return {{"type", "function"},
          {"function",
           {{"name", tool.name},
            {"description", tool.summary},
            {"parameters", Json::parse(tool.parameters)}}}};
}

std::string program_answer(const SandboxResult& result, const SandboxConfig& config) {
  constexpr size_t kMost = 2000;
  using End = SandboxResult::End;
  std::string output = result.output.substr(0, result.output.find_last_not_of('\n') + 1);
  if (output.size() > kMost)
    output = fmt::format("{}\n... ({} bytes more)", output.substr(0, kMost), output.size() - kMost);
  const std::string before = output.empty() ? "" : output + "\n";
  switch (result.end) {
    case End::kTimeout:
      fail(ErrorKind::kData, "python", "{}it took more than {} s", before, config.seconds);
    case End::kTooMuchOutput:
      fail(ErrorKind::kData, "python", "{}it printed too much", before);
    case End::kRefused:
      fail(ErrorKind::kData, "python", "it could not be run in the sandbox: {}", result.errors);
    case End::kExit:
      break;
  }
  if (result.status == 0) return output.empty() ? "(it printed nothing)" : output;
  const std::string errors = result.errors.substr(0, result.errors.find_last_not_of('\n') + 1);
  const std::string last = errors.substr(errors.rfind('\n') + 1).substr(0, kMost);
  fail(ErrorKind::kData, "python", "{}{}", before,
       last.empty() ? fmt::format("it ended with status {}", result.status) : last);
}

std::string text_argument(const Json& arguments, const char* name) {
  const Json& value = argument(arguments, name);
  require(value.is_string() || value.is_number(), ErrorKind::kData, "arguments",
          "'{}' is {}, expected a text", name, value.dump().substr(0, 40));
  return value.is_string() ? value.get<std::string>() : value.dump();
}

double number_argument(const Json& arguments, const char* name) {
  const Json& value = argument(arguments, name);
  double number = 0;
  if (value.is_number()) return value.get<double>();
  require(value.is_string() && parse_number(value.get<std::string>(), number), ErrorKind::kData,
          "arguments", "'{}' is {}, expected a number", name, value.dump().substr(0, 40));
  return number;
}

}  // namespace lathe
