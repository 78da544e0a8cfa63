// Tools in rollouts: calls are answered, what was written stays as it is, and what a tool says is not learnt.

#include "lathe/train/task/tool_turns.h"

#include "io/sandbox_testing.h"
#include "lathe/base/utf8.h"
#include "lathe/model/load_model.h"
#include "lathe/train/memory_plan.h"
#include "lathe/train/task/sampling.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class ToolTurnsOf : public AnswersRun {
 protected:
  static constexpr const char* kMarks[] = {"<end>", "<a>", "<call>", "</call>", "<tool>", "<user>"};
  static constexpr const char* kTemplate =
      "{% for m in messages %}{% if m.role == 'assistant' %}<a>{{ m.content or '' }}"
      "{% for c in m.tool_calls or [] %}<call>{\"name\": \"{{ c.function.name }}\", \"arguments\": "
      "{{ c.function.arguments | tojson }}}</call>{% endfor %}<end>"
      "{% elif m.role == 'tool' %}<tool>{{ m.content }}<end>{% else %}<user>{{ m.content }}<end>{% endif %}"
      "{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";

  static ModelConfig talking_config() {
    ModelConfig c = model_config("decoder");
    c.hidden_size = 32;
    c.intermediate_size = 64;
    c.vocab_size = kSampleSize + std::ssize(kMarks);
    c.max_position_embeddings = 256;
    return c;
  }
  std::string talking_folder(const std::string& name) {
    const std::string folder = model_folder(name, talking_config(), 5);
    Json added = Json::array();
    for (size_t i = 0; i < std::size(kMarks); ++i)
      added.push_back({{"id", kSampleSize + static_cast<int>(i)},
                       {"content", kMarks[i]},
                       {"special", true},
                       {"normalized", false},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false}});
    SampleJson json;
    json.added = added.dump();
    folder_.write(name + "/tokenizer.json", sample_json(json));
    folder_.write(name + "/chat_template.jinja", kTemplate);
    return folder;
  }
  RolloutToolConfig built_in() const {
    RolloutToolConfig config;
    config.tools = {"calculator", "units"};
    return config;
  }

  // The reply to a turn, as text; "none" for none.
  std::string reply(const RolloutToolConfig& config, const std::string& turn,
                    const std::set<std::string>& allowed = {"calculator", "units"}) {
    const std::string folder = (folder_ / "talker").string();
    if (!fs::exists(folder)) talking_folder("talker");
    const Tokenizer tokenizer = load_tokenizer(folder);
    const std::vector<int32_t> ends = {kEnd};
    ToolTurns turns(config, {}, folder, tokenizer, ends, {});
    const std::vector<int32_t> ids = tokenizer.encode(turn);
    const ToolTurns::Turn asked{.prompt = {}, .turn = ids, .allowed = allowed};
    const auto got = turns.replies_to({&asked, 1}, {}).at(0);
    if (!got) return "none";
    uses_ = got->uses;
    return tokenizer.decode(got->ids);
  }
  static std::string call(const std::string& name, const std::string& arguments) {
    return "<call>{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}</call>";
  }

  std::vector<ToolUse> uses_;
};

TEST_F(ToolTurnsOf, CallsAreAnsweredBehindTheEndOfTheTurn) {
  EXPECT_EQ(reply(built_in(), "It is 7.<end>"), "none");
  EXPECT_EQ(reply(built_in(), call("calculator", R"({"expression": "6*7"})") + "<end>"),
            "<tool>42<end><a>");
  ASSERT_EQ(uses_.size(), 1U);
  EXPECT_EQ(uses_[0].name, "calculator");
  EXPECT_EQ(uses_[0].arguments, R"({"expression": "6*7"})");
  EXPECT_EQ(uses_[0].result, "42");
  EXPECT_FALSE(uses_[0].failed);
  EXPECT_EQ(
      reply(built_in(), "Let me see. " + call("calculator", R"({"expression": "1+1"})") +
                            call("units", R"({"value": 1, "from": "km", "to": "m"})") + "<end>"),
      "<tool>2<end><tool>1000<end><a>");
  EXPECT_EQ(uses_.size(), 2U);
}

TEST_F(ToolTurnsOf, WhatGoesWrongIsSaidToTheModel) {
  const auto failed = [&](const std::string& name, const std::string& arguments) {
    const std::string text = reply(built_in(), call(name, arguments) + "<end>", {"calculator"});
    EXPECT_EQ(uses_.size(), 1U);
    EXPECT_TRUE(uses_.at(0).failed) << text;
    return text;
  };
  EXPECT_EQ(failed("calculator", R"({"expression": "1/0"})"),
            "<tool>error: [calculator] division by zero (at character 4 of '1/0')<end><a>");
  EXPECT_EQ(failed("search", "{}"), "<tool>error: [tool] there is no tool 'search'<end><a>");
  EXPECT_EQ(failed("units", "{}"), "<tool>error: [tool] there is no tool 'units'<end><a>")
      << "not of this row";
  EXPECT_EQ(failed("calculator", R"({"expression": })"),
            "<tool>error: [arguments] they are no JSON, expected a JSON object<end><a>");
  EXPECT_EQ(failed("calculator", "{}"), "<tool>error: [arguments] 'expression' is missing<end><a>");
}

TEST_F(ToolTurnsOf, AProgramAnswersOtherTools) {
  RolloutToolConfig config = built_in();
  config.tool_command = "while read -r line; do printf '%s\\n' \"$line\" | tr 'a-z' 'A-Z'; done";
  EXPECT_EQ(reply(config, call("look", R"({"at": "x"})") + "<end>", {"look"}),
            "<tool>{\"NAME\":\"LOOK\",\"ARGUMENTS\":{\"AT\":\"X\"}}<end><a>");
  config.tool_command = "exec sleep 100";
  config.tool_timeout = 0.05;
  EXPECT_EQ(reply(config, call("look", "{}") + "<end>", {"look"}),
            "<tool>error: [look] the program gave no answer within 0.05 s<end><a>");
  EXPECT_TRUE(uses_.at(0).failed);
}

TEST_F(ToolTurnsOf, PythonAnswersWithWhatAProgramPrints) {
  if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  RolloutToolConfig config;
  config.tools = {"calculator", "python"};
  const auto python = [](const char* code) { return call("python", Json{{"code", code}}.dump()); };
  EXPECT_EQ(
      reply(config,
            python("for i in range(2):\n  print(i * 21)") +
                call("calculator", R"({"expression": "2+3"})") + python("print('no'); 1/0") +
                python("open('/etc/passwd')") + "<end>",
            {"calculator", "python"}),
      "<tool>0\n21<end><tool>5<end><tool>error: [python] no\nZeroDivisionError: division by zero<end>"
      "<tool>error: [python] FileNotFoundError: [Errno 2] No such file or directory: '/etc/passwd'<end><a>");
  ASSERT_EQ(uses_.size(), 4U);
  EXPECT_FALSE(uses_[0].failed);
  EXPECT_FALSE(uses_[1].failed);
  EXPECT_TRUE(uses_[2].failed);
  EXPECT_TRUE(uses_[3].failed);
}

TEST_F(ToolTurnsOf, ToolsThatCannotRunHereEndTheRunAtItsStart) {
  if (const auto reason = no_sandbox()) GTEST_SKIP() << *reason;
  const std::string folder = talking_folder("talker");
  const Tokenizer tokenizer = load_tokenizer(folder);
  const std::vector<int32_t> ends = {kEnd};
  RolloutToolConfig config;
  config.tools = {"calculator"};
  ToolTurns harmless(config, {.python = "python4711"}, folder, tokenizer, ends, {});
  EXPECT_EQ(error_text([&] { harmless.check(); }), "no error");
  config.tools.emplace_back("python");
  ToolTurns turns(config, {.python = "python4711"}, folder, tokenizer, ends, {});
  EXPECT_EQ(error_text([&] {
              turns.check();
            }).find("[sandbox.python] it is 'python4711', and there is no "),
            0U);
}

TEST_F(ToolTurnsOf, ARowChoosesItsTools) {
  RolloutToolConfig config = built_in();
  using Names = std::set<std::string>;
  const auto of = [&](const char* row) { return tools_of_row(Json::parse(row), config, "rows:3"); };
  EXPECT_EQ(of("{}"), (Names{"calculator", "units"}));
  EXPECT_EQ(of(R"({"tools": ["units"]})"), (Names{"units"}));
  EXPECT_EQ(of(R"({"tools": [{"type": "function", "function": {"name": "calculator"}}]})"),
            (Names{"calculator"}));
  EXPECT_EQ(
      error_text([&] { of(R"({"tools": ["look"]})"); }),
      "[rows:3] 'tools' names 'look', which objective.tools does not have; add it there, or answer calls of "
      "it with a program (objective.tool_command), which needs the whole schema in the row");
  config.tool_command = "cat";
  EXPECT_EQ(of(R"({"tools": [{"name": "look"}, "units"]})"), (Names{"look", "units"}));
  EXPECT_NE(error_text([&] { of(R"({"tools": ["look"]})"); }), "no error");
  EXPECT_NE(error_text([&] { of(R"({"tools": [3]})"); }), "no error");
}

// A model that has learnt one conversation with a call by heart goes on from there.
class RolloutsWithTools : public ToolTurnsOf {
 protected:
  void SetUp() override {
    const Json call_of = {
        {"id", "call00001"},
        {"type", "function"},
        {"function", {{"name", "calculator"}, {"arguments", {{"expression", "7*8"}}}}}};
    Json messages = Json::array(
        {{{"role", "user"}, {"content", "7*8?"}},
         {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call_of})}},
         {{"role", "tool"}, {"content", "56"}},
         {{"role", "assistant"}, {"content", "56"}}});
    recipe_["model"] = {{"from", talking_folder("fresh")}};
    recipe_["objective"] = {{"name", "sft"}};
    recipe_["data"] = {
        {"train",
         folder_.write("chat.jsonl", Json{{"messages", messages}}.dump() + "\n").string()}};
    recipe_["train"].update(
        {{"steps", 120}, {"batch_size", 1}, {"seq_len", 160}, {"checkpoint_every", 0}});
    train(read_recipe(recipe_));
    ASSERT_LT(metrics().back().at("loss").get<double>(), 0.1);
    fs::rename(out() / "model", folder_ / "talker");
    start_over();
    recipe_["model"] = {{"from", (folder_ / "talker").string()}};
    Json rows = {{"prompt", Json::array({messages[0]})}, {"answer", "56"}};
    recipe_["data"] = {{"train", folder_.write("prompts.jsonl", rows.dump() + "\n").string()}};
    recipe_["objective"] = {{"name", "grpo"},
                            {"num_generations", 4},
                            {"max_completion_length", 120},
                            {"tools", {"calculator"}}};
    recipe_["reward"] = {{"functions", {"exact_match", "tool_use"}}};
    recipe_["train"].update({{"steps", 3}, {"batch_size", 8}, {"checkpoint_every", 1}});
    recipe_["optim"]["lr"] = 0.001;
  }
};

TEST_F(RolloutsWithTools, KeepTokensAndMaskWhatToolsSay) {
  expect_same_bits_from_every_step(read_recipe(recipe_));
  const Tokenizer tokenizer = load_tokenizer((folder_ / "talker").string());
  int with_calls = 0, right = 0;
  for (const Json& line : rollouts()) {
    const auto ids = line.at("completion_ids").get<std::vector<int32_t>>();
    const auto mask = line.at("tool_mask").get<std::vector<int>>();
    const auto old = line.at("old_logps").get<std::vector<double>>();
    ASSERT_EQ(mask.size(), ids.size());
    ASSERT_EQ(old.size(), ids.size());
    std::vector<int32_t> said;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (mask[i] != 0) continue;
      said.push_back(ids[i]);
      EXPECT_EQ(old[i], 0);
    }
    std::string wanted;
    for (const Json& use : line.at("tool_calls"))
      wanted += "<tool>" + use.at("result").get<std::string>() + "<end><a>";
    if (line.at("ended").get<bool>()) {
      EXPECT_EQ(tokenizer.decode(said), wanted);
    }
    EXPECT_EQ(readable_utf8(tokenizer.decode(ids)),
              line.at("transcript").get<std::string>());
    with_calls += said.empty() ? 0 : 1;
    right += line.at("rewards").at("exact_match") == 1 ? 1 : 0;
    if (line.at("transcript") ==
        "<call>{\"name\": \"calculator\", \"arguments\": {\"expression\": \"7*8\"}}</call><end><tool>56<end><a>56<end>") {
      EXPECT_EQ(line.at("completion"), "56");
      EXPECT_EQ(line.at("reward"), 2);
    }
  }
  EXPECT_GT(with_calls, 12);  // of 24
  EXPECT_GT(right, 8);
  for (const Json& line : metrics()) {
    EXPECT_LT(line.at("sampling/logp_difference_max").get<double>(), 1e-4);
    EXPECT_GT(line.at("tools/call_frequency").get<double>(), 0.3);
    EXPECT_LE(line.at("tools/failure_frequency").get<double>(), 1);
  }
}

TEST_F(RolloutsWithTools, EndWhereIterationsOrRoomDo) {
  recipe_["train"]["steps"] = 1;
  recipe_["objective"]["max_completion_length"] =
      66;  // enough for a call, not for an answer behind it
  train(read_recipe(recipe_));
  for (const Json& line : rollouts()) {
    EXPECT_LE(line.at("completion_ids").size(), 66U);
    if (!line.at("tool_calls").empty()) {
      EXPECT_FALSE(line.at("ended").get<bool>()) << line.dump();
    }
  }
}

TEST_F(RolloutsWithTools, RefuseWhatCannotWork) {
  const auto refusal = [&](const char* patch) {
    Json tree = recipe_;
    tree.merge_patch(Json::parse(patch));
    start_over();
    return error_text([&] { train(read_recipe(tree)); });
  };
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(refusal(R"({"objective": {"tools": ["search"]}})"), "calculator");
  expect(refusal(R"({"objective": {"tools": [], "max_tool_calling_iterations": 2}})"),
         "[objective.max_tool_calling_iterations] there are no tools; set tools, or leave it out");
  expect(
      refusal(R"({"objective": {"tool_timeout": 2}})"),
      "[objective.tool_timeout] only a program can take too long; set tool_command, or leave it out");
  const std::string text_row = folder_.write("text.jsonl", "{\"prompt\": \"7*8=\"}\n").string();
  expect(refusal(Json{{"data", {{"train", text_row}}}}.dump().c_str()),
         "text.jsonl:1] tools are called in a conversation, but the prompt is a text");
  fs::remove(folder_ / "talker/chat_template.jinja");
  const std::string id_row = folder_.write("ids.jsonl", "{\"prompt_ids\": [65]}\n").string();
  expect(refusal(Json{{"data", {{"train", id_row}}}}.dump().c_str()), "has no chat template");

  // One that writes no calls; what the error advises works.
  const std::string talker = (folder_ / "talker").string();
  folder_.write("talker/chat_template.jinja",
                "{% for m in messages %}<user>{{ m.content }}<end>{% endfor %}<a>");
  expect(
      refusal("{}"),
      "the chat template does not write the names of the tools that are called, so that a model cannot be "
      "held to calls; put a template in whose syntax tools can be called into " +
          talker +
          " (chat_template.jinja), set data.tokenizer to a folder that has one, or leave tools out");
  EXPECT_EQ(refusal("{}").find("[objective.tools]"), 0U) << refusal("{}");
  const Json other = {{"data", {{"tokenizer", (folder_ / "fresh").string()}}}};
  EXPECT_EQ(refusal(other.dump().c_str()), "no error");
  EXPECT_EQ(refusal(R"({"objective": {"tools": []}, "reward": {"functions": ["ended"]}})"),
            "no error");
  folder_.write("talker/chat_template.jinja", kTemplate);
  EXPECT_EQ(refusal("{}"), "no error");
}

// What an engine knows of the turn before changes nothing of the next one.
TEST_F(RolloutsWithTools, GoOnAsInANewEngine) {
  const auto model = load_model((folder_ / "talker").string(), {});
  const Tokenizer tokenizer = load_tokenizer((folder_ / "talker").string());
  std::vector<SampleRequest> first;
  for (uint64_t i = 0; i < 2; ++i)
    first.push_back({.prompt = tokenizer.encode(i == 0 ? "<user>7*8?<end><a>" : "<user>8<end><a>"),
                     .place = "",
                     .choices = 3,
                     .max_tokens = 60,
                     .stream = Rng(5).fork(i)});
  RolloutEngine engine(*model, nullptr, first, 1.0);
  const auto drawn = engine.answers(first, [] {});
  std::vector<SampleRequest> second;
  for (size_t i = 0; i < 2; ++i)
    for (uint64_t c = 0; c < 3; ++c) {
      SampleRequest& next = second.emplace_back();
      next.prompt = first[i].prompt;
      next.prompt.insert(next.prompt.end(), drawn[i][c].ids.begin(), drawn[i][c].ids.end());
      next.max_tokens = 60 - std::ssize(drawn[i][c].ids) + 1;
      next.stream = first[i].stream.fork("turn");
      next.first_choice = c;
    }
  const auto known = engine.answers(second, [] {});
  const auto fresh = RolloutEngine(*model, nullptr, second, 1.0).answers(second, [] {});
  ASSERT_EQ(known.size(), 6U);
  for (size_t i = 0; i < known.size(); ++i) {
    EXPECT_EQ(known[i][0].ids, fresh[i][0].ids) << i;
    EXPECT_EQ(known[i][0].logps, fresh[i][0].logps) << i;
    EXPECT_FALSE(known[i][0].ids.empty());
  }
}

TEST_F(RolloutsWithTools, ArePlanned) {
  const Recipe recipe = read_recipe(recipe_);
  const MemoryPlan plan = plan_memory(recipe, longest_examples(recipe), 1);
  std::map<std::string, int64_t> parts;
  for (const MemoryPart& part : plan.parts) parts[part.name] = part.bytes;
  host_allocator().trim();
  std::map<std::string, int64_t> before;
  host_allocator().reset_peak();
  for (const auto& [label, bytes] : host_allocator().peak_by_label())
    before[std::string(label)] = static_cast<int64_t>(bytes);
  TrainLoop loop(recipe);
  for (int64_t step = 1; step <= 3; ++step) loop.step(step);
  int64_t most = 0;
  for (const auto& [label, bytes] : host_allocator().peak_by_label())
    if (label != "kernels") most += static_cast<int64_t>(bytes) - before[std::string(label)];
  EXPECT_LE(most, plan.total() - parts["program and data"]);
  EXPECT_GT(5 * most, plan.total() - parts["program and data"]);
}

}  // namespace
}  // namespace lathe::testing
