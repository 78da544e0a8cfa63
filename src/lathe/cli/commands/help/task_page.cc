#include <fmt/format.h>

#include <string>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/help/markdown_table.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/config/read_write.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/score/ifeval/instruction.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {
namespace {

std::string builtin_tables() {
  std::string text =
      "\n## Built-in tasks\n\n"
      "Named in `--tasks` without a file; asked as lm-evaluation-harness 0.4.13 asks them, where it has them. Their questions are not part "
      "of the program: `lathe eval tasks NAME` prints a task's file, which says under `get` what belongs below the "
      "folder `--task-data`. A file may be packed (.gz, .zst).\n\n";
  MarkdownTable tasks({"task", "kind", "metrics", "rows", "data", "license", "source"});
  for (const EmbeddedText& each : embedded_tasks()) {
    const TaskConfig c = read_builtin_task(each.name, "");
    tasks.row({fmt::format("`{}`", c.name), c.kind, join(c.metrics, ", "), std::to_string(*c.rows),
               fmt::format("`{}`", c.data), *c.license, *c.source});
  }
  text += tasks.text() + "\n## Suites\n\nA suite's name stands for its tasks.\n\n";
  MarkdownTable suites({"suite", "tasks", "what they have in common"});
  for (const TaskSuite& suite : task_suites())
    suites.row({fmt::format("`{}`", suite.name), join(suite.tasks, ", "), suite.summary});
  return text + suites.text();
}

std::string instruction_table() {
  MarkdownTable all({"instruction", "what it asks for", "arguments"});
  for (const InstructionRule& rule : instructions())
    all.row(
        {fmt::format("`{}`", rule.name), std::string(rule.summary), join(rule.arguments, ", ")});
  return "\n## Instructions\n\nThose of scorer `ifeval`, by their names in `instruction_id_list`, with what `kwargs` "
         "has for each.\n\n" +
         all.text();
}

std::string judge_text() {
  return "\n## A judge\n\n"
         "`judge` asks another model, which `--judge` names, once about each answer, or in both orders where it compares it with a "
         "`baseline`. Its prompt sees the row's fields, `request`, which the model was asked, and `response`, or `first` and "
         "`second`; these names win over fields of the row. The answer is the value of a variable, so that nothing in it is read "
         "as a template; a prompt has to hold for an empty answer, too, which is tried before anything is asked. Expressions find "
         "as `filters` do, in the first or last place by `which`.\n\n"
         "- `rating`: the mean of the numbers found, in their own range. One below `lowest` or above `highest` is no verdict.\n"
         "- `win_rate`: 1 for an answer that is preferred in both orders, 0 where the baseline is, ½ for all other pairs. The "
         "verdict is that of `first`, `second` and `tie` which matches first (or last); of two that match at the same place "
         "none is.\n"
         "- `consistency`: the share of pairs with the same verdict in both orders. A judge that goes by the place has a low "
         "one.\n"
         "- `no_verdict`: the share of answers without a verdict, or with one in one order alone: nothing matched, or the judge "
         "reads fewer tokens than the question has. They are no part of the other metrics, and it is always "
         "given.\n\n"
         "```\n"
         "scorer = \"judge\"\n"
         "metrics = [\"win_rate\", \"consistency\"]\n"
         "[judge]\n"
         "prompt = \"Question: {{question}}\\n\\nAnswer A: {{first}}\\n\\nAnswer B: {{second}}\\n\\nWhich is better? "
         "End with [[A]], [[B]] or, for a tie, [[C]].\"\n"
         "baseline = \"{{answer_of_another_model}}\"\n"
         "first = '\\[\\[A\\]\\]'\n"
         "second = '\\[\\[B\\]\\]'\n"
         "tie = '\\[\\[C\\]\\]'\n"
         "```\n";
}

std::string judging() {
  std::string text =
      "\n## How an answer is judged\n\n"
      "Without `scorer` an answer is compared with `target`. Each of `filters` finds a text in it, that of the first or "
      "last match of its expression: the first group that matched, or all of the match where it has no groups, without "
      "outer blanks; where nothing matches, `[invalid]`, which has no vote in `majority`. With several filters a metric is "
      "measured for each, as `exact_match@NAME`. Then the two are equal, but for outer blanks; with `normalize`, once "
      "what its expressions match is removed from both, and without regard to case. Expressions are those of Python's "
      "`re`; `(?s)` at the beginning lets the dot match line ends, `(?i)` ignores case. As lm-evaluation-harness does it.\n\n"
      "```\n"
      "target = \"{{answer}}\"\n"
      "filters = [{name = \"strict\", regex = '#### (\\-?[0-9.,]+)'}, {name = \"last\", regex = '-?[0-9]+', which = "
      "\"last\"}]\n"
      "normalize = [\",\", '\\$', '(?s).*#### ']\n"
      "metrics = [\"exact_match\"]\n"
      "```\n\n"
      "With `samples` = n answers to an item, of which c are right, `pass@K` is 1 − C(n−c, K) / C(n, K), without bias (Chen "
      "et al. 2021, arXiv 2107.03374); `exact_match` is of the first.\n\n"
      "## Scorers\n\n"
      "What judges answers instead, by `scorer`. `python` runs them, only with `--allow-code`: what stands behind "
      "the last `{{ … response … }}` of `program` runs behind the rest, so that an answer cannot leave before its tests "
      "or replace them.\n\n";
  MarkdownTable table({"scorer", "what it judges", "metrics", "source"});
  for (const ScorerRule& rule : scorers())
    table.row({fmt::format("`{}`", rule.name), std::string(rule.summary), join(rule.metrics, ", "),
               std::string(rule.source)});
  return text + table.text() + judge_text() + instruction_table();
}

}  // namespace

std::string tasks_markdown() {
  std::string text =
      "# Task files\n\n"
      "Every key of a task file, written by `lathe help --tasks`. A task is a TOML file: where its rows are, how a row "
      "becomes a question, and how an answer is judged. What is called a template is Jinja, with the row's fields as "
      "variables; an unknown one is an error, and a value that is one `{{ … }}` keeps its type. "
      "`lathe eval --tasks FILE --shots K --render --out DIR` shows what a task asks.\n\n"
      "```\n"
      "name = \"arc_easy\"\n"
      "kind = \"choices\"\n"
      "data = \"arc_easy.jsonl\"\n"
      "prompt = \"Question: {{question}}\\nAnswer:\"\n"
      "choices = \"{{choices.text}}\"\n"
      "gold = \"{{choices.label.index(answerKey)}}\"\n"
      "metrics = [\"acc\", \"acc_norm\"]\n"
      "```\n\n"
      "A request is the description, the shots, and the prompt; a shot is its prompt, the delimiter, its answer and the "
      "separator; what may follow is the delimiter and a choice or the target.\n\n"
      "## Kinds\n\n";
  MarkdownTable kinds({"kind", "what is measured", "needs", "metrics"});
  for (const TaskKindRule& rule : task_kinds())
    kinds.row({fmt::format("`{}`", rule.name), std::string(rule.summary), join(rule.needs, ", "),
               join(rule.metrics, ", ")});
  text += kinds.text() +
          "\nA task of kind `generate` with a scorer measures what that gives.\n\n## Keys\n\n" +
          config_markdown(TaskConfig());
  text += "\n## [[filters]]\n\n" + config_markdown(AnswerFilter());
  text +=
      "\n## [[join]]\n\nFields that the rows of `data` get from elsewhere; one that they have stays as it is.\n\n" +
      config_markdown(RowJoin());
  text += "\n## [limits]\n\nOf programs, with `scorer = \"python\"`.\n\n" +
          config_markdown(CodeLimits());
  text +=
      "\n## [judge]\n\nWhat another model is asked about an answer, with `scorer = \"judge\"`: either `rating`, or "
      "`baseline` with what says which of the two answers is better.\n\n" +
      config_markdown(JudgeConfig());
  return text + judging() + builtin_tables();
}

}  // namespace lathe
