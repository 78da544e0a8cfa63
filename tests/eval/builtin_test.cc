// The tasks that are built in: that each is whole, and what it asks of a row of its public set.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "io/shared_data.h"
#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/task/task.h"

namespace lathe {
namespace {

using Texts = std::vector<std::string>;
using Files = std::map<std::string, std::string>;  // by name, below the folder of tasks' data

constexpr const char* kArc =
    R"({"id":"a","question":"Q?","choices":{"text":["x","y","z"],"label":["1","2","3"]},"answerKey":"3"})";
constexpr const char* kOpenBook =
    R"({"id":"a","question_stem":"Sun is","choices":{"text":["x","y"],"label":["A","B"]},"answerKey":"B"})";
constexpr const char* kCommonSense =
    R"({"question":" Q? ","choices":{"label":["A","B","C","D","E"],"text":["a","b","c","d","e"]},"answerKey":"D"})";
constexpr const char* kPrompt = "canary\n-----\nWhat it is.\n\nQ: one\nA: 1.\n\nQ: two\nA: 2.\n";
constexpr const char* kCall =
    R"({"id":"i_0","question":[[{"role":"user","content":"Add."}]],"function":[{"name":"add"}]})";
constexpr const char* kOptions = "\nA. a\nB. b\nC. c\nD. d\n";

// What a made row of the public set becomes.
struct Example {
  std::string_view task;
  Files files;
  Texts prompts, continuations;
  std::optional<int64_t> gold = {};
  std::optional<std::string> target = {};
};

const std::vector<Example>& examples() {
  static const std::vector<Example> kAll = {
      {"hellaswag",
       {{"hellaswag/validation.jsonl",
         R"({"activity_label":"Do it","ctx_a":"A [header] b. [title] C","ctx_b":"the Man","endings":["[step] one","two  [a] x","three [","[b\nc] four"],"label":"2"})"}},
       {"Do it: A b.. C The man"},
       {"  one", " two  x", " three [", " [b\nc] four"},
       2},
      {"arc_easy",
       {{"arc_easy/validation.jsonl", kArc}},
       {"Question: Q?\nAnswer:"},
       {" x", " y", " z"},
       2},
      {"arc_challenge",
       {{"arc_challenge/validation.jsonl", kArc}},
       {"Question: Q?\nAnswer:"},
       {" x", " y", " z"},
       2},
      {"arc_easy_mc",
       {{"arc_easy/validation.jsonl", kArc}},
       {"Question: Q?\n A. x\n B. y\n C. z\nAnswer:"},
       {" A", " B", " C"},
       2},
      {"arc_challenge_mc",
       {{"arc_challenge/validation.jsonl", kArc}},
       {"Question: Q?\n A. x\n B. y\n C. z\nAnswer:"},
       {" A", " B", " C"},
       2},
      {"openbookqa_mc",
       {{"openbookqa/test.jsonl", kOpenBook}},
       {"Question: Sun is\n A. x\n B. y\nAnswer:"},
       {" A", " B"},
       1},
      {"commonsense_qa_cloze",
       {{"commonsense_qa/validation.jsonl", kCommonSense}},
       {"Question: Q?\nAnswer:"},
       {" a", " b", " c", " d", " e"},
       3},
      {"piqa",
       {{"piqa/validation.jsonl", R"({"goal":"Go","sol1":"a","sol2":"b","label":1})"}},
       {"Question: Go\nAnswer:"},
       {" a", " b"},
       1},
      {"winogrande",
       {{"winogrande/validation.jsonl",
         R"({"sentence":"Ann saw that _ is_ late.","option1":"Bo","option2":"Cy","answer":"2"})"}},
       {"Ann saw that Bo", "Ann saw that Cy"},
       {" is_ late.", " is_ late."},
       1,
       "is_ late."},
      {"boolq",
       {{"boolq/validation.jsonl", R"({"question":"is it","passage":"It is.","answer":true})"}},
       {"It is.\nQuestion: is it?\nAnswer:"},
       {" no", " yes"},
       1},
      {"lambada_openai",
       {{"lambada_openai/test.jsonl", R"({"text":"a\nb c d"})"}},
       {"a\nb c"},
       {" d"},
       {},
       "d"},
      {"needle",
       {{"needle/items.jsonl",
         R"({"prompt":"a b\n\nWhat? It is","target":" 7","chance":1e-05,"size":2,"depth":50})"}},
       {"a b\n\nWhat? It is"},
       {" 7"},
       {},
       " 7"},
      {"openbookqa", {{"openbookqa/test.jsonl", kOpenBook}}, {"Sun is"}, {" x", " y"}, 1},
      {"commonsense_qa",
       {{"commonsense_qa/validation.jsonl", kCommonSense}},
       {"Question: Q?\nA. a\nB. b\nC. c\nD. d\nE. e\nAnswer:"},
       {" A", " B", " C", " D", " E"},
       3},
      {"social_iqa",
       {{"social_iqa/validation.jsonl",
         R"({"context":"C.","question":"Q?","answerA":"a","answerB":"b","answerC":"c","label":"2"})"}},
       {"Q: C. Q?\nA:"},
       {" a", " b", " c"},
       1},
      {"sciq",
       {{"sciq/test.jsonl",
         R"({"question":"Q?","distractor1":"a","distractor2":"b","distractor3":"c","correct_answer":"d","support":" S."})"}},
       {"S.\nQuestion: Q?\nAnswer:"},
       {" a", " b", " c", " d"},
       3},
      {"copa",
       {{"copa/validation.jsonl",
         R"({"premise":"It rained. ","choice1":"I left.","choice2":"She came.","question":"effect","label":1})"}},
       {"It rained therefore"},
       {"  i left.", "  she came."},
       1},
      {"mmlu",
       {{"mmlu/test.jsonl",
         R"({"question":"Q? ","subject":"high_school_physics","choices":["a","b","c","d"],"answer":2})"}},
       {std::string("The following are multiple choice questions (with answers) about high school "
                    "physics.\n\nQ?") +
        kOptions + "Answer:"},
       {" A", " B", " C", " D"},
       2},
      {"mmlu_cloze",
       {{"mmlu/test.jsonl",
         R"({"question":"Q? ","subject":"high_school_physics","choices":["a","b","c","d"],"answer":2})"}},
       {"The following are questions (with answers) about high school physics.\n\nQuestion: Q?\nAnswer:"},
       {" a", " b", " c", " d"},
       2},
      {"ceval",
       {{"ceval/val/law_val.csv", "id,question,A,B,C,D,answer\n0,问,a,b,c,d,D\n"}},
       {std::string("以下是中国关于法学的单项选择题，请选出其中的正确答案。\n\n问") + kOptions +
        "答案："},
       {" A", " B", " C", " D"},
       3},
      {"cmmlu",
       {{"cmmlu/test/agronomy.csv", ",Question,A,B,C,D,Answer\n0,问,a,b,c,d,B\n"}},
       {std::string("以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n问") + kOptions +
        "答案："},
       {" A", " B", " C", " D"},
       1},
      {"gsm8k",
       {{"gsm8k/test.jsonl", R"({"question":"1+1?","answer":"So 2.\n#### 2"})"}},
       {"Question: 1+1?\nAnswer:"},
       {},
       {},
       "So 2.\n#### 2"},
      {"hendrycks_math",
       {{"hendrycks_math/test.jsonl",
         R"({"problem":"P","solution":"$\\boxed{1}$ or $\\boxed{\\frac{a}{b}}$, {x}."})"}},
       {"Problem: P\nAnswer:"},
       {},
       {},
       "\\frac{a}{b}"},
      {"bbh",
       {{"bbh/bbh/navigate.json",
         R"({"canary":"c","examples":[{"input":"Back?","target":"Yes"}]})"},
        {"bbh/cot-prompts/navigate.txt", kPrompt}},
       {"What it is.\n\nQ: one\nA: 1.\n\nQ: two\nA: 2.\n\nQ: Back?\nA: Let's think step by "
        "step.\n"},
       {},
       {},
       "Yes"},
      {"bbh_zeroshot",
       {{"bbh/bbh/navigate.json",
         R"({"canary":"c","examples":[{"input":"Back?","target":"Yes"}]})"},
        {"bbh/cot-prompts/navigate.txt", kPrompt}},
       {"What it is.\n\nQ: Back?\nA:"},
       {},
       {},
       "Yes"},
      {"truthfulqa_mc1",
       {{"truthfulqa/validation.jsonl",
         R"({"question":"Q?","mc1_targets":{"choices":["t","f"],"labels":[1,0]}})"}},
       {},  // long; its end is tested
       {" t", " f"},
       0},
      {"humaneval",
       {{"humaneval/HumanEval.jsonl", R"({"prompt":"def f():\n","test":"","entry_point":"f"})"}},
       {"def f():\n"},
       {}},
      {"ifeval",
       {{"ifeval/input_data.jsonl",
         R"({"key":1,"prompt":"Write.","instruction_id_list":[],"kwargs":[]})"}},
       {"Write."},
       {}},
      {"bfcl_simple",
       {{"bfcl/BFCL_v4_simple_python.json", kCall},
        {"bfcl/possible_answer/BFCL_v4_simple_python.json",
         R"({"id":"i_0","ground_truth":[{"add":{}}]})"}},
       {},
       {}},
      {"bfcl_multiple",
       {{"bfcl/BFCL_v4_multiple.json", kCall},
        {"bfcl/possible_answer/BFCL_v4_multiple.json", R"({"id":"i_0","ground_truth":[]})"}},
       {},
       {}},
      {"bfcl_parallel",
       {{"bfcl/BFCL_v4_parallel.json", kCall},
        {"bfcl/possible_answer/BFCL_v4_parallel.json", R"({"id":"i_0","ground_truth":[]})"}},
       {},
       {}},
      {"bfcl_irrelevance", {{"bfcl/BFCL_v4_irrelevance.json", kCall}}, {}, {}, {}, "[]"},
  };
  return kAll;
}

const Example& example_of(std::string_view task) {
  return *std::ranges::find(examples(), task, &Example::task);
}

EvalTask read(const std::string& name, const std::filesystem::path& folder, int64_t shots = 0) {
  return {read_builtin_task(name, folder), shots, Rng(0)};
}

TEST(BuiltinTasks, EachSaysWhereItIsFrom) {
  for (const EmbeddedText& each : embedded_tasks()) {
    SCOPED_TRACE(each.name);
    const TaskConfig c = read_builtin_task(each.name, "data");
    EXPECT_EQ(c.name, each.name);
    EXPECT_EQ(c.text, each.text);
    EXPECT_TRUE(c.source && c.license && c.get && c.rows);
    // No guess has a chance at any word, and a rating is no share.
    EXPECT_TRUE(c.chance || c.judge || c.kind == "loglikelihood");
    EXPECT_EQ(c.get->find("://"), std::string::npos);
    EXPECT_EQ(c.data_path(), "data/" + c.data);
  }
}

TEST(BuiltinTasks, ARowOfThePublicSetIsAskedAsTheHarnessAsks) {
  Texts tested = {"mt_bench"};  // which the harness does not have: judge_test.cc tests it
  for (const Example& example : examples()) {
    SCOPED_TRACE(example.task);
    TempFolder folder;
    for (const auto& [name, text] : example.files) folder.write(name, text);
    const EvalTask task = read(std::string(example.task), folder.path());
    ASSERT_EQ(task.size(), 1);
    EXPECT_EQ(task.rows().files.size(), example.files.size());
    const EvalItem item = task.item(0);
    if (!example.prompts.empty()) {
      EXPECT_EQ(item.prompts, example.prompts);
    }
    EXPECT_EQ(item.continuations, example.continuations);
    EXPECT_EQ(item.gold, example.gold);
    EXPECT_EQ(item.target, example.target);
    if (item.gold) {
      EXPECT_DOUBLE_EQ(item.chance.value(), 1.0 / static_cast<double>(item.continuations.size()));
    }
    tested.emplace_back(example.task);
  }
  Texts all = names_of(embedded_tasks());
  std::ranges::sort(tested);
  EXPECT_EQ(tested, all);
}

TEST(BuiltinTasks, LongPrompts) {
  TempFolder folder;
  const auto prompt = [&](const char* name) {
    const Example& example = example_of(name);
    for (const auto& [file, text] : example.files) folder.write(file, text);
    return read(name, folder.path()).item(0).prompts.at(0);
  };
  const std::string truth = prompt("truthfulqa_mc1");
  EXPECT_TRUE(truth.starts_with("Q: What is human life expectancy")) << truth;
  EXPECT_TRUE(truth.ends_with("held in Barcelona, Spain.\n\nQ: Q?\nA:")) << truth;
  const std::string call = prompt("bfcl_simple");
  EXPECT_NE(call.find("JSON object:\n{\"name\": \"add\"}\n\nAnswer with"), std::string::npos)
      << call;
  EXPECT_TRUE(call.ends_with("\n\nUser: Add.\nAssistant:")) << call;
}

// Boxes that stand otherwise than in the example.
TEST(BuiltinTasks, TheAnswerOfASolutionIsInItsLastBox) {
  const auto answer = [](const std::string& solution) {
    TempFolder folder;
    nlohmann::ordered_json row = {{"problem", "P"}, {"solution", solution}};
    folder.write("hendrycks_math/test.jsonl", row.dump());
    return read("hendrycks_math", folder.path()).item(0).target.value();
  };
  EXPECT_EQ(answer("so $\\boxed{2}$"), "2");
  EXPECT_EQ(answer("\\fbox{a}"), "a");
  EXPECT_EQ(answer("$\\boxed 3$ and"), "3");
  EXPECT_EQ(answer("\\boxed{ \\text{no {x} y} }{z}"), " \\text{no {x} y} ");
}

TEST(BuiltinTasks, ShotsAreOfTheItemsSubject) {
  TempFolder folder;
  const auto row = [](const char* question, const char* subject) {
    return nlohmann::ordered_json{{"question", question},
                                  {"subject", subject},
                                  {"choices", {"a", "b", "c", "d"}},
                                  {"answer", 0}}
               .dump() +
           "\n";
  };
  folder.write("mmlu/test.jsonl", row("one", "x") + row("two", "y") + row("three", "z"));
  folder.write("mmlu/dev.jsonl", row("X1", "x") + row("Y1", "y") + row("X2", "x") + row("Y2", "y"));
  const EvalTask task = read("mmlu", folder.path(), 2);
  const std::string prompt = task.item(1).prompts[0];
  const size_t first = prompt.find("Y1"), second = prompt.find("Y2"), asked = prompt.find("two");
  EXPECT_TRUE(first < second && second < asked && asked != std::string::npos) << prompt;
  EXPECT_EQ(prompt.find('X'), std::string::npos) << prompt;
  EXPECT_EQ(error_text([&] { task.item(2); }),
            "[shots] 2 shots are asked for, but " + (folder / "mmlu/dev.jsonl").string() +
                " has 0 rows of shots_group 'z' for " + (folder / "mmlu/test.jsonl:3").string() +
                "; ask for at most 0");
}

TEST(BuiltinTasks, AMissingFileSaysHowToGetItAndDoingSoHelps) {
  TempFolder folder;
  const auto refusal = [&](int64_t shots) {
    return error_text([&] { read("gsm8k", folder.path(), shots); });
  };
  const std::string get = *read_builtin_task("gsm8k", "").get;
  EXPECT_EQ(refusal(1), "[" + (folder / "gsm8k/test.jsonl").string() +
                            "] does not exist. To get it: " + get + ". Keep these names below " +
                            folder.path().string() +
                            ", or name the folder that they are in with --task-data");
  ASSERT_NE(get.find("save them as gsm8k/test.jsonl and gsm8k/train.jsonl"), std::string::npos);
  folder.write("gsm8k/test.jsonl", R"({"question":"q","answer":"#### 1"})");
  EXPECT_EQ(refusal(0), "no error");
  EXPECT_TRUE(refusal(1).starts_with("[" + (folder / "gsm8k/train.jsonl").string() + "] does not"))
      << refusal(1);
  folder.write("gsm8k/train.jsonl", R"({"question":"s","answer":"#### 2"})");
  EXPECT_EQ(read("gsm8k", folder.path(), 1).item(0).prompts,
            Texts{"Question: s\nAnswer: #### 2\n\nQuestion: q\nAnswer:"});
  // Of joined files as well.
  folder.write("bfcl/BFCL_v4_multiple.json", kCall);
  const std::string joined = error_text([&] { read("bfcl_multiple", folder.path()); });
  EXPECT_NE(joined.find("possible_answer/BFCL_v4_multiple.json] does not exist. To get it: "),
            std::string::npos)
      << joined;
  folder.write("bbh/bbh/navigate.json", R"({"examples":[{"input":"a","target":"b"}]})");
  const std::string prompt = error_text([&] { read("bbh", folder.path()); });
  EXPECT_NE(prompt.find("bbh/cot-prompts/navigate.txt] does not exist. To get it: "),
            std::string::npos)
      << prompt;
}

TEST(BuiltinTasks, ANameIsAFileATaskOrASuite) {
  TempFolder folder;
  const std::string file =
      folder
          .write("mine.toml",
                 "name = \"mine\"\nkind = \"perplexity\"\ndata = \"x\"\ntarget = \"{{text}}\"\n"
                 "metrics = [\"byte_perplexity\"]\n")
          .string();
  const auto names = [](const std::string& given) {
    Texts all;
    for (const TaskConfig& config : tasks_named(given, "d")) all.push_back(config.name);
    return all;
  };
  EXPECT_EQ(names(file), Texts{"mine"});
  EXPECT_EQ(names("piqa"), Texts{"piqa"});
  EXPECT_EQ(names("chinese"), (Texts{"ceval", "cmmlu"}));
  EXPECT_EQ(error_text([&] { names("helaswag"); }),
            "[--tasks] 'helaswag' is no built-in task or suite. Did you mean 'hellaswag'? Give one "
            "that `lathe eval tasks` lists, or the path of a .toml file");
  EXPECT_NE(error_text([&] { names("chinse"); }).find("Did you mean 'chinese'?"),
            std::string::npos);
  EXPECT_NE(error_text([&] { names("none.toml"); }).find("none.toml"), std::string::npos);
}

TEST(BuiltinTasks, SuitesNameTasksThatThereAre) {
  const Texts known = names_of(embedded_tasks());
  EXPECT_GE(task_suites().size(), 3U);
  for (const TaskSuite& suite : task_suites()) {
    EXPECT_FALSE(suite.summary.empty()) << suite.name;
    EXPECT_EQ(std::ranges::count(known, suite.name), 0) << suite.name;  // or the task would win
    for (const std::string& task : suite.tasks)
      EXPECT_EQ(std::ranges::count(known, task), 1) << suite.name << ": " << task;
  }
}

// The public sets themselves, where they were fetched: as many rows as the task says, all of which can be asked.
TEST(BuiltinTasks, RowsOfThePublicSets) {
  const std::filesystem::path data = testing::shared_data() / "eval";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << data << " is not there";
  TempFolder folder;
  const auto link = [&](const std::string& name, const std::string& fetched) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::filesystem::create_symlink(data / fetched, folder / name);
  };
  const std::map<std::string, std::string> files = {
      {"arc_easy/validation.jsonl.zst", "olmo_hf/ai2_arc__ARC-Easy__validation.jsonl.zst"},
      {"arc_challenge/validation.jsonl.zst",
       "olmo_hf/ai2_arc__ARC-Challenge__validation.jsonl.zst"},
      {"piqa/validation.jsonl.zst", "olmo_hf/piqa__plain_text__validation.jsonl.zst"},
      {"winogrande/validation.jsonl.zst",
       "olmo_hf/winogrande__winogrande_xl__validation.jsonl.zst"},
      {"boolq/validation.jsonl.zst", "olmo_hf/boolq__validation.jsonl.zst"},
      {"commonsense_qa/validation.jsonl.zst", "olmo_hf/tau__commonsense_qa__validation.jsonl.zst"},
      {"social_iqa/validation.jsonl.zst", "olmo_hf/social_i_qa__validation.jsonl.zst"},
      {"copa/validation.jsonl", "olmo_hf/super_glue__copa__validation.jsonl"},
      {"mmlu/test.jsonl.zst", "mmlu/mmlu_test.jsonl.zst"},
      {"ceval", "ceval"},
      {"cmmlu", "cmmlu/data"},
      {"gsm8k", "gsm8k"},
      {"hendrycks_math/test.jsonl.zst", "math_sets/math/test.json.zst"},
      {"bbh", "bbh"},
      {"humaneval", "humaneval"},
      {"ifeval", "ifeval"},
      {"bfcl", "bfcl/bfcl_eval/data"},
      {"mt_bench", "mt_bench/mt_bench"},
  };
  for (const auto& [name, fetched] : files) link(name, fetched);
  int read_tasks = 0;
  for (const EmbeddedText& each : embedded_tasks()) {
    const std::filesystem::path lies = read_builtin_task(each.name, "").data;
    if (!std::filesystem::exists(folder / *lies.begin())) continue;
    SCOPED_TRACE(each.name);
    const EvalTask task = read(std::string(each.name), folder.path());
    EXPECT_EQ(task.size(), *task.config().rows);
    for (int64_t id = 0; id < task.size(); id += 1 + task.size() / 200)
      EXPECT_FALSE(task.item(id).prompts.at(0).empty());
    ++read_tasks;
  }
  EXPECT_EQ(read_tasks, 26);
}

}  // namespace
}  // namespace lathe
