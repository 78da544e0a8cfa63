#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/config/recipe_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Recipe, TomlKeepsTheOrderOfTheFile) {
  const Json tree =
      parse_toml("z = 1\na = [1, 2.5, 'x']\n[t]\nb = true\na = {y = 1, x = 2}\n", "r");
  EXPECT_EQ(tree.dump(), R"({"z":1,"a":[1,2.5,"x"],"t":{"b":true,"a":{"y":1,"x":2}}})");
}

TEST(Recipe, SyntaxErrorsNameLineAndColumn) {
  const std::string text = message([] { parse_toml("a = 1\nb = = 2\n", "r.toml"); });
  EXPECT_TRUE(text.starts_with("[r.toml:2:5] not valid TOML: ")) << text;
  const std::string json = message([] { parse_json("{\"a\": 1,\n  \"b\": }", "r.json"); });
  EXPECT_TRUE(json.starts_with("[r.json:2:8] not valid JSON: ")) << json;
  EXPECT_TRUE(message([] { parse_toml("a = 1\na = 2\n", "r.toml"); }).starts_with("[r.toml:2:"));
  EXPECT_EQ(message([] { parse_toml("a = 1\nb = 2024-01-02\n", "r.toml"); }),
            "[r.toml:2:5] dates and times are not used in recipes; write the value as a string in "
            "quotes");
}

TEST(Recipe, StrictJson) {
  EXPECT_EQ(message([] { parse_json(R"({"a": 1, "a": 2})", "j"); }),
            "[j] not valid JSON: key \"a\" is given twice");
  EXPECT_EQ(message([] { parse_json(std::string(1000, '['), "j"); }),
            "[j] not valid JSON: nested deeper than 64 levels");
  EXPECT_EQ(message([] { parse_json("[1,2,3,4]", "j", {.depth = 2, .values = 4}); }),
            "[j] not valid JSON: more than 4 values");
  for (const char* bad :
       {"", "{", "[1,]", "{\"a\":1} x", "nul", "\"\xFF\"", "{\"a\" 1}", "\"\\ud800\""})
    EXPECT_NE(message([&] { parse_json(bad, "j"); }), "no error") << bad;
  EXPECT_EQ(parse_json(R"({"b":[{"x":1},{}],"a":null,"c":"d"})", "j").dump(),
            R"({"b":[{"x":1},{}],"a":null,"c":"d"})");
}

TEST(Recipe, ManyKeysParseInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
  EXPECT_EQ(parse_json(text + "}", "j").size(), 200000u);
}

// Texts that break what toml++ asserts; found by fuzzing.
TEST(Recipe, TextsThatTomlDoesNotExpect) {
  for (const char* text : {"[.a]\n", "[[.a]]\n", "a.=1\n"})
    EXPECT_NE(message([&] { parse_toml(text, "r.toml"); }).find("not valid TOML: "),
              std::string::npos)
        << text;
}

// toml++ asks of every character whether it is white space, and had no answer for these; found by
// fuzzing.
TEST(Recipe, LettersThatAreNoAscii) {
  EXPECT_EQ(parse_toml("a = \"\u00e9 \u041c\" # \u00e9 \u041c\n", "r").dump(),
            "{\"a\":\"\u00e9 \u041c\"}");
  for (const char* text : {"norm\u041cind = 1\n", "a = 1 \u00e9\n", "\u00e9 = 1\n"})
    EXPECT_NE(message([&] { parse_toml(text, "r.toml"); }).find("not valid TOML: "),
              std::string::npos)
        << text;
}

TEST(Recipe, Overrides) {
  Json tree = parse_toml("[train]\nsteps = 1\n", "r");
  for (const char* text :
       {"train.steps=100", "train.out=runs/a b", "model.norm.kind=rms", "optim.lr=1e-3",
        "data.order='sequential'", "train.betas=[0.9, 0.95]", "tied=true", "day=2024-01-02",
        "train.min-lr=0.5", "empty=", "x=a#b", "url=http://h/p?q=1", "m=1\nn=2"})
    apply_override(tree, text);
  EXPECT_EQ(tree.dump(),
            R"({"train":{"steps":100,"out":"runs/a b","betas":[0.9,0.95],"min_lr":0.5},)"
            R"("model":{"norm":{"kind":"rms"}},"optim":{"lr":0.001},)"
            R"("data":{"order":"sequential"},"tied":true,"day":"2024-01-02","empty":"",)"
            R"("x":"a#b","url":"http://h/p?q=1","m":"1\nn=2"})");
}

TEST(Recipe, OverrideErrors) {
  Json tree = parse_toml("[train]\nsteps = 1\n", "r");
  EXPECT_EQ(message([&] { apply_override(tree, "train.steps"); }),
            "[override] 'train.steps' has no '=', expected section.key=value");
  EXPECT_EQ(message([&] { apply_override(tree, "train..steps=1"); }),
            "[override] 'train..steps=1' has an empty key, expected section.key=value");
  EXPECT_EQ(message([&] { apply_override(tree, "train.steps.x=1"); }),
            "[override] 'train.steps.x=1': steps is a value, not a section with keys");
  EXPECT_EQ(message([&] { apply_override(tree, "train=1"); }),
            "[override] 'train=1': train is a section; set one of its keys, as in train.key=value");
  EXPECT_TRUE(message([&] {
                apply_override(tree, "a=[1, 2");
              }).starts_with("[override] the value [1, 2 is not valid TOML: "));
}

TEST(Recipe, Files) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("lathe_recipe_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.toml") << "[train]\nsteps = 3\n";
  std::ofstream(folder / "a.json") << "{\"train\": {\"steps\": 3}}";
  std::ofstream(folder / "list.json") << "[1]";
  EXPECT_EQ(load_recipe(folder / "a.toml"), load_recipe(folder / "a.json"));
  EXPECT_NE(message([&] { load_recipe(folder / "list.json"); }).find("JSON object"),
            std::string::npos);
  EXPECT_NE(message([&] { load_recipe(folder / "no.toml"); }).find("No such file"),
            std::string::npos);
  EXPECT_NE(message([&] { load_recipe(folder / "a.yaml"); }).find("'.yaml'"), std::string::npos);
  std::filesystem::create_directories(folder / "d.toml");
  EXPECT_NE(message([&] { load_recipe(folder / "d.toml"); }).find("is a directory"),
            std::string::npos);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lathe
