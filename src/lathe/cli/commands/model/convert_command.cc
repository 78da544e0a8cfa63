#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/converted_folder.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/new_tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/family.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct ConvertOptions {
  std::string model, out;
  std::optional<std::string> tokenizer;
  ConversionOptions conversion;
  std::optional<std::string> dtype;
  int64_t shard_mib = 5120;
  bool overwrite = false;

  ConvertedFolder saving() const {
    return {.from = model,
            .dtype = dtype ? std::optional(weight_type(*dtype)) : std::nullopt,
            .shard_bytes = shard_mib << 20};
  }
  void visit(Visitor& v) {
    v.positional("model", model, "folder or .gguf of the model, which is not changed");
    v.field("out", out, "folder to write", required());
    v.field(
        "tokenizer", tokenizer,
        "folder or file of the model's tokenizer, extended or pruned: its tokens take their rows "
        "along, and a new piece begins at the mean of the pieces that it was before");
    conversion.visit(v);
    v.choice("dtype", dtype, weight_type_names(),
             "type of the weights on disk (default: the model's)");
    v.field("shard_mib", shard_mib, "largest size of one weight file, in MiB",
            between(1, kMostShardMib));
    v.field("overwrite", overwrite, "replace an existing folder if it is a model folder");
  }
};

// Rows of the vocabulary that the folder's tokenizer has tokens for; absent when it has none that
// can be read, which is no reason not to convert the model.
std::optional<int64_t> known_tokens(const fs::path& folder, const Log& log) {
  if (!has_tokenizer(folder.string())) return std::nullopt;
  try {
    return load_tokenizer(folder.string()).vocab_size();
  } catch (const Error& e) {
    log.warn("{}; all rows count as tokens", e.what());
    return std::nullopt;
  }
}

struct Change {
  std::string what;
  Json before, after;  // null: not set
};

// A value as describe() writes it.
Json value_of(const std::string& literal) {
  if (literal.empty()) return nullptr;
  Json value = Json::parse(literal, nullptr, false);
  return value.is_discarded() ? Json(literal) : value;
}

// The keys of the configuration that are not what they were, the family and the parameters.
std::vector<Change> changes_between(const ModelConfig& before, const ModelConfig& after) {
  std::vector<Change> changes;
  const auto add = [&](const std::string& what, Json a, Json b) {
    if (a != b) changes.push_back({what, std::move(a), std::move(b)});
  };
  const auto old_keys = describe(resolved(before)), new_keys = describe(resolved(after));
  for (size_t i = 0; i < old_keys.size(); ++i)
    add("model." + old_keys[i].key, value_of(old_keys[i].value), value_of(new_keys[i].value));
  add("saved as", family_for(before).name, family_for(after).name);
  add("parameters", Transformer(before).parameter_count(), Transformer(after).parameter_count());
  return changes;
}

Json to_json(const std::vector<Change>& changes) {
  Json list = Json::object();
  for (const Change& c : changes) list[c.what] = {c.before, c.after};
  return list;
}

std::string text_of(const Json& value) {
  if (value.is_null()) return "not set";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void report(const ConvertOptions& o, const std::vector<Change>& changes, CommandContext& context) {
  if (context.json) return context.print_json({{"out", o.out}, {"changes", to_json(changes)}});
  for (const Change& c : changes)
    context.out << fmt::format("{:<36} {} -> {}\n", c.what, text_of(c.before), text_of(c.after));
  if (changes.empty()) context.out << "nothing changed\n";
  context.log.info("wrote {}", o.out);
}

// What the caller has to tell the conversions about the tokenizers.
ConversionOptions completed(const ConvertOptions& o, const std::optional<NewTokenizer>& tokenizer,
                            const ModelConfig& before, const Log& log) {
  ConversionOptions options = o.conversion;
  if (tokenizer) {
    options.token_sources = tokenizer->sources();
    options.known_tokens = tokenizer->known_tokens();
  } else if (converted_config(before, options).vocab_size != before.vocab_size) {
    options.known_tokens = known_tokens(o.model, log);
  }
  return options;
}

void write_convert_manifest(const ConvertOptions& o, const std::vector<Change>& changes,
                            const fs::path& folder, const CommandContext& context) {
  Manifest manifest = new_manifest("model", context.command_line());
  manifest.seed = o.conversion.seed;
  manifest.facts = to_json(changes).dump();
  add_input(manifest, o.model, "model");
  if (o.tokenizer) add_input(manifest, *o.tokenizer, "tokenizer");
  add_outputs_of_folder(manifest, folder);
  write_manifest(manifest_path(folder, true), manifest, manifest_path(o.out, true));
}

int run_convert(const ConvertOptions& o, CommandContext& context) {
  std::vector<fs::path> inputs = {o.model};
  if (o.tokenizer) inputs.push_back(*o.tokenizer);
  AtomicDirectory folder = make_output_folder({o.out, o.overwrite, inputs});
  const ModelConfig before = read_model_config(o.model);
  std::optional<NewTokenizer> tokenizer;
  if (o.tokenizer) tokenizer.emplace(*o.tokenizer, o.model);
  const ConversionOptions options = completed(o, tokenizer, before, context.log);
  const ModelConfig after = converted_config(before, options);
  auto source = load_model(o.model, {.dtype = DType::kF32, .log = context.log});
  throw_if_interrupted();
  const auto model = convert(std::move(source), options);
  throw_if_interrupted();
  write_converted_model(*model, tokenizer ? &*tokenizer : nullptr, o.saving(), folder.temporary());
  const std::vector<Change> changes = changes_between(before, after);
  for (const std::string& note : conversion_notes(before, options)) context.log.info("{}", note);
  write_convert_manifest(o, changes, folder.temporary(), context);
  folder.commit(throw_if_interrupted);
  report(o, changes, context);
  return 0;
}

}  // namespace

Command convert_command() {
  return make_command<ConvertOptions>(
      {.name = "convert",
       .summary = "convert a trained model to another shape while keeping what it has learned",
       .help =
           "Several conversions can be combined. A larger vocabulary and experts do not change the "
           "model's output,\n"
           "nor does --body unless a prefix is given; fewer key/value heads and a longer context "
           "need some training\n"
           "afterwards. The tokenizer is copied, unless --tokenizer gives another: one that `lathe "
           "tokenizer extend` or\n"
           "`lathe tokenizer prune` made from the model's own. Old tokens keep their logits; what "
           "the new ones take from\n"
           "their probability is the difference of `lathe eval` before and after on a shard of old "
           "text.\n\n"
           "  lathe convert runs/demo/model --out /tmp/grouped --kv-heads 1\n"
           "  lathe convert runs/demo/model --out /tmp/larger --vocab-size 9000 --pad-vocab-to 64\n"
           "  lathe convert runs/demo/model --out /tmp/chinese --tokenizer runs/extended\n"
           "  lathe convert runs/demo/model --out /tmp/longer --context 4096 --rope-scaling yarn\n"
           "  lathe convert runs/demo/model --out /tmp/experts --experts 4\n"
           "  lathe convert runs/demo/model --out /tmp/prefix --body prefix_decoder\n"},
      run_convert);
}

}  // namespace lathe
