#include "lathe/train/reward/unit_tests.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/text/fenced_code.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// Whether a line of `code` begins the definition of a function at its outermost level.
bool defines(std::string_view code, const std::string& name) {
  for (const std::string& head : {"def " + name, "async def " + name})
    for (size_t at = code.find(head); at != std::string_view::npos; at = code.find(head, at + 1)) {
      const size_t behind = at + head.size();
      const bool whole = behind < code.size() && (code[behind] == '(' || code[behind] == ' ');
      if (whole && (at == 0 || code[at - 1] == '\n')) return true;
    }
  return false;
}

std::string text_of(const Json& row, const char* field) {
  const Json value = row.value(field, Json());
  return value.is_string() ? value.get<std::string>() : "";
}

std::vector<std::string> tests_of(const RewardInput& in) {
  const Json tests = in.row.value("tests", in.row.value("test", Json()));
  std::vector<std::string> texts;
  if (tests.is_string()) texts.push_back(tests.get<std::string>());
  for (const Json& each : tests.is_array() ? tests : Json::array())
    if (each.is_string()) texts.push_back(each.get<std::string>());
  require(
      !texts.empty() && (!tests.is_array() || texts.size() == tests.size()), ErrorKind::kData,
      in.place.empty() ? "reward" : in.place,
      "unit_tests needs 'tests', a text of Python or a list of such texts (or 'test' and 'entry_point', as "
      "HumanEval has them), and the row has {}; add the field, or choose another of reward.functions",
      tests.is_null() ? "none"
                      : tests.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
  return texts;
}

}  // namespace

PythonTests python_tests_of(const RewardInput& in) {
  PythonTests made{.program = std::string(code_of(in.completion)), .tests = tests_of(in)};
  const std::string entry = text_of(in.row, "entry_point"), prompt = text_of(in.row, "prompt");
  if (entry.empty()) return made;
  if (defines(prompt, entry))
    made.program = prompt + (defines(made.program, entry) ? "\n" : "") + made.program;
  if (defines(made.tests.back(), "check")) made.tests.back() += "\ncheck(" + entry + ")";
  return made;
}

std::vector<UnitTestResult> unit_tests(std::span<const RewardInput> inputs, const RewardKeys& keys,
                                       PythonSandbox& python,
                                       const std::function<void()>& while_waiting) {
  std::vector<PythonTests> all;
  for (const RewardInput& in : inputs) all.push_back(python_tests_of(in));
  const std::vector<PythonVerdict> verdicts = run_tests(python, all, while_waiting);
  std::vector<UnitTestResult> results;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const PythonVerdict& v = verdicts[i];
    require(v.end != PythonVerdict::End::kBadTests, ErrorKind::kData,
            inputs[i].place.empty() ? "reward" : inputs[i].place, "'tests' are no Python: {}",
            v.error);
    UnitTestResult& result = results.emplace_back();
    result.end = v.end;
    if (v.end == PythonVerdict::End::kRefused) continue;
    const bool some = keys.partial_credit && v.total > 0;
    result.value = some ? static_cast<double>(v.passed) / static_cast<double>(v.total)
                        : (v.all_passed() ? 1.0 : 0.0);
  }
  return results;
}

}  // namespace lathe
