// What a task file asks of a model, and what is refused.
#include "lathe/eval/task/task.h"

#include <gtest/gtest.h>

#include <set>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kChoices = R"(name = "t"
kind = "choices"
data = "rows.jsonl"
prompt = "Q: {{q}}\nA:"
choices = "{{c}}"
gold = "{{g}}"
metrics = ["acc"]
)";
constexpr const char* kRows = R"({"q": "one", "c": ["x", "y"], "g": 1}
{"q": "two", "c": ["v", "w"], "g": 0}
{"q": "three", "c": ["r", "s"], "g": 1}
)";

class Tasks : public ::testing::Test {
 protected:
  Tasks() { folder_.write("rows.jsonl", kRows); }

  EvalTask read(const std::string& toml, int64_t shots = 0, uint64_t seed = 0) {
    folder_.write("task.toml", toml);
    return {read_task_config(folder_ / "task.toml"), shots, Rng(seed)};
  }
  // Without the folder's name.
  std::string refusal(const std::string& toml, int64_t shots = 0) {
    std::string text = error_text([&] {
      const EvalTask task = read(toml, shots);
      for (int64_t id = 0; id < task.size(); ++id) task.item(id);
    });
    const std::string folder = (folder_ / "").string();
    for (size_t at = 0; (at = text.find(folder)) != std::string::npos;)
      text.erase(at, folder.size());
    return text;
  }
  static std::string changed(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  TempFolder folder_;
};

TEST_F(Tasks, AnItemIsShotsAPromptAndWhatMayFollow) {
  const EvalTask task = read(std::string(kChoices) + "description = \"About {{q}}.\\n\\n\"\n", 2);
  const EvalItem item = task.item(1);
  EXPECT_EQ(item.prompts, Texts{"About two.\n\nQ: one\nA: y\n\nQ: three\nA: s\n\nQ: two\nA:"});
  EXPECT_EQ(item.continuations, (Texts{" v", " w"}));
  EXPECT_EQ(item.choices, (Texts{"v", "w"}));
  EXPECT_EQ(item.gold, 0);
}

TEST_F(Tasks, DrawnShotsAreOthersFromItemToItemAndNeverTheItem) {
  std::string rows;
  for (int i = 0; i < 20; ++i)
    rows += R"({"q": "q)" + std::to_string(i) + R"(", "c": ["x", "y"], "g": 0})" + "\n";
  folder_.write("rows.jsonl", rows);
  const std::string toml = std::string(kChoices) + "shots_order = \"seeded\"\n";
  const EvalTask task = read(toml, 19), same = read(toml, 19), other = read(toml, 19, 1);
  std::vector<std::string> before;
  for (int64_t id = 0; id < task.size(); ++id) {
    const std::string prompt = task.item(id).prompts[0];
    EXPECT_EQ(prompt, same.item(id).prompts[0]);
    EXPECT_NE(prompt, other.item(id).prompts[0]);
    for (int64_t row = 0; row < task.size(); ++row) {
      const std::string question = "Q: q" + std::to_string(row) + "\n";
      const size_t at = prompt.find(question);
      ASSERT_NE(at, std::string::npos) << prompt;
      EXPECT_EQ(prompt.find(question, at + 1), std::string::npos);
      EXPECT_EQ(row == id, prompt.ends_with(question + "A:"));
    }
    before.push_back(prompt.substr(0, 6));
  }
  EXPECT_GT(std::set<std::string>(before.begin(), before.end()).size(), 5U);
}

TEST_F(Tasks, ShotsMayComeFromElsewhereAndLookDifferent) {
  folder_.write("shots.jsonl",
                R"([{"question": "s0", "a": "yes"}, {"question": "s1", "a": "no"}])");
  const EvalTask task = read(std::string(kChoices) +
                                 "shots_from = \"shots.jsonl\"\nshot_prompt = \"S: {{question}}\"\n"
                                 "shot_target = \"{{a}}\"\nseparator = \"|\"\ndelimiter = \"=\"\n",
                             2);
  EXPECT_EQ(task.item(0).prompts, Texts{"S: s0=yes|S: s1=no|Q: one\nA:"});
  EXPECT_EQ(task.item(0).continuations, (Texts{"=x", "=y"}));
}

TEST_F(Tasks, APromptForEachChoiceHasOneTarget) {
  const EvalTask task = read(R"(name = "t"
kind = "choices"
data = "rows.jsonl"
prompt = ["{{q}} {{c[0]}}", "{{q}} {{c[1]}}"]
target = "end"
gold = "{{g}}"
metrics = ["acc"]
)",
                             1);
  EXPECT_EQ(task.item(0).prompts, (Texts{"two v end\n\none x", "two v end\n\none y"}));
  EXPECT_EQ(task.item(0).continuations, (Texts{" end", " end"}));
}

TEST_F(Tasks, OtherKinds) {
  const std::string head = "name = \"t\"\ndata = \"rows.jsonl\"\n";
  EvalItem item = read(head +
                       "kind = \"loglikelihood\"\nprompt = \"{{q}}\"\ntarget = \"{{c[g]}}\"\n"
                       "metrics = [\"acc\"]\n")
                      .item(0);
  EXPECT_EQ(item.prompts, Texts{"one"});
  EXPECT_EQ(item.continuations, Texts{" y"});
  item =
      read(head + "kind = \"perplexity\"\ntarget = \"{{q}}\\n\"\nmetrics = [\"byte_perplexity\"]\n")
          .item(0);
  EXPECT_EQ(item.prompts, Texts{""});
  EXPECT_EQ(item.continuations, Texts{"one\n"});  // with its line end
  item = read(head +
              "kind = \"generate\"\nprompt = \"{{q}}\"\ntarget = \"{{g}}\"\ngroup = \"{{g}}\"\n"
              "metrics = [\"exact_match\", \"pass@4\"]\nsamples = 8\n"
              "filters = [{name = \"n\", regex = \"[0-9]+\", which = \"last\"}]\n")
             .item(0);
  EXPECT_EQ(item.prompts, Texts{"one"});
  EXPECT_EQ(item.continuations, Texts{});
  EXPECT_EQ(item.target, "1");
  EXPECT_EQ(item.group, "1");
}

TEST_F(Tasks, RowsOfCsv) {
  folder_.write("rows.csv",
                "\xEF\xBB\xBFq,c,g\r\n\"one, or \"\"1\"\"\",x y,0\r\n\"two\nlines\",,1\r\n");
  const TaskRows rows = read_task_rows(folder_ / "rows.csv");
  ASSERT_EQ(rows.rows.size(), 2U);
  EXPECT_EQ(rows.rows[0].fields["q"], "one, or \"1\"");
  EXPECT_EQ(rows.rows[0].fields["c"], "x y");
  EXPECT_EQ(rows.rows[1].fields["q"], "two\nlines");
  EXPECT_EQ(rows.rows[1].fields["c"], "");
  EXPECT_EQ(rows.rows[1].fields["g"], "1");
  EXPECT_EQ(rows.rows[1].line, 3);
  folder_.write("short.csv", "a,b\n1,2\n1\n");
  EXPECT_NE(error_text([&] {
              read_task_rows(folder_ / "short.csv");
            }).find("short.csv:3] the record has 1 fields, but the first one names 2"),
            std::string::npos);
  folder_.write("latin.csv", "a,b\n1,\xE9\n");
  EXPECT_NE(error_text([&] { read_task_rows(folder_ / "latin.csv"); }).find("is not UTF-8"),
            std::string::npos);
  folder_.write("open.csv", "a,b\n1,\"2\n3,4\n");
  EXPECT_NE(error_text([&] {
              read_task_rows(folder_ / "open.csv");
            }).find("open.csv:2] a quote is opened and never closed"),
            std::string::npos);
}

TEST_F(Tasks, RowsOfSeveralFilesHaveTheFieldOfTheirName) {
  folder_.write("v/b_val.jsonl", R"({"examples": [{"q": "3"}]})");
  folder_.write("v/a_b_val.jsonl", R"({"examples": [{"q": "1"}, {"q": "2"}]})");
  folder_.write("v/_val.jsonl", "none");  // nothing stands for the field
  folder_.write("v/c_dev.jsonl", "none");
  const std::string toml =
      "name = \"t\"\nkind = \"generate\"\ndata = \"v/{subject}_val.jsonl\"\n"
      "records = \"examples\"\nprompt = \"{{subject}} {{q}}\"\nmetrics = [\"exact_match\"]\n";
  const EvalTask task = read(toml);
  ASSERT_EQ(task.size(), 3);
  EXPECT_EQ(task.rows().files, (std::vector<std::filesystem::path>{folder_ / "v/a_b_val.jsonl",
                                                                   folder_ / "v/b_val.jsonl"}));
  EXPECT_EQ(task.item(0).prompts, Texts{"a_b 1"});
  EXPECT_EQ(task.item(2).prompts, Texts{"b 3"});
  EXPECT_EQ(task.rows().place(2), (folder_ / "v/b_val.jsonl").string() + ":1");
  EXPECT_EQ(refusal(changed(toml, "{subject}_val", "{subject_val")),
            "[v/{subject_val.jsonl] a file's name has one {field} at most, expected as in "
            "val/{subject}_val.csv");
  EXPECT_TRUE(refusal(changed(toml, "v/{subject}_val", "w/{subject}_val"))
                  .starts_with("[w/{subject}_val.jsonl] cannot be opened"));
  EXPECT_EQ(refusal(changed(toml, "\"examples\"", "\"rows\"")),
            "[v/a_b_val.jsonl:1] has no list 'rows', which records names");
  folder_.write("v/x_val.csv", "q\n1\n");
  EXPECT_EQ(refusal(changed(toml, "_val.jsonl", "_val.csv")),
            "[v/x_val.csv] records is for JSON, not for CSV");
}

TEST_F(Tasks, APackedFileIsFoundByThePlainName) {
  // Its first bytes say whether it is packed, not its name.
  std::filesystem::rename(folder_ / "rows.jsonl", folder_ / "rows.jsonl.gz");
  EXPECT_EQ(read(kChoices).size(), 3);
}

TEST_F(Tasks, RowsAreJoined) {
  folder_.write("rows.jsonl", R"({"id": 1, "q": "one", "k": "x"}
{"id": 2, "q": "two", "k": "y"}
)");
  folder_.write("answers.jsonl", R"({"id": 2, "a": "B", "q": "not this"}
{"id": 1, "a": "A"}
)");
  folder_.write("about-x.txt", "ex\n");
  folder_.write("about-y.txt", "why\n");
  const std::string toml =
      "name = \"t\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\n"
      "prompt = \"{{about}}{{q}}\"\ntarget = \"{{a}}\"\nmetrics = [\"exact_match\"]\n"
      "join = [{file = \"answers.jsonl\", on = \"id\"}, {file = \"about-{k}.txt\", as = "
      "\"about\"}]\n";
  const EvalTask task = read(toml);
  EXPECT_EQ(task.item(0).prompts, Texts{"ex\none"});
  EXPECT_EQ(task.item(1).prompts, Texts{"why\ntwo"});
  EXPECT_EQ(task.item(0).target, "A");
  EXPECT_EQ(task.item(1).target, "B");
  EXPECT_EQ(task.rows().files.size(), 4U);
  EXPECT_EQ(refusal(changed(toml, ", on = \"id\"", "")),
            "[task.toml] join of 'answers.jsonl' has neither 'on' nor 'as'; it takes 'on', a field "
            "that both rows have, or 'as', the name of a field for the file's text");
  EXPECT_EQ(refusal(changed(toml, "\"id\"", "\"no\"")),
            "[answers.jsonl:1] the row has no 'no' to join by");
  EXPECT_EQ(refusal(changed(toml, "\"id\"", "\"a\"")),
            "[rows.jsonl:1] the row has no 'a' to join by");
  EXPECT_EQ(refusal(changed(toml, "{k}", "{id}")),
            "[rows.jsonl:1] the row has no text 'id', which the name of the file about-{id}.txt "
            "asks for");
  folder_.write("answers.jsonl", R"({"id": 1, "a": "A"})");
  EXPECT_EQ(refusal(toml), "[rows.jsonl:2] answers.jsonl has no row whose 'id' is 2");
  folder_.write("answers.jsonl", "{\"id\": 1}\n{\"id\": 1}\n");
  EXPECT_EQ(refusal(toml), "[answers.jsonl:2] a row before this one has the same 'id'");
}

TEST_F(Tasks, MacrosServeAllTemplates) {
  const std::string toml = changed(changed(kChoices, "\"Q: {{q}}\\nA:\"", "\" {{loud(q)}}\""),
                                   "\"{{c}}\"", "\"{{[loud(c[0]), mark]}}\"");
  const std::string macros =
      "macros = \"{% macro loud(x) %}{{x|upper}}{% endmacro %}\\n{%- set mark = '!' -%}\\n\"\n";
  const EvalTask task = read(toml + macros);
  EXPECT_EQ(task.item(0).prompts, Texts{" ONE"});  // its blank stays
  EXPECT_EQ(task.item(0).continuations, (Texts{" X", " !"}));
  EXPECT_EQ(refusal(toml + "macros = \"x\"\n"),
            "[task.toml] macros has more than macro and set blocks; end each of them with -%}, so "
            "that no line is between them");
}

TEST_F(Tasks, AChanceIsANumberOrATemplate) {
  EXPECT_EQ(read(std::string(kChoices) + "chance = 0.25\n").item(0).chance, 0.25);
  EXPECT_EQ(read(std::string(kChoices) + "chance = \"{{1 / c|length}}\"\n").item(0).chance, 0.5);
  EXPECT_EQ(read(kChoices).item(0).chance, std::nullopt);
  EXPECT_EQ(refusal(std::string(kChoices) + "chance = 2\n"),
            "[rows.jsonl:1] chance is \"2\", expected a number from 0 to 1");
}

TEST_F(Tasks, DrawnShotsOfAGroupAreOthersOfIt) {
  std::string rows;
  for (int i = 0; i < 12; ++i)
    rows += R"({"q": "q)" + std::to_string(i) + R"(", "c": ["x", "y"], "g": )" +
            std::to_string(i % 2) + "}\n";
  folder_.write("rows.jsonl", rows);
  const std::string toml =
      std::string(kChoices) + "shots_order = \"seeded\"\nshots_group = \"{{g}}\"\n";
  const EvalTask task = read(toml, 5);
  std::set<std::string> orders;
  for (int64_t id = 0; id < 12; ++id) {
    const std::string prompt = task.item(id).prompts[0];
    for (int64_t row = 0; row < 12; ++row)
      EXPECT_EQ(prompt.find("Q: q" + std::to_string(row) + "\n") != std::string::npos,
                row % 2 == id % 2)
          << prompt;
    EXPECT_TRUE(prompt.ends_with("Q: q" + std::to_string(id) + "\nA:"));
    orders.insert(prompt.substr(0, 12));
  }
  EXPECT_GT(orders.size(), 4U);
  EXPECT_EQ(refusal(toml, 6),
            "[shots] 6 shots are asked for, but rows.jsonl has 5 rows of shots_group '0' for "
            "rows.jsonl:1; ask for at most 5");
}

TEST_F(Tasks, AMissingFileSaysHowToGetIt) {
  EXPECT_EQ(refusal(changed(kChoices, "rows.jsonl", "none.jsonl") + "get = \"ask Ann\"\n"),
            "[none.jsonl] does not exist. To get it: ask Ann");
}

TEST_F(Tasks, WhatIsRefusedIsNamed) {
  const auto row = [&](const std::string& text) {
    folder_.write("rows.jsonl", kRows + text + "\n");
    const std::string error = refusal(kChoices);
    folder_.write("rows.jsonl", kRows);
    return error;
  };
  EXPECT_TRUE(row(R"({"c": ["x"], "g": 0})").starts_with("[rows.jsonl:4] prompt: "));
  EXPECT_EQ(row(R"({"q": "a", "c": [], "g": 0})"),
            "[rows.jsonl:4] choices are an empty list, expected a list of texts");
  EXPECT_EQ(row(R"({"q": "a", "c": ["x", ""], "g": 0})"),
            "[rows.jsonl:4] one of the choices is empty, so that nothing could be measured");
  EXPECT_EQ(row(R"({"q": "a", "c": ["x", "y"], "g": 2})"),
            "[rows.jsonl:4] gold is 2, but there are 2 choices, numbered from 0");
  EXPECT_EQ(row(R"({"q": "a", "c": ["x", "y"], "g": 0.5})"),
            "[rows.jsonl:4] gold is 0.5, expected the number of a choice, from 0");
  EXPECT_EQ(row("[1]"), "[rows.jsonl:4] the row is array, expected an object");
  EXPECT_TRUE(row(R"({"q": "a", "c": ["x")")
                  .starts_with("[rows.jsonl:4] the row that begins here cannot be read: "));
  EXPECT_EQ(refusal(kChoices, 3),
            "[shots] 3 shots are asked for, but rows.jsonl has 2 rows beside the item; ask for at "
            "most 2");
  EXPECT_EQ(refusal(kChoices, 2), "no error");  // as it says
  const std::string data = "name = \"t\"\ndata = \"rows.jsonl\"\n",
                    whole = data +
                            "kind = \"perplexity\"\ntarget = \"{{q}}\"\nmetrics = "
                            "[\"byte_perplexity\"]\n",
                    write = data +
                            "kind = \"generate\"\nprompt = \"{{q}}\"\nmetrics = "
                            "[\"exact_match\"]\n";
  EXPECT_EQ(refusal(whole, 1),
            "[shots] task.toml says nothing that a shot asks; set shot_prompt there, or ask for 0 "
            "shots");
  EXPECT_EQ(refusal(whole + "shot_prompt = \"Q:\"\n", 1), "no error");  // as it says
  EXPECT_EQ(refusal(write, 1),
            "[shots] task.toml says nothing that a shot answers; set target or shot_target there, "
            "or ask for 0 shots");
  EXPECT_EQ(refusal(write + "target = \"{{g}}\"\n", 1), "no error");
  EXPECT_EQ(refusal(write, 0), "no error");
  const std::string choices(kChoices);
  const auto begins = [&](const std::string& toml, const std::string& text) {
    const std::string error = refusal(toml);
    EXPECT_TRUE(error.starts_with(text)) << error;
  };
  begins(changed(choices, "choices = ", "chioces = "),
         "[task.toml] unknown key 'chioces'. Did you mean 'choices'?");
  begins(changed(choices, "\"choices\"\n", "\"choice\"\n"), "[task.toml] kind is \"choice\"");
  begins(changed(choices, "[\"acc\"]", "[\"accc\"]"),
         "[task.toml: metrics] unknown name 'accc'. Did you mean 'acc'?");
  begins(changed(choices, "[\"acc\"]", "[]"), "[task.toml] metrics is empty");
  begins(changed(choices, "gold = \"{{g}}\"\n", ""),
         "[task.toml] gold is missing, which a task of kind 'choices' needs");
  begins(choices + "stop = [\"x\"]\n",
         "[task.toml] stop means nothing to a task of kind 'choices'");
  begins(changed(choices, "choices = \"{{c}}\"\n", ""),
         "[task.toml] a task of choices has one prompt and choices, or a list of prompts");
  begins(changed(choices, "{{q}}", "{{ q "), "[task.toml: prompt] line 1, column ");
  begins(changed(choices, "rows.jsonl", "none.jsonl"), "[none.jsonl] cannot be opened");
  folder_.write("rows.jsonl", "\n");
  EXPECT_EQ(refusal(choices), "[rows.jsonl] has no rows");
}

// What a template would be given, as text.
ChatForm written(bool shots_as_turns) {
  return {.text =
              [](const nlohmann::ordered_json& messages) {
                std::string text;
                for (const auto& each : messages)
                  text += "<" + each["role"].get<std::string>() + ">" +
                          each["content"].get<std::string>();
                return text + "<assistant>";
              },
          .system = "Be brief. ",
          .shots_as_turns = shots_as_turns};
}

TEST_F(Tasks, AConversationHasTheDescriptionAsSystemMessageAndShotsInItOrAsTurns) {
  folder_.write("task.toml", std::string(kChoices) + "description = \"Choose.\"\n");
  const auto item = [&](bool as_turns) {
    return EvalTask(read_task_config(folder_ / "task.toml"), 1, Rng(0), written(as_turns)).item(1);
  };
  EXPECT_EQ(item(false).prompts,
            Texts{"<system>Be brief. Choose.<user>Q: one\nA: y\n\nQ: two\nA:<assistant>"});
  EXPECT_EQ(
      item(true).prompts,
      Texts{"<system>Be brief. Choose.<user>Q: one\nA:<assistant>y<user>Q: two\nA:<assistant>"});
  EXPECT_EQ(item(true).continuations, (Texts{"v", "w"}));  // without the delimiter
}

TEST_F(Tasks, ChoicesArePermutedWithTheNumberOfTheRightOne) {
  std::string rows;
  for (int i = 0; i < 40; ++i)
    rows += R"({"q": "x", "c": ["a", "b", "right", "d"], "g": 2})"
            "\n";
  folder_.write("rows.jsonl", rows);
  const std::string toml =
      changed(kChoices, "Q: {{q}}\\nA:", "{{c|join(',')}}") + "permute = \"c\"\n";
  const EvalTask task = read(toml), same = read(toml), other = read(toml, 0, 1);
  std::set<int64_t> places;
  int64_t different = 0;
  for (int64_t id = 0; id < task.size(); ++id) {
    const EvalItem item = task.item(id);
    EXPECT_EQ(item.choices[static_cast<size_t>(*item.gold)], "right");
    EXPECT_EQ(item.prompts[0], item.choices[0] + "," + item.choices[1] + "," + item.choices[2] +
                                   "," + item.choices[3]);
    EXPECT_EQ(item.prompts, same.item(id).prompts);
    different += item.prompts != other.item(id).prompts;
    places.insert(*item.gold);
  }
  EXPECT_EQ(places.size(), 4u);
  EXPECT_GT(different, 20);
  EXPECT_EQ(refusal(std::string(kChoices) + "permute = \"q\"\n"),
            "[rows.jsonl:1] has no list 'q', which permute names");
}

TEST_F(Tasks, DifficultyIsANumber) {
  EXPECT_EQ(read(std::string(kChoices) + "difficulty = \"{{q|length}}\"\n").item(2).difficulty,
            (Difficulty{{"", 5}}));
  EXPECT_EQ(refusal(std::string(kChoices) + "difficulty = \"{{q}}\"\n"),
            "[rows.jsonl:1] difficulty is \"one\", expected a number");
  const auto with = [](const char* table) {
    return std::string(kChoices) + "difficulty = {" + table + "}\n";
  };
  EXPECT_EQ(read(with("size = \"{{q|length}}\", depth = \"7\"")).item(2).difficulty,
            (Difficulty{{"size", 5}, {"depth", 7}}));
  EXPECT_EQ(read(with("size = \"{{q|length}}\"")).item(2).difficulty, (Difficulty{{"size", 5}}));
  EXPECT_EQ(refusal(with("size = \"1\", depth = \"{{q}}\"")),
            "[rows.jsonl:1] difficulty.depth is \"one\", expected a number");
  EXPECT_EQ(refusal(with("")),
            "[task.toml] difficulty has 0 templates; scores are shown by one or two of them");
  EXPECT_EQ(refusal(with("a = \"1\", b = \"2\", c = \"3\"")),
            "[task.toml] difficulty has 3 templates; scores are shown by one or two of them");
  EXPECT_EQ(refusal(with("a = 1")),
            "[task.toml] difficulty.a is 1, expected a template of a number");
}

}  // namespace
}  // namespace lathe
