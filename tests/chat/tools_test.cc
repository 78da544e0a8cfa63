// The tools that the program has: numbers, units, and what they say to arguments that make no sense.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/chat/tools/arithmetic.h"
#include "lathe/chat/tools/tool.h"
#include "lathe/chat/tools/units.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

TEST(Arithmetic, IsThatOfSchool) {
  struct Pair {
    const char* expression;
    double value;
  };
  for (const Pair& p : {Pair{"17+25", 42},
                        Pair{" 2 + 3*4 ", 14},
                        Pair{"(2+3)*4", 20},
                        Pair{"10-3-2", 5},
                        Pair{"64/4/2", 8},
                        Pair{"2**3**2", 512},
                        Pair{"2^10", 1024},
                        Pair{"-2**2", -4},
                        Pair{"2**-1", 0.5},
                        Pair{"(-2)**3", -8},
                        Pair{"--3", 3},
                        Pair{"-+3", -3},
                        Pair{"7%3", 1},
                        Pair{"-7%3", 2},
                        Pair{"1.5e3", 1500},
                        Pair{".5", 0.5},
                        Pair{"5.", 5},
                        Pair{"2e", NAN},
                        Pair{"3×4÷2−1", 5},
                        Pair{"0", 0},
                        Pair{"1e308*10/10", NAN},
                        Pair{"007", 7},
                        Pair{"0.1+0.2", 0.1 + 0.2},
                        Pair{"2*-3", -6},
                        Pair{"8/2*(2+2)", 16}}) {
    if (std::isnan(p.value)) {
      EXPECT_NE(error_text([&] { evaluate_arithmetic(p.expression); }), "no error") << p.expression;
      continue;
    }
    EXPECT_DOUBLE_EQ(evaluate_arithmetic(p.expression), p.value) << p.expression;
  }
}

TEST(Arithmetic, SaysWhatItCannotRead) {
  const auto refusal = [](const std::string& text) {
    return error_text([&] { evaluate_arithmetic(text); });
  };
  EXPECT_EQ(refusal("1+"), "[calculator] a number is missing at the end (at character 3 of '1+')");
  EXPECT_EQ(refusal(""), "[calculator] a number is missing at the end (at character 1 of '')");
  EXPECT_EQ(refusal("2 3"),
            "[calculator] '3' stands where an operator is expected (at character 3 of '2 3')");
  EXPECT_EQ(refusal("(1+2"), "[calculator] a parenthesis is not closed (at character 5 of '(1+2')");
  EXPECT_EQ(refusal("1/(2-2)"), "[calculator] division by zero (at character 8 of '1/(2-2)')");
  EXPECT_EQ(refusal("9**9**9"),
            "[calculator] the result is too large (at character 8 of '9**9**9')");
  EXPECT_EQ(refusal("(0-1)**0.5"),
            "[calculator] a negative number has no such power (at character 11 of '(0-1)**0.5')");
  for (const char* text : {"1.2.3", ".", "x", "import os", "1//2", "5%0", "1)", "1,000", "\xff"})
    EXPECT_NE(refusal(text), "no error") << text;
  EXPECT_NE(refusal(std::string(101, '(') + "1").find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal(std::string(500, '-') + "1").find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal(std::string(1001, '1')).find("has 1001 bytes, expected at most 1000"),
            std::string::npos);
  std::string long_sum = "1";
  for (int i = 0; i < 400; ++i) long_sum += "+1";
  EXPECT_EQ(evaluate_arithmetic(long_sum), 401);
}

TEST(Arithmetic, WritesNumbersAsPeopleDo) {
  for (const auto& [number, text] :
       std::vector<std::pair<double, const char*>>{{42, "42"},
                                                   {-0.0, "0"},
                                                   {0.1 + 0.2, "0.3"},
                                                   {1e14, "100000000000000"},
                                                   {1.5e20, "1.5e+20"},
                                                   {-2.5, "-2.5"},
                                                   {1.0 / 3, "0.333333333333"}})
    EXPECT_EQ(number_text(number), text);
}

TEST(Units, AreConverted) {
  struct Case {
    double value;
    const char *from, *to;
    double result;
  };
  for (const Case& c :
       {Case{1, "mile", "km", 1.609344}, Case{12, "inch", "ft", 1}, Case{100, "celsius", "F", 212},
        Case{-40, "F", "C", -40}, Case{0, "K", "°C", -273.15}, Case{3, "h", "min", 180},
        Case{1, "lb", "kg", 0.45359237}, Case{90, "km/h", "m/s", 25},
        Case{180, "deg", "rad", 3.14159265358979323846}, Case{1, "gal", "l", 3.785411784},
        Case{1, "KiB", "B", 1024}, Case{8, "bit", "B", 1}, Case{2, "Kilometers", "M", 2000},
        Case{1, "week", "day", 7}})
    EXPECT_NEAR(convert_units(c.value, c.from, c.to), c.result,
                1e-12 * std::max(1.0, std::abs(c.result)))
        << c.from << " " << c.to;
  EXPECT_EQ(
      error_text([] { convert_units(1, "kg", "m"); }),
      "[units] 'kg' is a mass and 'm' is a length; only units of one quantity can be converted");
  const std::string unknown = error_text([] { convert_units(1, "parsec", "m"); });
  EXPECT_EQ(unknown.find("[units] 'parsec' is no known unit; there are m, km, "), 0U) << unknown;
  EXPECT_NE(error_text([] { convert_units(1, "", "m"); }), "no error");
}

TEST(Tools, AnswerCallsAndSayWhatIsMissing) {
  const auto call = [](std::string_view name, const char* arguments) {
    for (const Tool& tool : tools())
      if (tool.name == name)
        return (tool.runs_programs() ? tool.program : tool.call)(Json::parse(arguments));
    return std::string("no such tool");
  };
  EXPECT_EQ(call("calculator", R"({"expression": "2*21"})"), "42");
  EXPECT_EQ(call("calculator", R"({"expression": 7})"), "7");
  EXPECT_EQ(call("units", R"({"value": 5, "from": "km", "to": "m"})"), "5000");
  EXPECT_EQ(call("units", R"({"value": "5", "from": "km", "to": "m"})"), "5000");
  EXPECT_EQ(error_text([&] { call("calculator", "{}"); }), "[arguments] 'expression' is missing");
  EXPECT_EQ(error_text([&] { call("calculator", R"({"expression": [1]})"); }),
            "[arguments] 'expression' is [1], expected a text");
  EXPECT_EQ(error_text([&] { call("units", R"({"value": true, "from": "km", "to": "m"})"); }),
            "[arguments] 'value' is true, expected a number");
  EXPECT_EQ(error_text([&] { call("units", R"({"value": 1e308, "from": "km", "to": "nm"})"); }),
            "[units] the result is too large");
  EXPECT_EQ(call("python", R"({"code": "1 + 1"})"), "1 + 1");
  EXPECT_EQ(error_text([&] { call("python", "{}"); }), "[arguments] 'code' is missing");
}

TEST(Tools, ProgramsAnswerWithWhatTheyPrint) {
  using End = SandboxResult::End;
  const auto answer = [](const SandboxResult& result) {
    std::string text;
    const std::string error = error_text([&] { text = program_answer(result, {.seconds = 3}); });
    return error == "no error" ? text : "error: " + error;
  };
  const auto ended = [&](int status, const char* output, const char* errors) {
    return answer({.end = End::kExit, .status = status, .output = output, .errors = errors});
  };
  EXPECT_EQ(ended(0, "42\n\n", ""), "42");
  EXPECT_EQ(ended(0, "", ""), "(it printed nothing)");
  EXPECT_EQ(ended(0, "1\n2\n", "a warning\n"), "1\n2");
  EXPECT_EQ(ended(1, "1\n", "Traceback\n  x\nNameError: name 'x' is not defined\n"),
            "error: [python] 1\nNameError: name 'x' is not defined");
  EXPECT_EQ(ended(137, "", ""), "error: [python] it ended with status 137");
  EXPECT_EQ(answer({.end = End::kTimeout, .output = "so far\n", .errors = ""}),
            "error: [python] so far\nit took more than 3 s");
  EXPECT_EQ(answer({.end = End::kTooMuchOutput, .output = "", .errors = ""}),
            "error: [python] it printed too much");
  EXPECT_EQ(answer({.end = End::kRefused, .output = "", .errors = "bwrap: no"}),
            "error: [python] it could not be run in the sandbox: bwrap: no");
  EXPECT_EQ(answer({.end = End::kExit, .output = std::string(5000, 'x'), .errors = ""}),
            std::string(2000, 'x') + "\n... (3000 bytes more)");
}

TEST(Tools, HaveSchemas) {
  for (const Tool& tool : tools()) {
    const Json schema = tool_schema(tool);
    EXPECT_EQ(schema.at("type"), "function");
    const Json& function = schema.at("function");
    EXPECT_EQ(function.at("name"), tool.name);
    EXPECT_FALSE(function.at("description").get<std::string>().empty());
    for (const Json& name : function.at("parameters").at("required"))
      EXPECT_TRUE(function.at("parameters").at("properties").contains(name.get<std::string>()));
  }
}

}  // namespace
}  // namespace lathe::testing
