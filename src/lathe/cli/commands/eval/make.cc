// lathe eval make: tasks whose answers are known.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/config/literal.h"
#include "lathe/eval/draws.h"
#include "lathe/eval/generated/generated.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct MakeOptions {
  std::string kind, out;
  GeneratedOptions items;
  std::optional<std::string> sizes;
  int64_t seed = 0;
  std::string as = "items";
  bool shuffled = false;

  void visit(Visitor& v) {
    v.positional("kind", kind, "what is asked: " + join(names_of(generated_kinds()), ", "));
    v.field("size", items.size, "how hard: how many words, numbers or digits", at_least(1));
    v.field("sizes", sizes,
            "A..B instead of --size: from item to item the next of these sizes, which each item "
            "states as size");
    v.field("items", items.items, "how many", between(1, 1000000));
    v.field("shots", items.shots, "solved ones in the lines before each", between(0, 64));
    v.field("seed", seed, "the same seed gives the same file", at_least(0));
    v.choice("as", as, {"items", "text"},
             "items to ask, or documents to train on: {\"text\": prompt and target}");
    v.field("shuffled", shuffled,
            "give each item the target of another: what a control is trained on, which nothing but "
            "guessing can answer");
    v.field("out", out, "file to write, one JSON object a line: prompt, target, chance (size)",
            required());
  }
};

GeneratedOptions options_of(const MakeOptions& o, const CommandContext& context) {
  GeneratedOptions options = o.items;
  options.seed = static_cast<uint64_t>(o.seed);
  if (!o.sizes) return options;
  require(std::ranges::find(context.given, "size") == context.given.end(), ErrorKind::kUsage,
          "command line", "there are both --size and --sizes; leave one of them out");
  const size_t dots = o.sizes->find("..");
  int64_t last = 0;
  require(dots != std::string::npos && parse_number(o.sizes->substr(0, dots), options.size) &&
              parse_number(o.sizes->substr(dots + 2), last),
          ErrorKind::kUsage, "--sizes", "'{}' is no range of sizes, expected as in 2..8", *o.sizes);
  options.last_size = last;
  return options;
}

// Each target goes to another item, in an order that the seed chooses.
void shuffle_targets(std::vector<GeneratedItem>& items, uint64_t seed) {
  std::vector<std::string> targets;
  for (const GeneratedItem& item : items) targets.push_back(item.target);
  Draws(Rng(seed).fork("shuffled")).shuffle(targets);
  for (size_t i = 0; i < items.size(); ++i) items[i].target = targets[i];
}

Json json_of(const GeneratedItem& item, const MakeOptions& o) {
  if (o.as == "text") return {{"text", item.prompt + item.target}};
  Json json = {{"prompt", item.prompt}, {"target", item.target}, {"chance", item.chance}};
  if (o.sizes) json["size"] = item.size;
  return json;
}

// Where the file of the task lies: beside its items, with the ending .toml.
std::filesystem::path task_path(const MakeOptions& o) {
  return std::filesystem::path(o.out).replace_extension(".toml");
}

// The task file for these items, unless there is one: somebody may have changed it.
void write_task(const MakeOptions& o, const CommandContext& context) {
  const std::filesystem::path out = o.out, task = task_path(o);
  std::error_code ignored;
  if (std::filesystem::exists(task, ignored))
    return context.log.info("{} is there already and stays as it is", task.string());
  std::string text = fmt::format(
      "# {}. Written by `lathe eval make`; change it as you like (docs/tasks.md).\n"
      "name = {}\nkind = \"loglikelihood\"\ndata = {}\nprompt = \"{{{{prompt}}}}\"\n"
      "target = \"{{{{target}}}}\"\ndelimiter = \"\"\nchance = \"{{{{chance}}}}\"\n",
      find_in(generated_kinds(), "kind", o.kind).summary, Json(task.stem().string()).dump(),
      Json(out.filename().string()).dump());
  if (o.sizes) text += "difficulty = \"{{size}}\"\n";
  write_file_atomically(task, text + "metrics = [\"acc\", \"bits_per_byte\"]\n");
}

int run_make(const MakeOptions& o, CommandContext& context) {
  const GeneratedKind& kind = find_in(generated_kinds(), "kind", o.kind);
  const GeneratedOptions options = options_of(o, context);
  require(task_path(o) != o.out, ErrorKind::kUsage, "--out",
          "{} is where the file of the task belongs; give the items another ending, such as .jsonl",
          o.out);
  Progress progress(context.progress, "making", static_cast<double>(options.items), "items");
  std::vector<GeneratedItem> items;
  double chance = 0;
  make_items(kind, options, [&](const GeneratedItem& item) {
    items.push_back(item);
    chance += item.chance / static_cast<double>(options.items);
    progress.update(static_cast<double>(items.size()), "");
  });
  if (o.shuffled) shuffle_targets(items, options.seed);
  AtomicFile file(o.out);
  for (const GeneratedItem& item : items) file.write(json_of(item, o).dump() + "\n");
  progress.finish();
  file.commit();
  Manifest manifest = new_manifest("generated task", context.command_line());
  add_output(manifest, o.out, "items");
  write_manifest(manifest_path(o.out, false), manifest);
  if (o.as == "items") write_task(o, context);
  if (context.json) {
    context.print_json(
        {{"out", o.out}, {"kind", o.kind}, {"items", options.items}, {"chance", chance}});
  } else {
    const std::string asked =
        o.as == "items" ? ", asked by " + task_path(o).string() : std::string(", to train on");
    context.out << fmt::format(
        "{} items in {}{}; a guess is right {:.2g} of the time, for example\n{}{}\n", options.items,
        o.out, asked, chance, items[0].prompt, items[0].target);
  }
  return 0;
}

std::string kinds_text() {
  std::string text;
  for (const GeneratedKind& kind : generated_kinds())
    text += fmt::format("  {:<16} {} (size: {}, {} to {})\n", kind.name, kind.summary, kind.size,
                        kind.smallest, kind.largest);
  return text;
}

}  // namespace

Command eval_make_command() {
  return make_command<MakeOptions>(
      {.name = "make",
       .summary = "make a task whose answers are known, for small models",
       .help =
           "Items have a prompt, the target that follows it at once, and how often a guess is right that knows the\n"
           "form of the answer but not the rule. No prompt comes twice. Kinds:\n\n" +
           kinds_text() +
           "\n"
           "  lathe eval make addition --size 2 --items 1000 --out sums.jsonl\n"
           "  lathe eval make reverse --sizes 2..16 --items 1500 --out reverse.jsonl\n"
           "  lathe eval make induction --size 8 --shots 3 --seed 1 --out induction.jsonl\n"
           "  lathe eval make induction --size 8 --items 100000 --seed 2 --as text --out train.jsonl\n"},
      run_make);
}

}  // namespace lathe
