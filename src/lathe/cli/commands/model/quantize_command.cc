#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/progress.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/model/divergence.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/model/gguf/write_gguf.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct QuantizeOptions {
  std::string model, type, out;
  bool pure = false;
  std::vector<std::string> tensor;
  std::optional<std::string> eval, bill;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.choice("type", type, writable_block_types(), "type of the matrices", required());
    v.field("out", out, "GGUF file to write", required());
    v.field("pure", pure,
            "every matrix in --type; without, routers, positions and the output matrix are finer");
    v.field("tensor", tensor,
            "REGEX=TYPE: the type of the tensors in whose names the expression is found");
    v.field("eval", eval, "text on which the result is compared with the original");
    v.field("bill", bill, "JSON file for what is printed: errors, bytes, and the comparison");
  }
};

// "ffn_down=Q8_0"
std::pair<std::string, const BlockType*> parse_override(const std::string& text) {
  const size_t at = text.rfind('=');
  require(at != std::string::npos && at > 0, ErrorKind::kUsage, "--tensor",
          "got '{}', expected REGEX=TYPE such as ffn_down=Q8_0", text);
  return {text.substr(0, at), &writable_block_type(text.substr(at + 1))};
}

std::vector<WrittenTensor> write(const QuantizeOptions& o, Transformer& model,
                                 CommandContext& context) {
  WriteGgufOptions options{
      .types = {&writable_block_type(o.type), o.pure}, .from = o.model, .log = context.log};
  for (const std::string& text : o.tensor) options.types.overrides.push_back(parse_override(text));
  Progress progress(context.progress, "quantising", static_cast<double>(model.parameter_count()),
                    "");
  options.progress = [&](int64_t done) {
    throw_if_interrupted();
    progress.update(static_cast<double>(done));
  };
  auto written = write_gguf(model, o.out, options);
  progress.finish();
  return written;
}

Divergence compare(const QuantizeOptions& o, const Transformer& original, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(o.model);
  const std::vector<int32_t> ids = tokenizer.encode(read_file(*o.eval));
  const auto quantised = load_model(o.out, {.dtype = DType::kF32, .log = context.log});
  Progress progress(context.progress, "comparing", static_cast<double>(ids.size()), "tokens");
  const Divergence d = divergence(original, *quantised, ids, {.progress = [&](int64_t done) {
                                    throw_if_interrupted();
                                    progress.update(static_cast<double>(done));
                                  }});
  progress.finish();
  return d;
}

// The types that a GGUF file's matrices had before.
std::vector<std::string> source_types(const std::string& model) {
  std::vector<std::string> types;
  if (!is_gguf_file(model)) return types;
  const GgufReader file(model);
  for (const ArraySpan& array : file.arrays())
    if (array.shape.size() > 1 && std::ranges::find(types, array.dtype) == types.end())
      types.push_back(array.dtype);
  return types;
}

Json make_bill(const QuantizeOptions& o, const std::vector<WrittenTensor>& tensors,
               const std::optional<Divergence>& d) {
  Json bill = {{"type", o.type}, {"file_bytes", fs::file_size(o.out)}};
  double bits = 0, elements = 0;
  Json list = Json::array(), fallbacks = Json::array();
  for (const WrittenTensor& t : tensors) {
    bits += t.type->bits() * static_cast<double>(t.elements);
    elements += static_cast<double>(t.elements);
    list.push_back({{"name", t.name}, {"type", t.type->name}, {"rmse", t.rmse}});
    if (t.is_fallback) fallbacks.push_back(t.name);
  }
  bill["bits_per_weight"] = bits / elements;
  if (const auto types = source_types(o.model); !types.empty()) bill["source_types"] = types;
  if (d)
    bill.update({{"windows", d->windows},
                 {"tokens", d->tokens},
                 {"perplexity", d->perplexity},
                 {"perplexity_original", d->perplexity_original},
                 {"kl_mean", d->kl_mean},
                 {"kl_p99", d->kl_p99},
                 {"top1_agreement", d->top1_agreement}});
  bill["tensors"] = std::move(list);
  bill["fallbacks"] = std::move(fallbacks);
  return bill;
}

// "blk.3" of "blk.3.ffn_up.weight", else the name without its ending.
std::string layer_of(const std::string& name) {
  const size_t first = name.find('.');
  const size_t second = name.find('.', first + 1);
  return name.starts_with("blk.") ? name.substr(0, second) : name.substr(0, first);
}

void print_errors_by_layer(const std::vector<WrittenTensor>& tensors, CommandContext& context) {
  std::vector<std::pair<std::string, const WrittenTensor*>> worst;
  for (const WrittenTensor& t : tensors) {
    const std::string layer = layer_of(t.name);
    if (worst.empty() || worst.back().first != layer) worst.emplace_back(layer, &t);
    if (t.rmse > worst.back().second->rmse) worst.back().second = &t;
  }
  context.out << fmt::format("{:<14} {:>10}  {}\n", "layer", "rmse", "of its worst tensor");
  for (const auto& [layer, t] : worst)
    context.out << fmt::format("{:<14} {:>10.3g}  {} ({})\n", layer, t->rmse, t->name,
                               t->type->name);
}

void print(const QuantizeOptions& o, const Json& bill, const std::vector<WrittenTensor>& tensors,
           CommandContext& context) {
  print_errors_by_layer(tensors, context);
  context.out << fmt::format("{}: {}, {:.2f} bits per weight\n", o.out,
                             human_bytes(bill["file_bytes"].get<double>()),
                             bill["bits_per_weight"].get<double>());
  if (bill.contains("source_types"))
    context.out << fmt::format("quantised from a file that was already in {}\n",
                               join(bill["source_types"].get<std::vector<std::string>>(), ", "));
  if (!bill["fallbacks"].empty())
    context.out << fmt::format("rows do not fit blocks of {}, so a simpler type is used for: {}\n",
                               o.type,
                               join_some(bill["fallbacks"].get<std::vector<std::string>>()));
  if (bill.contains("kl_mean"))
    context.out << fmt::format(
        "perplexity {:.4f} (original {:.4f}), KL mean {:.6f}, 99th percentile {:.5f}, same likeliest "
        "token {:.2f} %, over {} tokens\n",
        bill["perplexity"].get<double>(), bill["perplexity_original"].get<double>(),
        bill["kl_mean"].get<double>(), bill["kl_p99"].get<double>(),
        100 * bill["top1_agreement"].get<double>(), bill["tokens"].get<int64_t>());
  else
    context.out << "give --eval TEXT to see what this costs in perplexity and KL\n";
}

int run_quantize(const QuantizeOptions& o, CommandContext& context) {
  const auto model = load_model(
      o.model, {.dtype = DType::kF32, .residence = Residence::kMapped, .log = context.log});
  throw_if_interrupted();
  const auto tensors = write(o, *model, context);
  std::optional<Divergence> d;
  if (o.eval) d = compare(o, *model, context);
  const Json bill = make_bill(o, tensors, d);
  if (o.bill) write_json_file(*o.bill, bill);
  if (context.json) {
    context.print_json(bill);
  } else {
    print(o, bill, tensors, context);
  }
  return 0;
}

}  // namespace

Command quantize_command() {
  return make_command<QuantizeOptions>(
      {.name = "quantize",
       .summary = "write a model as a GGUF file with fewer bits per weight",
       .help =
           "llama.cpp and every command of Lathe that takes a model folder read the file, which\n"
           "also holds the tokenizer and the chat template. The bill says what was lost:\n"
           "docs/quantisation.md explains it and says which type to choose.\n\n"
           "  lathe quantize runs/demo/model --type Q8_0 --out demo.gguf --eval book.txt\n"
           "  lathe quantize runs/demo/model --type Q4_0 --tensor ffn_down=Q6_K --out "
           "demo.gguf\n"
           "  lathe quantize demo.gguf --type F32 --out plain.gguf\n"},
      run_quantize);
}

}  // namespace lathe
