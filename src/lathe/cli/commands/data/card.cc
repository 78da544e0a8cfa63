// lathe data card: what is in files of prompts and answers.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/data/data.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/lab/data_card_page.h"
#include "lathe/model/load_model.h"
#include "lathe/train/example/data_card.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

struct DataCardCommandOptions {
  std::vector<std::string> files, against;
  std::optional<std::string> model, objective, out;
  int64_t seq_len = 0, ngram = 13;
  bool mask_history = false, overwrite = false;

  void visit(Visitor& v) {
    v.positional("files", files, "files of rows: JSON lines or arrays, compressed or not");
    v.field(
        "model", model,
        "folder of the model that will be trained: its tokenizer and chat template say how long rows "
        "are, and what training would leave out");
    v.field(
        "objective", objective,
        "the objective that will be trained, which says what a row needs (default: by the first "
        "row: reward, prm, sft, or grpo)");
    v.field(
        "against", against,
        "a file of other text, such as pretraining text or a test set, in which rows are looked for; "
        "may be given several times");
    v.field("ngram", ngram, "words in a row that make a row one that the other text has",
            between(1, 1000));
    v.field("seq_len", seq_len,
            "train.seq_len: longer rows are left out; 0: as long as the model reads", at_least(0));
    v.field("mask_history", mask_history, "data.mask_history: only the last answer is trained on");
    v.field("out", out, "also write the card to a file: .html, .md or .json");
    v.field("overwrite", overwrite, "replace that file if it exists");
  }
};

ExampleKind kind_of(const DataCardCommandOptions& o) {
  if (!o.objective) return kind_of_rows(o.files[0]);
  ObjectiveConfig config;
  config.name = *o.objective;
  ModelConfig model;
  const auto objective = make_answer_objective(config, model);
  return objective->rollouts() != nullptr ? ExampleKind::kPrompt : objective->needs().kind;
}

ExampleOptions example_options_of(const DataCardCommandOptions& o) {
  ExampleOptions options;
  options.kind = kind_of(o);
  options.mask_history = o.mask_history;
  if (!o.model) return options;
  const ModelConfig config = read_model_config(*o.model);
  options.tokenizer = *o.model;
  options.vocab_size = config.vocab_size;
  options.eos_token_id = config.eos_token_id;
  options.encoder = config.body_traits().encoder;
  options.seq_len = o.seq_len > 0 ? o.seq_len : config.max_position_embeddings;
  return options;
}

void write_card(const DataCardCommandOptions& o, const nlohmann::ordered_json& card,
                const std::string& title) {
  const fs::path file = *o.out;
  const std::string ending = file.extension().string();
  require(o.overwrite || !fs::exists(file), ErrorKind::kIo, *o.out,
          "exists; choose another name, or add --overwrite");
  write_file_atomically(file, ending == ".html" ? data_card_page(card, title)
                              : ending == ".md" ? data_card_markdown(card, title)
                                                : card.dump(2) + "\n");
}

int run_data_card(const DataCardCommandOptions& o, CommandContext& context) {
  require(!o.files.empty(), ErrorKind::kUsage, "command line", "give at least one file of rows");
  require(o.model || o.seq_len == 0, ErrorKind::kUsage, "command line",
          "--seq-len counts tokens, which need --model");
  const std::string ending = o.out ? fs::path(*o.out).extension().string() : ".md";
  require(ending == ".html" || ending == ".md" || ending == ".json", ErrorKind::kUsage, "--out",
          "'{}' is neither .html nor .md nor .json, by which the form of the card is chosen",
          *o.out);
  const DataCard made = make_data_card(
      o.files, {.examples = example_options_of(o), .against = o.against, .ngram = o.ngram},
      context.log, [](int64_t) { throw_if_interrupted(); });
  const nlohmann::ordered_json card = made.to_json();
  const std::string title = "Data card of " + join(o.files, ", ");
  if (o.out) write_card(o, card, title);
  if (context.json)
    context.print_json(card);
  else
    context.out << data_card_markdown(card, title);
  return 0;
}

}  // namespace

Command data_card_command() {
  return make_command<DataCardCommandOptions>(
      {.name = "card",
       .summary =
           "what is in files of prompts and answers: forms, lengths, languages, duplicates, overlaps",
       .help =
           "Counts rows by form, role and language, draws how long they are, and finds rows that are equal\n"
           "or nearly equal (word 5-grams that resemble another row's by 0.8 or more, by MinHash), prompts\n"
           "with different answers, and rows that other text has: pretraining text, or the tests that a\n"
           "model is to be judged by. With --model it says what training would leave out, and why.\n\n"
           "  lathe data card chats.jsonl\n"
           "  lathe data card chats.jsonl --model MODEL --against tests.jsonl --out card.html\n"
           "  lathe data card pairs.jsonl --objective dpo --model MODEL --json\n"},
      run_data_card);
}

}  // namespace lathe
