// lathe eval make: tasks whose answers are known.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/config/literal.h"
#include "lathe/eval/draws.h"
#include "lathe/eval/generated/generated.h"
#include "lathe/eval/generated/haystack.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct MakeOptions {
  std::string kind, out;
  GeneratedOptions items;
  int64_t size = 4, seed = 0;
  std::optional<std::string> sizes;
  std::string depths = "0,25,50,75,100";
  std::vector<std::string> text;
  std::string as = "items";
  bool shuffled = false;

  void visit(Visitor& v) {
    v.positional("kind", kind, "what is asked: " + join(names_of(generated_kinds()), ", "));
    v.field("size", size, "how hard: how many words, numbers or digits", at_least(1));
    v.field(
        "sizes", sizes,
        "A..B or A,B,C instead of --size: from item to item the next of these sizes, which each "
        "item states as size");
    v.field("items", items.items, "how many", between(1, 1000000));
    v.field(
        "depths", depths,
        "of needle: A,B,C or A..B, where the sentence stands in the text, in per cent of its "
        "words; once each size had a turn the next depth begins, which each item states as depth");
    v.field("text", text,
            "of needle: file or folder with the text around it, whose sentences are kept whole "
            "(default: made sentences)");
    v.field("distractors", items.distractors,
            "of needle: other sentences of its kind, with other names and numbers", between(0, 64));
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

bool is_given(const CommandContext& context, const char* option) {
  return std::ranges::find(context.given, option) != context.given.end();
}

// "2..5" and "2,4,8" as numbers.
std::vector<int64_t> numbers_of(const std::string& text, const char* option) {
  const auto number = [&](const std::string& part) {
    int64_t value = 0;
    require(parse_number(part, value), ErrorKind::kUsage, option,
            "'{}' is no range or list of numbers, expected as in 2..8 or 2,4,8", text);
    return value;
  };
  std::vector<int64_t> numbers;
  if (const size_t dots = text.find(".."); dots != std::string::npos) {
    const int64_t first = number(text.substr(0, dots)), last = number(text.substr(dots + 2));
    constexpr int64_t kMost = 100000;
    require(first <= last &&
                    last - first<kMost, ErrorKind::kUsage, option,
                                 "{} has {}; expected the smaller first, and at most {} numbers",
                                 text, first>
                               last
                ? "no number"
                : "too many",
            kMost);
    for (int64_t each = first; each <= last; ++each) numbers.push_back(each);
    return numbers;
  }
  for (size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
    end = text.find(',', at);
    numbers.push_back(number(text.substr(at, end - at)));
  }
  return numbers;
}

// Options that only some kinds have.
void check_kind(const GeneratedKind& kind, const MakeOptions& o, const CommandContext& context) {
  if (kind.in_text)
    return require(o.sizes || is_given(context, "size"), ErrorKind::kUsage, "--sizes",
                   "is missing: how many words the text of '{}' has, as in --sizes 500,1000,2000",
                   kind.name);
  for (const char* option : {"depths", "text", "distractors"})
    require(!is_given(context, option), ErrorKind::kUsage, "command line",
            "--{} means nothing with '{}', which asks nothing of a text; leave it out", option,
            kind.name);
}

GeneratedOptions options_of(const MakeOptions& o, const GeneratedKind& kind,
                            const CommandContext& context) {
  check_kind(kind, o, context);
  GeneratedOptions options = o.items;
  options.seed = static_cast<uint64_t>(o.seed);
  require(!o.sizes || !is_given(context, "size"), ErrorKind::kUsage, "command line",
          "there are both --size and --sizes; leave one of them out");
  options.sizes = o.sizes ? numbers_of(*o.sizes, "--sizes") : std::vector{o.size};
  if (!kind.in_text) return options;
  options.depths = numbers_of(o.depths, "--depths");
  for (const int64_t depth : options.depths)
    require(depth >= 0 && depth <= 100, ErrorKind::kUsage, "--depths",
            "{} is out of range; a depth is from 0, before the text, to 100, behind it", depth);
  const auto cells = std::ssize(options.sizes) * std::ssize(options.depths);
  if (options.items < cells)
    context.log.warn(
        "{} items are fewer than the {} pairs of a size and a depth, of which some "
        "have none; ask for more with --items",
        options.items, cells);
  return options;
}

// Each target goes to another item: to the next in a ring whose order the seed chooses.
void shuffle_targets(std::vector<GeneratedItem>& items, uint64_t seed) {
  require(items.size() > 1, ErrorKind::kUsage, "--shuffled",
          "one item has no other whose target it could get; ask for more with --items");
  std::vector<size_t> ring(items.size());
  std::iota(ring.begin(), ring.end(), size_t{0});
  Draws(Rng(seed).fork("shuffled")).shuffle(ring);
  std::string target = items[ring.back()].target;
  for (const size_t item : ring) std::swap(items[item].target, target);
}

Json json_of(const GeneratedItem& item, const MakeOptions& o) {
  if (o.as == "text") return {{"text", item.prompt + item.target}};
  Json json = {{"prompt", item.prompt}, {"target", item.target}, {"chance", item.chance}};
  const bool in_text = find_in(generated_kinds(), "kind", o.kind).in_text;
  if (o.sizes || in_text) json["size"] = item.size;
  if (in_text) json["depth"] = item.depth;
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
  const GeneratedKind& kind = find_in(generated_kinds(), "kind", o.kind);
  std::string text = fmt::format(
      "# {}. Written by `lathe eval make`; change it as you like (docs/tasks.md).\n"
      "name = {}\nkind = \"loglikelihood\"\ndata = {}\nprompt = \"{{{{prompt}}}}\"\n"
      "target = \"{{{{target}}}}\"\ndelimiter = \"\"\nchance = \"{{{{chance}}}}\"\n",
      kind.summary, Json(task.stem().string()).dump(), Json(out.filename().string()).dump());
  if (kind.in_text)
    text += "difficulty = {words = \"{{size}}\", depth = \"{{depth}}\"}\n";
  else if (o.sizes)
    text += "difficulty = \"{{size}}\"\n";
  write_file_atomically(task, text + "metrics = [\"acc\", \"bits_per_byte\"]\n");
}

// Of a long prompt its last lines.
std::string end_of(const std::string& prompt) {
  constexpr size_t kMost = 1000;
  if (prompt.size() <= kMost) return prompt;
  const size_t space = prompt.find_first_of(" \n", prompt.size() - kMost);
  return "…" + prompt.substr(space == std::string::npos ? prompt.size() - kMost : space);
}

int run_make(const MakeOptions& o, CommandContext& context) {
  const GeneratedKind& kind = find_in(generated_kinds(), "kind", o.kind);
  GeneratedOptions options = options_of(o, kind, context);
  require(task_path(o) != o.out, ErrorKind::kUsage, "--out",
          "{} is where the file of the task belongs; give the items another ending, such as .jsonl",
          o.out);
  std::optional<Haystack> text;
  if (!o.text.empty()) options.text = &text.emplace(Haystack::of_files(o.text));
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
  for (const std::string& each : o.text) add_input(manifest, each, "text");
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
        o.out, asked, chance, end_of(items[0].prompt), items[0].target);
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
           "  lathe eval make needle --text book.txt --sizes 500,1000,2000 --items 60 --out needle.jsonl\n"
           "  lathe eval make induction --size 8 --items 100000 --seed 2 --as text --out train.jsonl\n"},
      run_make);
}

}  // namespace lathe
