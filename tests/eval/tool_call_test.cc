// Calls of functions in texts, and which of them a row allows.
#include <gtest/gtest.h>

#include "eval/score_testing.h"
#include "io/shared_data.h"
#include "lathe/eval/score/calls/written_calls.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

const std::string kKeys = "scorer = \"tool_call\"\nmetrics = [\"exact_match\", \"pass@1\"]\n";

// "f{"a":1} g{}", or "none" for no calls.
std::string read(const std::string& text) {
  const auto calls = calls_in(text);
  if (!calls) return "none";
  std::string all;
  for (const WrittenCall& call : *calls)
    all += (all.empty() ? "" : " ") + call.name + call.arguments.dump();
  return all;
}

TEST(WrittenCalls, AsJson) {
  EXPECT_EQ(read(R"({"name": "f", "arguments": {"a": 1}})"), R"(f{"a":1})");
  EXPECT_EQ(read(R"( [{"name": "f", "parameters": {}}, {"name": "g", "arguments": {"b": [1.5]}}])"),
            R"(f{} g{"b":[1.5]})");
  EXPECT_EQ(read("```json\n[{\"name\": \"f\", \"arguments\": {}}]\n```"), "f{}");
  EXPECT_EQ(read("```\n{\"name\": \"f\", \"arguments\": {}}```"), "f{}");
  EXPECT_EQ(read("So:\n```\n{\"name\": \"f\", \"arguments\": {}}\n```\nDone."), "f{}");
  EXPECT_EQ(read(R"([{"type": "function", "function": {"name": "f", "arguments": "{\"a\": 2}"}}])"),
            R"(f{"a":2})");
  EXPECT_EQ(read("[]"), "");
  for (const char* none :
       {R"({"name": "f"})", R"([{"name": "f", "arguments": 3}])", R"({"arguments": {}})",
        R"([{"name": "f", "arguments": {}}, 1])", R"({"name": "f", "arguments": "{"})",
        R"(Sure: {"name": "f", "arguments": {}})", R"({"function": {"function": {}}})", "", "3"})
    EXPECT_EQ(read(none), "none") << none;
}

TEST(WrittenCalls, InTags) {
  EXPECT_EQ(
      read("Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n"
           "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call> Done."),
      R"(f{"a":1} g{})");
  EXPECT_EQ(read("<tool_call>{\"name\": \"f\", \"arguments\": {}}"), "f{}");
  EXPECT_EQ(read("<tool_call>{\"name\": \"f\"</tool_call>"), "none");
}

TEST(WrittenCalls, InPython) {
  EXPECT_EQ(read("[f(a=1, b=\"x\"), m.g(c=[True, None, -2.5e3], d={'k': (1, 2)},)]"),
            R"(f{"a":1,"b":"x"} m.g{"c":[true,null,-2500.0],"d":{"k":[1,2]}})");
  EXPECT_EQ(read("f()"), "f{}");
  EXPECT_EQ(
      read(
          "```python\n[f(a='it\\'s\\n\\u00e9', b=r'\\d', c=\"\"\"x\"y\"\"\", d=(3), e=(3,))]\n```"),
      R"(f{"a":"it's\né","b":"\\d","c":"x\"y","d":3,"e":[3]})");
  EXPECT_EQ(read("f(a=some.name, b=1_000, c=+2, d=false)"),
            R"(f{"a":"some.name","b":1000,"c":2,"d":false})");
  EXPECT_EQ(read("f(a=1), g()"), R"(f{"a":1} g{})");
  EXPECT_EQ(read("[f(a='größer')]"), R"(f{"a":"größer"})");
  for (const char* none : {"I cannot do that.", "f(1)", "f(a=1", "f(a=1) and more", "[f(a=1) g()]",
                           "f(a=1+2)", "f(a='x)", "f(a=g(b=1))", "f(a=x'y')", "f(a='\\ud800')"})
    EXPECT_EQ(read(none), "none") << none;
  EXPECT_EQ(read("f(a=" + std::string(100000, '[')), "none");
}

TEST(WrittenCalls, TooDeepForACall) {
  for (const size_t depth : {size_t{100}, size_t{200000}}) {
    const std::string value = std::string(depth, '[') + "1" + std::string(depth, ']');
    EXPECT_EQ(read("{\"name\": \"f\", \"arguments\": {\"a\": " + value + "}}"), "none");
    EXPECT_EQ(read("{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": " + value + "}\"}"), "none");
    EXPECT_EQ(read("<tool_call>" + value + "</tool_call>"), "none");
    EXPECT_EQ(read(value), "none");
    EXPECT_EQ(read("f(a=" + value + ")"), "none");
  }
  EXPECT_EQ(read("{\"name\": \"f\", \"arguments\": {\"a\": [[[[1]]]]}}"), R"(f{"a":[[[[1]]]]})");
}

Json row_of(const Json& truth) { return {{"prompt", "?"}, {"ground_truth", truth}}; }
Json described(const Json& truth) {
  Json row = row_of(truth);
  row["function"] = Json::parse(
      R"([{"name": "f", "parameters": {"type": "dict", "required": ["n"], "properties": {
      "n": {"type": "integer"}, "x": {"type": "float"}, "s": {"type": "string"},
      "l": {"type": "array", "items": {"type": "integer"}}, "o": {"type": "dict"}}}}])");
  return row;
}

// Why a response is wrong.
std::string fault(const Json& row, const std::string& response) {
  const Score score = Judging(kKeys, {row}).score({response});
  EXPECT_EQ(score.reason.empty(), score.judged.at(0).right.at(0)) << response;
  return score.reason;
}

TEST(ToolCall, EachArgumentHasOneOfItsValues) {
  const Json row = row_of(
      Json::parse(R"([{"f": {"n": [5], "unit": ["units", ""], "place": ["New York, NY"]}}])"));
  EXPECT_EQ(fault(row, "f(n=5, place='new york ny')"), "");
  EXPECT_EQ(fault(row, "f(n=5.0, place='New-York.NY', unit='Units')"), "");
  EXPECT_EQ(fault(row, "f(n=6, place='New York, NY')"), "n of f is 6, expected one of [5]");
  EXPECT_EQ(fault(row, "f(n=5)"), "f lacks place");
  EXPECT_EQ(fault(row, "f(n=5, place='New York NY', more=1)"), "f has no more");
  EXPECT_EQ(fault(row, "g(n=5)"), "calls g, expected f");
  EXPECT_EQ(fault(row, "f(n='5', place='New York NY')"), "n of f is \"5\", expected one of [5]");
  EXPECT_EQ(fault(row, "[]"), "it has 0 calls, expected 1");
  EXPECT_EQ(fault(row, "Five."), "it is no call");
  EXPECT_EQ(fault(row, "[f(n=5, place='New York NY'), f(n=5, place='New York NY')]"),
            "it has 2 calls, expected 1");
}

TEST(ToolCall, ValuesOfObjectsAndLists) {
  const Json row = row_of(Json::parse(
      R"([{"f": {"o": [{"a": ["Big Town"], "b": [1, 2, ""]}], "l": [["A-b", 2], [3]], "p": [[{"q": [1]}, {"q": [2]}]]}}])"));
  EXPECT_EQ(fault(row, "f(o={'a': 'bigtown'}, l=['ab', 2], p=[{'q': 1}, {'q': 2}])"), "");
  EXPECT_EQ(fault(row, "f(o={'a': 'bigtown', 'b': 2}, l=[3], p=[{'q': 1}, {'q': 2}])"), "");
  for (const char* wrong :
       {"f(o={'b': 1}, l=[3], p=[{'q': 1}, {'q': 2}])",
        "f(o={'a': 'bigtown', 'c': 1}, l=[3], p=[])",
        "f(o={'a': 'bigtown'}, l=[2, 'ab'], p=[{'q': 1}, {'q': 2}])",
        "f(o={'a': 'bigtown'}, l=[3], p=[{'q': 2}, {'q': 1}])", "f(o='', l=[3], p=[])"})
    EXPECT_NE(fault(row, wrong), "") << wrong;
}

TEST(ToolCall, ADescriptionSaysTypesAndWhatIsRequired) {
  const Json row = described(
      Json::parse(R"([{"f": {"n": [2, ""], "x": [3, ""], "s": ["a", ""], "l": [[1, 2]]}}])"));
  EXPECT_EQ(fault(row, "f(n=2, x=3, s='A', l=[1, 2])"), "");
  EXPECT_EQ(fault(row, "f(n=2, x=3.0, l=[1, 2])"), "");
  EXPECT_EQ(fault(row, "f(n=2.0)"), "n of f is 2.0, expected a value of type integer");
  EXPECT_EQ(fault(row, "f(x=3)"), "f lacks n");
  EXPECT_EQ(fault(row, "f(n=2, l=[1.0, 2.0])"),
            "l of f is [1.0,2.0], expected a value of type list");
  EXPECT_EQ(fault(row, "f(n=True)"), "n of f is true, expected a value of type integer");
}

TEST(ToolCall, SeveralCallsInAnyOrder) {
  const Json row = row_of(Json::parse(R"([{"f": {"a": [1]}}, {"g": {}}, {"f": {"a": [2]}}])"));
  EXPECT_EQ(fault(row, "[f(a=1), g(), f(a=2)]"), "");
  EXPECT_EQ(fault(row, "[f(a=2), f(a=1), g()]"), "");
  EXPECT_EQ(fault(row, "[f(a=1), f(a=1), g()]"), "a of f is 1, expected one of [2]");
  EXPECT_EQ(fault(row, "[f(a=1), g()]"), "it has 2 calls, expected 3");
}

TEST(ToolCall, NothingToCall) {
  const Json row = row_of(Json::array());
  EXPECT_EQ(fault(row, "None of the functions helps."), "");
  EXPECT_EQ(fault(row, "[]"), "");
  EXPECT_EQ(fault(row, "f(a=1)"), "it has 1 calls, expected 0");
}

TEST(ToolCall, TheTaskMaySayInItsTargetWhatIsRight) {
  const std::string keys = kKeys + "target = \"{{t}}\"\n";
  const auto right = [&](const char* target, const char* response) {
    return Judging(keys, {{{"prompt", "?"}, {"t", target}}}).metrics({response})["exact_match"] ==
           1;
  };
  EXPECT_TRUE(right(R"([{"f": {"a": [1]}}])", "f(a=1)"));
  EXPECT_FALSE(right(R"([{"f": {"a": [1]}}])", "f(a=2)"));
  EXPECT_TRUE(right("[]", "None helps."));
  EXPECT_EQ(
      refusal_of(keys, {{"prompt", "?"}, {"t", "f(a=1)"}}),
      "[rows.jsonl:1] target is no JSON, expected a list of the calls that are right, empty for "
      "none");
}

TEST(ToolCall, RefusesWhatItCannotCompareWith) {
  const auto refused = [](const Json& row) { return refusal_of(kKeys, row); };
  EXPECT_EQ(refused({{"prompt", "?"}}),
            "[rows.jsonl:1] ground_truth is absent, expected a list of the calls that are right, "
            "empty for none");
  EXPECT_EQ(refused(row_of(Json::parse("[{\"f\": {\"a\": 1}}]"))),
            "[rows.jsonl:1] ground_truth has 1 for 'a' of 'f', expected a list of values that are "
            "right");
  EXPECT_EQ(refused(row_of(Json::parse("[{\"f\": {}, \"g\": {}}]"))),
            "[rows.jsonl:1] ground_truth has {\"f\":{},\"g\":{}}, expected {FUNCTION: {ARGUMENT: "
            "[values that are right]}}");
  EXPECT_EQ(refused(described(Json::parse("[{\"g\": {}}]"))),
            "[rows.jsonl:1] ground_truth calls 'g', which function does not describe");
  Json odd = described(Json::parse("[{\"f\": {\"n\": [1]}}]"));
  odd["function"][0]["parameters"]["properties"]["n"]["type"] = "intger";
  const std::string text = refused(odd);
  EXPECT_NE(text.find("[rows.jsonl:1: type in function]"), std::string::npos) << text;
  EXPECT_NE(text.find("integer"), std::string::npos) << text;
}

std::vector<Json> lines_of(const std::filesystem::path& file) {
  std::vector<Json> all;
  const std::string text = unpacked(file);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    all.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return all;
}

Json written(const Json& allowed);

// The first of the values that does not say that there may be none; null if there is none.
Json first_of(const Json& values) {
  for (const Json& each : values)
    if (each != "") return written(each);
  return nullptr;
}

// A value that is allowed as one that is written: those of objects are lists.
Json written(const Json& allowed) {
  Json all = allowed;
  if (allowed.is_array())
    for (Json& each : all) each = written(each);
  if (allowed.is_object())
    for (auto& [key, values] : all.items()) values = first_of(allowed[key]);
  return all;
}

// The calls that a row allows.
Json right_calls(const Json& truth) {
  Json calls = Json::array();
  for (const Json& each : truth) {
    Json arguments = Json::object();
    for (const auto& [key, values] : each.front().items())
      if (const Json first = first_of(values); !first.is_null()) arguments[key] = first;
    calls.push_back({{"name", each.begin().key()}, {"arguments", arguments}});
  }
  return calls;
}

TEST(ToolCall, WhatThePublicSetAllowsIsRightAndAChangeOfItWrong) {
  const auto folder = shared_data() / "eval/bfcl/bfcl_eval/data";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  for (const char* name : {"simple_python", "multiple", "parallel", "parallel_multiple"}) {
    const std::string file = fmt::format("BFCL_v4_{}.json.zst", name);
    std::vector<Json> rows = lines_of(folder / file);
    const std::vector<Json> truths = lines_of(folder / "possible_answer" / file);
    ASSERT_EQ(rows.size(), truths.size()) << name;
    std::vector<std::vector<std::string>> responses;
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i]["prompt"] = "?";
      rows[i]["ground_truth"] = truths[i]["ground_truth"];
      const Json right = right_calls(truths[i]["ground_truth"]);
      Json other_name = right, more = right, twice = right;
      other_name[0]["name"] = "other";
      more[0]["arguments"]["unheard_of"] = 1;
      twice.push_back(right[0]);
      responses.push_back({right.dump(), other_name.dump(), more.dump(), twice.dump(), "No."});
    }
    const std::vector<Score> scores = Judging(kKeys, rows).scores(responses);
    int64_t right = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const std::vector<bool>& all = scores[i].judged[0].right;
      right += all[0];
      if (!all[0]) std::printf("%s %zu: %s\n", name, i, scores[i].reason.c_str());
      EXPECT_EQ(std::count(all.begin() + 1, all.end(), true), 0) << name << " " << i;
    }
    EXPECT_EQ(right, std::ssize(scores)) << name;
  }
}

}  // namespace
}  // namespace lathe::testing
