// Programs of a model that solve, fail, cheat or do harm.
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "eval/score_testing.h"
#include "io/sandbox_testing.h"
#include "io/shared_data.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

const std::string kKeys =
    "scorer = \"python\"\nmetrics = [\"exact_match\", \"pass@1\"]\nlimits = {seconds = 20, memory = "
    "\"256M\"}\n";
const std::string kHumanEval =
    kKeys + "program = \"{{prompt}}{{response}}\\n{{test}}\\ncheck({{entry_point}})\\n\"\n";

Json task_row() {
  return {{"prompt", "def add(a, b):\n    \"\"\"Größe.\"\"\"\n"},
          {"test", "def check(candidate):\n    assert candidate(1, 2) == 3, 'one and two'\n"},
          {"entry_point", "add"}};
}

class PythonPrograms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  }
  // Why the response fails; empty if it is right.
  static std::string fault(const std::string& response, const std::string& keys = kHumanEval) {
    static std::map<std::string, Judging> judging;  // finding the interpreter takes a moment
    const Score score = judging.try_emplace(keys, keys, std::vector<Json>{task_row()})
                            .first->second.score({response});
    EXPECT_EQ(score.reason.empty(), score.judged.at(0).right.at(0)) << response;
    return score.reason;
  }
};

TEST_F(PythonPrograms, AreRightIfTheyComeToTheirEnd) {
  EXPECT_EQ(fault("    return a + b\n"), "");
  EXPECT_EQ(fault("    return b + a"), "");
  EXPECT_EQ(fault("    return a * b"), "AssertionError: one and two");
  EXPECT_EQ(fault("    return c"), "NameError: name 'c' is not defined");
  EXPECT_EQ(fault("    return (").find("SyntaxError: "), 0U);
}

TEST_F(PythonPrograms, EachResponseIsJudged) {
  Judging judging(kHumanEval, {task_row(), task_row()});
  const std::string good = "    return a + b", bad = "    return 0";
  const std::vector<Score> scores = judging.scores({{bad, good, good, bad}, {good}});
  EXPECT_EQ(scores[0].judged[0].right, (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(scores[1].judged[0].right, std::vector<bool>{true});
  EXPECT_EQ(judging.metrics({bad, good, good, bad}).dump(), R"({"exact_match":0,"pass@1":0.5})");
}

TEST_F(PythonPrograms, CannotLeaveWithSuccessNorReplaceWhatTestsThem) {
  EXPECT_EQ(fault("    import os\n    os._exit(0)\n"),
            "the program left before its tests were done");
  EXPECT_EQ(fault("    raise SystemExit(0)\n"), "SystemExit: 0");
  EXPECT_EQ(fault("    pass\nraise SystemExit(0)\n"), "SystemExit: 0");
  EXPECT_EQ(fault("    pass\nimport os\nos._exit(0)\n"),
            "the program left before its tests were done");
  EXPECT_EQ(fault("    pass\ndef check(candidate): pass\nimport sys\n"
                  "sys.modules['__main__'].__dict__['check'] = check\n"),
            "AssertionError: one and two");
  EXPECT_EQ(fault("    import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)\n"),
            "AssertionError: one and two");
}

TEST_F(PythonPrograms, AreHeldToTheirLimits) {
  std::string brief = kHumanEval;
  brief.replace(brief.find("seconds = 20"), 12, "seconds = 3");
  EXPECT_EQ(fault("    while True: pass\n", brief), "it ran longer than 3 s");
  EXPECT_EQ(fault("    x = bytearray(8 << 30)\n"), "MemoryError: ");
  EXPECT_EQ(fault("    while True: print('x' * 100000)\n"), "it wrote too much output");
  const std::string token = std::to_string(41000 + ::getpid() % 1000);
  EXPECT_NE(fault("    import os\n    for _ in range(60):\n      if os.fork() == 0: "
                  "os.execvp('sleep', ['sleep', '" +
                  token + "'])\n"),
            "");
  EXPECT_TRUE(none_runs(token));
}

TEST_F(PythonPrograms, ChangeNothingOutside) {
  const TempFolder folder;
  const std::string file = (folder / "spy").string();
  EXPECT_NE(fault("    open('" + file + "', 'w').write('x')\n"), "");
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_NE(fault("    import socket\n    socket.create_connection(('1.1.1.1', 53), 1)\n"), "");
}

TEST_F(PythonPrograms, ATemplateKeepsItsBlanksAndMayUseTheResponseInMacrosAndFilters) {
  const auto with = [](const std::string& program) {
    return kKeys + "program = '''" + program + "'''\n";
  };
  const std::string tests = "\nassert add(1, 2) == 3\nassert add(2, 2) == 4";
  EXPECT_EQ(fault("  def add(a, b):\n    return a + b  ", with("{{response|trim}}" + tests)), "");
  EXPECT_EQ(fault("return a + b", with("{{prompt}}    {{- '    ' ~ response -}}\n  " + tests)), "");
  EXPECT_EQ(fault("return a + b",
                  with("{% if response %}{{prompt}}    {{ response }}\n{% endif %}" + tests)),
            "");
  EXPECT_EQ(
      fault("a + b", with("# {{ response }}\ndef add(a, b):\n  return {{ response }}" + tests)),
      "");
  EXPECT_EQ(fault("a - b", with("def add(a, b):\n  return {{ response }}" + tests)),
            "AssertionError: ");
  EXPECT_EQ(fault("a + b", kKeys +
                               "macros = '{% macro body(x) %}  return {{ x }}{% endmacro %}'\n"
                               "program = '''def add(a, b):\n{{ body(response) }}" +
                               tests + "'''\n"),
            "");
  EXPECT_EQ(fault("x = '\xff'", with("{{response}}")), "") << "bytes that are no UTF-8";
}

TEST_F(PythonPrograms, WhatCannotBeRunIsRefused) {
  const auto refused = [](const std::string& program) {
    return refusal_of(kKeys + "program = '''" + program + "'''\n", task_row());
  };
  EXPECT_EQ(refused("{{prompt}}"),
            "[t.toml] program has no {{ response }}, so that nothing of an answer would be run");
  for (const char* none : {"{{responses}}", "{{prompt.response}}", "{{\"response\"}}"})
    EXPECT_EQ(refused(none),
              "[t.toml] program has no {{ response }}, so that nothing of an answer would be run")
        << none;
  EXPECT_EQ(refused("{% if 0 %}{{response}}{% endif %}"),
            "[rows.jsonl:1] program leaves the response out, so that nothing of it would be run");
  const std::string no_python = refused("{{response}}\ndef 1");
  EXPECT_EQ(no_python.find("[rows.jsonl:1] what stands behind the response in program is no Python "
                           "by itself: SyntaxError"),
            0U)
      << no_python;
  const std::string unknown = refused("{{response}}{{tests}}");
  EXPECT_EQ(unknown.find("[rows.jsonl:1] program: "), 0U) << unknown;
}

TEST_F(PythonPrograms, TheReferenceSolutionsOfHumanEvalAreRight) {
  const auto file = shared_data() / "eval/humaneval/HumanEval.jsonl.gz";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  const std::string text = unpacked(file);
  std::vector<Json> rows;
  std::vector<std::vector<std::string>> responses;
  for (size_t begin = 0; rows.size() < 12; begin = text.find('\n', begin) + 1) {
    rows.push_back(Json::parse(text.substr(begin, text.find('\n', begin) - begin)));
    const auto solution = rows.back()["canonical_solution"].get<std::string>();
    responses.push_back({solution, "    return 'no'\n"});
  }
  for (const Score& score : Judging(kHumanEval, rows).scores(responses))
    EXPECT_EQ(score.judged[0].right, (std::vector<bool>{true, false})) << score.reason;
}

}  // namespace
}  // namespace lathe::testing
