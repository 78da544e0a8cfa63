// lathe eval make: tasks whose answers are known.

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/eval/generated/generated.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct MakeOptions {
  std::string kind, out;
  GeneratedOptions items;
  int64_t seed = 0;

  void visit(Visitor& v) {
    v.positional("kind", kind, "what is asked: " + join(names_of(generated_kinds()), ", "));
    v.field("size", items.size, "how hard: how many words, numbers or digits", at_least(1));
    v.field("items", items.items, "how many", between(1, 1000000));
    v.field("shots", items.shots, "solved ones in the lines before each", between(0, 64));
    v.field("seed", seed, "the same seed gives the same file", at_least(0));
    v.field("out", out, "file to write, one JSON object a line: prompt, target, chance",
            required());
  }
};

int run_make(const MakeOptions& o, CommandContext& context) {
  const GeneratedKind& kind = find_in(generated_kinds(), "kind", o.kind);
  GeneratedOptions options = o.items;
  options.seed = static_cast<uint64_t>(o.seed);
  AtomicFile file(o.out);
  Progress progress(context.progress, "making", static_cast<double>(options.items), "items");
  GeneratedItem example;
  double chance = 0, done = 0;
  make_items(kind, options, [&](const GeneratedItem& item) {
    if (done == 0) example = item;
    chance += item.chance / static_cast<double>(options.items);
    file.write(
        Json{{"prompt", item.prompt}, {"target", item.target}, {"chance", item.chance}}.dump() +
        "\n");
    progress.update(++done, "");
  });
  progress.finish();
  file.commit();
  Manifest manifest = new_manifest("generated task", context.command_line());
  add_output(manifest, o.out, "items");
  write_manifest(manifest_path(o.out, false), manifest);
  if (context.json) {
    context.print_json(
        {{"out", o.out}, {"kind", o.kind}, {"items", options.items}, {"chance", chance}});
  } else {
    context.out << fmt::format(
        "{} items in {}; a guess is right {:.2g} of the time, for example\n{}{}\n", options.items,
        o.out, chance, example.prompt, example.target);
  }
  return 0;
}

std::string kinds_text() {
  std::string text;
  for (const GeneratedKind& kind : generated_kinds())
    text += fmt::format("  {:<10} {} (size: {}, {} to {})\n", kind.name, kind.summary, kind.size,
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
           "  lathe eval make induction --size 8 --shots 3 --seed 1 --out induction.jsonl\n"},
      run_make);
}

}  // namespace lathe
