// lathe data show: a batch as the model gets it.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/data/data.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/budget.h"
#include "lathe/train/training_data.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct DataShowOptions {
  std::string recipe;
  int64_t step = 1, micro_batch = 0, tokens = 24;
  std::optional<int64_t> rows;

  void visit(Visitor& v) {
    v.positional("recipe", recipe, "recipe file, .toml or .json");
    v.field("step", step, "the step whose batch is shown, counted from 1", at_least(1));
    v.field("micro_batch", micro_batch, "which of its micro-batches, counted from 0", at_least(0));
    v.field("rows", rows, "number of rows to show (default: all)", at_least(1));
    v.field("tokens", tokens, "tokens to print per row; --json prints all", at_least(1));
  }
};

std::vector<int32_t> row_of(const Tensor& t, int64_t row) {
  if (!t.defined()) return {};
  const int32_t* begin = t.data<int32_t>() + row * t.size(1);
  return {begin, begin + t.size(1)};
}

// A token as people read it; a part of a character, and an id that the tokenizer lacks, by number.
std::string shown_token(const Tokenizer* tokenizer, int32_t id) {
  if (id < 0) return "-";
  if (tokenizer == nullptr || !tokenizer->has(id)) return fmt::format("<{}>", id);
  const std::vector<int32_t> one = {id};
  const std::string text = tokenizer->decode(one);
  if (replace_invalid_utf8(text) != text) return fmt::format("<{}>", id);
  return Json(text).dump();
}

Json row_json(const Batch& batch, int64_t row, const Tokenizer* tokenizer) {
  Json json;
  if (!batch.kinds.empty()) json["kind"] = batch.kinds[static_cast<size_t>(row)];
  const std::vector<int32_t> ids = row_of(batch.ids, row);
  if (tokenizer != nullptr) json["text"] = replace_invalid_utf8(tokenizer->decode(ids));
  json["ids"] = ids;
  json["labels"] = row_of(batch.labels, row);
  if (batch.positions.defined()) json["positions"] = row_of(batch.positions, row);
  if (batch.segments.defined()) json["segments"] = row_of(batch.segments, row);
  if (batch.prefix.defined()) json["prefix"] = batch.prefix.data<int32_t>()[row];
  if (batch.text.defined()) {
    json["encoder_ids"] = row_of(batch.text, row);
    if (tokenizer != nullptr)
      json["encoder_text"] = replace_invalid_utf8(tokenizer->decode(row_of(batch.text, row)));
    if (batch.text_segments.defined()) json["encoder_segments"] = row_of(batch.text_segments, row);
  }
  return json;
}

void print_tokens(const std::string& title, const std::vector<int32_t>& ids, int64_t most,
                  const Tokenizer* tokenizer, std::ostream& out) {
  out << "  " << title << ":";
  const size_t count = std::min(ids.size(), static_cast<size_t>(most));
  for (size_t i = 0; i < count; ++i) out << ' ' << shown_token(tokenizer, ids[i]);
  out << (count < ids.size() ? fmt::format(" … {} more\n", ids.size() - count) : "\n");
}

void print_row(const Batch& batch, int64_t row, const DataShowOptions& o,
               const Tokenizer* tokenizer, std::ostream& out) {
  out << "row " << row
      << (batch.kinds.empty() ? std::string()
                              : fmt::format(", denoiser {}", batch.kinds[static_cast<size_t>(row)]))
      << (batch.prefix.defined()
              ? fmt::format(", the first {} ids see each other", batch.prefix.data<int32_t>()[row])
              : std::string())
      << "\n";
  if (batch.text.defined())
    print_tokens("the encoder reads", row_of(batch.text, row), o.tokens, tokenizer, out);
  const auto ids = row_of(batch.ids, row), labels = row_of(batch.labels, row),
             positions = row_of(batch.positions, row), segments = row_of(batch.segments, row);
  out << fmt::format("  {:>8} {:>8}  {:<20} {:>8}  {:<20}", "position", "id", "token", "label",
                     "to be predicted")
      << (segments.empty() ? "\n" : " document\n");
  const size_t count = std::min(ids.size(), static_cast<size_t>(o.tokens));
  for (size_t t = 0; t < count; ++t) {
    out << fmt::format("  {:>8} {:>8}  {:<20} {:>8}  {:<20}",
                       positions.empty() ? static_cast<int32_t>(t) : positions[t], ids[t],
                       shown_token(tokenizer, ids[t]), labels[t],
                       shown_token(tokenizer, labels[t]));
    out << (segments.empty() ? "\n" : fmt::format(" {}\n", segments[t]));
  }
  if (count < ids.size()) out << fmt::format("  … {} more\n", ids.size() - count);
}

int run_data_show(const DataShowOptions& o, CommandContext& context) {
  const Recipe recipe = read_recipe(o.recipe, context.overrides);
  const TrainingData data = open_training_data(
      recipe, make_row_format(recipe.objective, recipe.model, recipe.train.seq_len));
  const int64_t micro_batches = lathe::micro_batches(recipe.train, o.step);
  require(o.micro_batch < micro_batches, ErrorKind::kUsage, "command line",
          "step {} has {} micro-batches, expected a smaller --micro-batch", o.step, micro_batches);
  const Batch batch =
      data.loader->batch(micro_batches_before(recipe.train, o.step) + o.micro_batch);
  std::optional<Tokenizer> tokenizer;
  if (recipe.data.tokenizer) tokenizer.emplace(load_tokenizer(*recipe.data.tokenizer));
  const Tokenizer* words = tokenizer ? &*tokenizer : nullptr;
  const int64_t rows = std::min(o.rows.value_or(batch.ids.size(0)), batch.ids.size(0));
  if (context.json) {
    Json result = {{"step", o.step}, {"labels", batch.label_count}, {"rows", Json::array()}};
    for (int64_t row = 0; row < rows; ++row) result["rows"].push_back(row_json(batch, row, words));
    context.print_json(result);
    return 0;
  }
  if (words == nullptr)
    context.log.info("the recipe does not set data.tokenizer, so tokens are shown as ids");
  context.out << fmt::format("step {}, {} rows of {}, {} tokens to predict\n", o.step,
                             batch.ids.size(0), batch.ids.size(1), batch.label_count);
  for (int64_t row = 0; row < rows; ++row) print_row(batch, row, o, words, context.out);
  return 0;
}

}  // namespace

Command data_show_command() {
  return make_command<DataShowOptions>(
      {.name = "show",
       .summary = "print a batch as the model sees it: text, ids, labels, mask, documents",
       .help = "Opens the shards of a recipe and shows the rows of one step as `lathe train` "
               "gives them to the model:\n"
               "the token at each position, the label to predict (- for none), and the "
               "document of each token.\n\n"
               "  lathe data show recipes/small.toml\n"
               "  lathe data show recipes/small.toml --step 100 --rows 1 --tokens 60\n"
               "  lathe data show recipes/small.toml --data.document_mask=true --json\n",
       .takes_overrides = true},
      run_data_show);
}

Command data_command() {
  return command_group({.name = "data", .summary = "look at what a model learns from"},
                       {data_show_command(), data_card_command()});
}

}  // namespace lathe
