// lathe convert on the tiny models of tests/model/goldens: what is written loads and computes what
// the conversion promises; what fails leaves nothing behind.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using testing::largest_difference;
using testing::largest_magnitude;
using testing::logits_of;
using testing::some_ids;

fs::path golden(const std::string& name) {
  return testing::tests_folder() / "model" / "goldens" / name / "model";
}

CommandResult run_convert(const fs::path& model, const fs::path& out,
                          std::vector<std::string> options) {
  options.insert(options.begin(), {"convert", model.string(), "--out", out.string()});
  return run_lathe(options);
}

std::string model_type_of(const fs::path& folder) {
  return read_json_file(folder / "config.json")["model_type"];
}

// Both read the same tokens; `b` may have more rows.
void expect_equal_logits(const fs::path& a, const fs::path& b) {
  const auto x = load_model(a, {}), y = load_model(b, {});
  const Tensor want = logits_of(*x, some_ids(2, 7)), got = logits_of(*y, some_ids(2, 7));
  const Tensor old = got.narrow(2, 0, want.size(2)).clone();
  EXPECT_LE(largest_difference(old, want), 1e-5 * std::max(1.0, largest_magnitude(want)));
}

TEST(Convert, WhatPromisesTheSameAnswersGivesThemForEveryFamily) {
  const TempFolder folder;
  int number = 0;
  for (const auto& entry : fs::directory_iterator(testing::tests_folder() / "model" / "goldens")) {
    if (!fs::exists(entry.path() / "model")) continue;
    const std::string name = entry.path().filename();
    SCOPED_TRACE(name);
    const fs::path from = golden(name);
    const bool sparse = read_model_config(from).moe.enabled();
    for (const auto& options : {std::vector<std::string>{"--vocab-size", "37"},
                                std::vector<std::string>{"--experts", "3"}}) {
      const fs::path out = folder / std::to_string(number++);
      const CommandResult r = run_convert(from, out, options);
      if (sparse && options[0] == "--experts") {
        EXPECT_NE(r.err.find("already has"), std::string::npos) << r.err;
        continue;
      }
      ASSERT_EQ(r.code, 0) << r.err;
      expect_equal_logits(from, out);
      if (options[0] == "--vocab-size") {
        EXPECT_EQ(model_type_of(out), model_type_of(from));
      }
    }
  }
  EXPECT_GE(number, 40);
}

TEST(Convert, SaysWhatChangedAndKeepsTheSource) {
  const TempFolder folder;
  fs::copy(golden("llama"), folder / "from");
  folder.write("from/tokenizer_config.json", "{\"add_bos_token\": true}\n");
  std::vector<std::pair<std::string, std::string>> before;
  for (const auto& f : fs::directory_iterator(folder / "from"))
    before.emplace_back(f.path(), content_of(f.path()));
  const CommandResult r = run_convert(folder / "from", folder / "to", {"--kv-heads", "1"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("model.num_key_value_heads            2 -> 1"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("parameters                           4464 -> 4208"), std::string::npos)
      << r.out;
  EXPECT_NE(r.err.find("the mean of 2"), std::string::npos) << r.err;
  for (const auto& [path, content] : before) EXPECT_EQ(content_of(path), content) << path;
  EXPECT_EQ(entries_in(folder / "from"), before.size());
  EXPECT_EQ(content_of(folder / "to/tokenizer_config.json"), "{\"add_bos_token\": true}\n");
  EXPECT_EQ(model_type_of(folder / "to"), "llama");
  const CommandResult lineage = run_lathe({"lineage", (folder / "to").string()});
  EXPECT_NE(lineage.out.find((folder / "from").string()), std::string::npos) << lineage.out;
  const auto json = nlohmann::json::parse(
      run_convert(folder / "from", folder / "sparse", {"--experts", "4", "--json"}).out);
  EXPECT_EQ(json["changes"]["saved as"][1], "mixtral");
  EXPECT_EQ(json["changes"]["parameters"][0], 4464);
  EXPECT_EQ(json["changes"]["model.moe.num_experts"], nlohmann::json({0, 4}));
}

TEST(Convert, WeightsKeepTheirType) {
  const TempFolder folder;
  const auto run = [&](std::vector<std::string> arguments) {
    const CommandResult r = run_lathe(arguments);
    ASSERT_EQ(r.code, 0) << r.err;
  };
  const auto dtype = [&](const char* name) {
    return read_json_file(folder / name / "config.json")["dtype"].get<std::string>();
  };
  run({"export", golden("llama"), "--dtype", "bfloat16", "--out", (folder / "half").string()});
  run({"convert", (folder / "half").string(), "--experts", "2", "--out", (folder / "a").string()});
  run({"convert", (folder / "half").string(), "--experts", "2", "--dtype", "float32", "--out",
       (folder / "b").string()});
  EXPECT_EQ(dtype("a"), "bfloat16");
  EXPECT_EQ(dtype("b"), "float32");
  expect_equal_logits(folder / "half", folder / "a");
}

TEST(Convert, TakesAGgufFile) {
  const TempFolder folder;
  const std::string file = (folder / "from.gguf").string();
  ASSERT_EQ(run_lathe({"quantize", golden("llama"), "--type", "F32", "--out", file}).code, 0);
  const CommandResult r = run_convert(file, folder / "to", {"--experts", "2"});
  ASSERT_EQ(r.code, 0) << r.err;
  expect_equal_logits(golden("llama"), folder / "to");
}

// transformers prefers the older key where it finds both.
TEST(Convert, AnOldScalingKeyIsNotCarriedAlongUnchanged) {
  const TempFolder folder;
  fs::copy(golden("llama"), folder / "from");
  auto json = read_json_file(folder / "from/config.json");
  json.erase("rope_parameters");
  json["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  write_json_file(folder / "from/config.json", json);
  ASSERT_EQ(
      run_convert(folder / "from", folder / "to", {"--context", "128", "--rope-scaling", "linear"})
          .code,
      0);
  const auto written = read_json_file(folder / "to/config.json");
  EXPECT_EQ(written["rope_scaling"]["factor"], 8.0);
  EXPECT_EQ(written["rope_scaling"], written["rope_parameters"]);
  EXPECT_EQ(read_model_config(folder / "to").position.get<RopeConfig>().scaling.factor, 8.0);
}

TEST(Convert, WhatFailsLeavesNothing) {
  const TempFolder folder;
  fs::copy(golden("llama"), folder / "broken");
  const std::string weights = content_of(golden("llama") / "model.safetensors");
  folder.write("broken/model.safetensors", weights.substr(0, weights.size() / 2));
  const auto expect_refused = [&](const fs::path& from, std::vector<std::string> options,
                                  const char* reason) {
    const CommandResult r = run_convert(from, folder / "out", std::move(options));
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(reason), std::string::npos) << r.err;
    EXPECT_EQ(entries_in(folder.path()), 1u) << "only the source is there";
  };
  expect_refused(folder / "broken", {"--kv-heads", "1"}, "truncated");
  expect_refused(golden("llama"), {"--kv-heads", "3"}, "[--kv-heads]");
  expect_refused(golden("llama"), {"--vocab-size", "3"}, "[--vocab-size]");
  expect_refused(golden("llama"), {"--context", "3", "--rope-scaling", "yarn"}, "[--context]");
  expect_refused(golden("llama"), {"--experts", "1"}, "experts");
  expect_refused(golden("llama"), {}, "nothing to do");
  expect_refused(folder / "gone", {"--kv-heads", "1"}, "gone");
}

TEST(Convert, AnInterruptLeavesNothing) {
  const TempFolder folder;
  set_interrupt_requested(true);
  const CommandResult r = run_convert(golden("llama"), folder / "out", {"--kv-heads", "1"});
  set_interrupt_requested(false);
  EXPECT_EQ(r.code, exit_code(ErrorKind::kInterrupted)) << r.err;
  EXPECT_EQ(entries_in(folder.path()), 0u);
}

TEST(Convert, AnExistingFolderIsReplacedOnlyWhenAsked) {
  const TempFolder folder;
  folder.write("out/precious", "x");
  for (const auto& options : {std::vector<std::string>{"--kv-heads", "1"},
                              std::vector<std::string>{"--kv-heads", "1", "--overwrite"}}) {
    EXPECT_NE(run_convert(golden("llama"), folder / "out", options).code, 0);
    EXPECT_EQ(content_of(folder / "out/precious"), "x");
  }
  fs::remove(folder / "out/precious");
  folder.write("out/config.json", "old");
  EXPECT_NE(run_convert(golden("llama"), folder / "out", {"--kv-heads", "1"}).code, 0);
  EXPECT_EQ(content_of(folder / "out/config.json"), "old");
  EXPECT_EQ(run_convert(golden("llama"), folder / "out", {"--kv-heads", "1", "--overwrite"}).code,
            0);
  EXPECT_NE(content_of(folder / "out/config.json"), "old");
  fs::create_directories(folder / "around");
  fs::copy(golden("llama"), folder / "around/from");
  for (const fs::path& out : {folder / "around/from", folder / "around/from/", folder / "around"}) {
    const CommandResult r =
        run_convert(folder / "around/from", out, {"--kv-heads", "1", "--overwrite"});
    EXPECT_NE(r.err.find("which must not be changed"), std::string::npos) << r.err;
  }
  EXPECT_TRUE(fs::exists(folder / "around/from/model.safetensors"));
}

}  // namespace
}  // namespace lathe
