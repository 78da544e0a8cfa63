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

constexpr std::string_view kCalculator = R"({"type": "object", "properties": {
  "expression": {"type": "string", "description": "numbers, + - * / % ** and parentheses"}},
  "required": ["expression"]})";

constexpr std::string_view kUnitsSchema = R"({"type": "object", "properties": {
  "value": {"type": "number", "description": "how much"},
  "from": {"type": "string", "description": "its unit, such as km"},
  "to": {"type": "string", "description": "the unit that is wanted, such as mile"}},
  "required": ["value", "from", "to"]})";

constexpr Tool kTools[] = {
    {"calculator", "Computes the value of an arithmetic expression.", kCalculator, calculator},
    {"units", "Converts a measurement to another unit.", kUnitsSchema, units},
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
