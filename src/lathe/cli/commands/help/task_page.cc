#include <fmt/format.h>

#include <string>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/help/markdown_table.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/config/read_write.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {

std::string tasks_markdown() {
  std::string text =
      "# Task files\n\n"
      "Every key of a task file, written by `lathe help --tasks`. A task is a TOML file: where its rows are, how a row "
      "becomes a question, and how an answer is judged. What is called a template is Jinja, with the row's fields as "
      "variables; an unknown one is an error, and a value that is one `{{ … }}` keeps its type. So far a task can be "
      "rendered: `lathe eval --tasks FILE --shots K --render --out DIR`.\n\n"
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
  text += kinds.text() + "\n## Keys\n\n" + config_markdown(TaskConfig());
  text += "\n## [[filters]]\n\n" + config_markdown(AnswerFilter());
  text += "\n## [limits]\n\nOf programs, with `scorer = \"python\"`.\n\n" +
          config_markdown(CodeLimits());
  return text;
}

}  // namespace lathe
