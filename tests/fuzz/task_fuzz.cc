// A task's file, a line "===", and its rows as JSON lines or, behind "csv", as CSV; then a line of items.jsonl.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/eval/record.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/eval/task/task.h"

namespace lathe::fuzz {
namespace {

constexpr std::string_view kCut = "\n===";

// What is asked fits what is said of it.
void check_item(const EvalTask& task, int64_t id) {
  const EvalItem item = task.item(id);
  const TaskKind kind = task.config().task_kind();
  promise(!item.prompts.empty());
  promise((kind == TaskKind::kGenerate) == item.continuations.empty());
  if (item.gold) promise(*item.gold >= 0 && *item.gold < std::ssize(item.continuations));
  promise(item.prompts.size() == 1 || item.prompts.size() == item.continuations.size());
  EvalRecord record{.task = "t", .item = item, .answer = {}, .reason = {}};
  const auto json = json_of(record);
  promise(json_of(record_of(json, "line")) == json);
}

void check_task(TaskConfig config, int64_t shots) {
  const EvalTask task(std::move(config), shots, Rng(1));
  for (int64_t id = 0; id < std::min<int64_t>(task.size(), 3); ++id) check_item(task, id);
  if (task.config().task_kind() != TaskKind::kGenerate || task.config().scorer) return;
  const std::vector<std::string> responses = {"so 7", "#### 1,200", "\xff", ""};
  const EvalItem item = task.item(0);
  const Answered answered{.item = item, .row = task.rows().rows[0].fields, .responses = responses};
  int64_t scores = 0;
  const auto check_score = [&](size_t, const Score& score) {
    ++scores;
    for (const Judged& judged : score.judged)
      promise(judged.right.size() == responses.size() && judged.texts.size() == responses.size());
  };
  make_scorer(task)->score(std::span(&answered, 1), check_score, [] {});
  promise(scores == 1);
}

}  // namespace

// The data is always the rows given, whatever file the task names.
void check(std::string_view bytes) {
  const size_t cut = bytes.find(kCut);
  const std::string_view toml = bytes.substr(0, cut);
  std::string_view rows = cut == std::string_view::npos ? "" : bytes.substr(cut + kCut.size());
  const bool csv = rows.starts_with("csv");
  if (csv) rows.remove_prefix(3);
  const TempFolder folder;
  const char* name = csv ? "rows.csv" : "rows.jsonl";
  folder.write(name, rows);
  TaskConfig config = parse_task_config(std::string(toml), "task", folder.path());
  config.data = name;
  if (config.shots_from) config.shots_from = name;
  config.join.clear();
  for (const int64_t shots : {0, 2}) {
    try {
      check_task(config, shots);
    } catch (const Error&) {
    }
  }
}

std::vector<Seed> seeds() {
  const std::string rows = R"(
{"q": "one", "c": ["x", "y"], "g": 1, "a": "7", "s": "m"}
{"q": "two", "c": ["v", "w"], "g": 0, "a": "8", "s": "n"}
{"q": "three", "c": ["r", "s"], "g": 1, "a": "9", "s": "m"}
)";
  const std::string choices =
      "name = \"t\"\nkind = \"choices\"\ndata = \"d\"\nprompt = \"Q: {{q}}\"\nchoices = \"{{c}}\"\ngold = "
      "\"{{g}}\"\nmetrics = [\"acc\", \"acc_norm\"]\n";
  return {
      {"choices", choices + "\n===" + rows},
      {"seeded", "shots_order = \"seeded\"\nshots_group = \"{{s}}\"\n" + choices + "\n===" + rows},
      {"prompts",
       "name = \"t\"\nkind = \"choices\"\ndata = \"d\"\nprompt = [\"{{q}}{{c[0]}}\", \"{{q}}{{c[1]}}\"]\n"
       "target = \"{{a}}\"\ngold = \"{{g}}\"\nmetrics = [\"acc\"]\ngroup = \"{{s}}\"\n\n===" +
           rows},
      {"target",
       "name = \"t\"\nkind = \"loglikelihood\"\ndata = \"d\"\nprompt = \"{{q}}\"\ntarget = \"{{a}}\"\n"
       "description = \"d {{s}}\"\nmetrics = [\"acc\", \"perplexity\"]\n\n===" +
           rows},
      {"text",
       "name = \"t\"\nkind = \"perplexity\"\ndata = \"d\"\ntarget = \"{{q}}\"\nmetrics = "
       "[\"bits_per_byte\"]\n\n===" +
           rows},
      {"filters",
       "name = \"t\"\nkind = \"generate\"\ndata = \"d\"\nprompt = \"{{q}}\"\ntarget = \"{{a}}\"\nmetrics = "
       "[\"exact_match\", \"pass@2\", \"majority\"]\nsamples = 4\ntemperature = 1.0\nstop = [\"x\"]\n"
       "normalize = [\",\", \"(?s).*#### \"]\n[[filters]]\nname = \"n\"\nregex = \"#### "
       "(-?[0-9.,]+)\"\n[[filters]]\nname = \"m\"\nregex = \"(a)|([0-9]+)\"\nwhich = \"last\"\n\n===" +
           rows},
      {"csv", choices + "\n===csv\nq,c,g\n\"a, \"\"b\"\"\",\"[1,2]\",0\nd,e,1\n"},
      {"macros", "macros = \"\"\"{% macro f(x) -%}<{{ x }}>{%- endmacro -%}\"\"\"\n" + choices +
                     "\n===" + rows},
  };
}

}  // namespace lathe::fuzz
