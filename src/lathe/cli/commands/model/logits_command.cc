// `lathe logits`: the proof tool. Logits, loss and every parameter's gradient, under the names the
// parameters have on disk.

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/adapter_options.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/output_paths.h"
#include "lathe/cli/commands/model/tensor_output.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"
#include "lathe/model/family.h"
#include "lathe/model/load_model.h"
#include "lathe/model/model_pass.h"
#include "lathe/model/nf4.h"
#include "lathe/model/weight_map.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct LogitsOptions {
  std::string model, input, out;
  bool loss = false, grads = false, double_quant = false;
  std::string device = "cpu", weights = "fp32", quantization = "none";
  AdapterOptions adapters;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("input", input,
            "JSON file: input_ids, and optionally labels, attention_mask, prefix_length, "
            "token_type_ids, decoder_input_ids",
            required());
    v.field("out", out, "safetensors file to write", required());
    v.field("loss", loss, "also write the mean cross entropy over the labels");
    v.field("grads", grads,
            "also write grad.<name> for every parameter, or, with --adapter, for every tensor that "
            "the adapter trains");
    v.choice("device", device, {"cpu", "ref"},
             "ref: computes everything in scalar double precision");
    visit_weights(v, weights);
    v.choice("quantization", quantization, {"none", "nf4"},
             "nf4: round the linear layers but the head to four bits first, as QLoRA does");
    v.field("double_quant", double_quant, "with --quantization nf4: the scales of blocks too");
    adapters.visit(v);
  }
};

// What the file gives; undefined where it does not.
struct Input {
  Tensor ids, labels, mask, token_types, decoder_ids, prefix;
};

std::vector<std::string> keys_for(const ModelConfig& c) {
  const Body body = c.body_traits();
  std::vector<std::string> keys = {"input_ids", "labels", "attention_mask"};
  if (body.encoder) keys.emplace_back("decoder_input_ids");
  if (body.causal && !body.encoder) keys.emplace_back("prefix_length");
  if (c.type_vocab_size > 0) keys.emplace_back("token_type_ids");
  return keys;
}

// One length for all rows, or one for each.
Tensor read_prefix(const Json& value, int64_t rows, int64_t tokens, const std::string& path) {
  const Json list =
      value.is_array() ? value : Json(std::vector<Json>(static_cast<size_t>(rows), value));
  Tensor prefix({rows}, DType::kI32);
  require(static_cast<int64_t>(list.size()) == rows, ErrorKind::kData, path,
          "prefix_length has {} numbers for {} rows", list.size(), rows);
  for (int64_t row = 0; row < rows; ++row) {
    const Json& length = list[static_cast<size_t>(row)];
    require(length.is_number_integer() && length >= 0 && length <= tokens, ErrorKind::kData, path,
            "prefix_length of row {} is {}, expected 0 to {}", row, length.dump(), tokens);
    prefix.data<int32_t>()[row] = length.get<int32_t>();
  }
  return prefix;
}

Input read_input(const std::string& path, const ModelConfig& c) {
  const Json tree = read_json_file(path);
  const auto keys = keys_for(c);
  for (const auto& [key, value] : tree.items())
    require(std::ranges::find(keys, key) != keys.end(), ErrorKind::kData, path,
            "'{}' is not an input of a model with body \"{}\"; expected {}", key, c.body,
            join(keys, ", "));
  const auto matrix = [&](const char* key) {
    return tree.contains(key) ? id_matrix(id_rows(tree, key), key) : Tensor();
  };
  Input in{.ids = id_matrix(id_rows(tree, "input_ids"), "input_ids"),
           .labels = matrix("labels"),
           .mask = matrix("attention_mask"),
           .token_types = matrix("token_type_ids"),
           .decoder_ids = matrix("decoder_input_ids"),
           .prefix = Tensor()};
  if (tree.contains("prefix_length"))
    in.prefix = read_prefix(tree.at("prefix_length"), in.ids.size(0), in.ids.size(1), path);
  for (const auto& [key, t] :
       {std::pair{"attention_mask", &in.mask}, {"token_type_ids", &in.token_types}})
    require(!t->defined() || t->shape() == in.ids.shape(), ErrorKind::kData, path,
            "{} must have the shape {} of input_ids", key, in.ids.shape());
  return in;
}

// Padding: masked tokens form a segment of their own, and positions count the real tokens before.
void apply_mask(const Tensor& mask, Rows& rows) {
  rows.segments = mask.reshape({mask.numel()});
  rows.positions = Tensor(rows.segments.shape(), DType::kI32);
  const int64_t tokens = mask.size(1);
  for (int64_t b = 0; b < mask.size(0); ++b) {
    int32_t count = 0;
    for (int64_t t = b * tokens; t < (b + 1) * tokens; ++t) {
      const bool real = mask.data<int32_t>()[t] != 0;
      rows.positions.data<int32_t>()[t] = std::max(count - (real ? 0 : 1), 0);
      count += real;
    }
  }
}

// input_ids with what belongs to them.
Rows rows_of_input(const Input& in) {
  Rows rows = Rows::of(in.ids);
  if (in.mask.defined()) apply_mask(in.mask, rows);
  if (in.token_types.defined()) rows.token_types = in.token_types.reshape({in.ids.numel()});
  rows.prefix = in.prefix;
  return rows;
}

// The labels moved by `by`: label t is the id at t + by. -100 in the file and what lies beyond the
// end are ignored.
Tensor moved_labels(const Tensor& labels, int64_t by) {
  const int64_t batch = labels.size(0), tokens = labels.size(1);
  Tensor out(labels.shape(), DType::kI32);
  const int32_t* in = labels.data<int32_t>();
  int32_t* to = out.data<int32_t>();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < tokens; ++t)
      to[b * tokens + t] = t + by < tokens ? std::max(in[b * tokens + t + by], -1) : -1;
  return out;
}

// Labels of a decoder alone are its ids, one ahead; others predict what they are told to, in place.
Tensor labels_of(const Input& in, const Tensor& ids, const Body& body, const std::string& path) {
  const bool shifted = body.causal && !body.encoder;
  const Tensor labels = in.labels.defined() ? in.labels : shifted ? in.ids : Tensor();
  require(labels.defined(), ErrorKind::kData, path,
          "no labels given; only for a decoder can the ids serve as labels");
  require(labels.shape() == ids.shape(), ErrorKind::kData, path,
          "labels have shape {}, but the tokens that predict them have shape {}", labels.shape(),
          ids.shape());
  return moved_labels(labels, shifted ? 1 : 0);
}

// ids one later, behind the token that begins a text: how encoder-decoders are fed with what they
// are to say.
Tensor decoder_ids_from(const Tensor& labels, const ModelConfig& c, const std::string& path) {
  const auto start = c.decoder_start();
  require(labels.defined() && start.has_value(), ErrorKind::kData, path,
          "an encoder_decoder needs decoder_input_ids, or labels and a decoder_start_token_id in "
          "config.json");
  Tensor ids = moved_labels(labels, 0);
  const int64_t tokens = ids.size(1);
  for (int64_t b = 0; b < ids.size(0); ++b) {
    int32_t* row = ids.data<int32_t>() + b * tokens;
    std::copy_backward(row, row + tokens - 1, row + tokens);
    row[0] = static_cast<int32_t>(*start);
    for (int64_t t = 1; t < tokens; ++t)
      if (row[t] < 0) row[t] = static_cast<int32_t>(c.pad_token_id.value_or(*start));
  }
  return ids;
}

// What the gradients are of: the adapters, if there are any, else the model.
std::vector<const Parameter*> differentiated(const Transformer& model,
                                             const AppliedModelAdapters& adapters) {
  if (adapters.all.empty()) return model.parameters();
  std::vector<const Parameter*> all;
  for (const auto& adapter : adapters.all)
    for (const Parameter* p : adapter->parameters())
      if (p->trainable) all.push_back(p);
  return all;
}

// A label that the last virtual token of an adapter predicts: the first of each text.
Tensor first_labels(const Tensor& labels) {
  Tensor first({labels.size(0)}, DType::kI32);
  for (int64_t b = 0; b < labels.size(0); ++b)
    first.data<int32_t>()[b] = std::max(labels.data<int32_t>()[b * labels.size(1)], -1);
  return first;
}

// The mean over all labels, with what the adapters add.
Var loss_of(const ModelPass& pass, const Var& hidden, const Tensor& labels, const Tensor& unmoved,
            const AppliedModelAdapters& adapters, const Pass& settings) {
  Var rows = hidden;
  Tensor targets = labels.reshape({labels.numel()});
  if (pass.before_first().defined()) {
    const std::array both = {hidden, pass.before_first()};
    rows = ops::join_rows(both);
    Tensor all({targets.numel() + labels.size(0)}, DType::kI32);
    all.narrow(0, 0, targets.numel()).copy_from(targets);
    all.narrow(0, targets.numel(), labels.size(0)).copy_from(first_labels(unmoved));
    targets = all;
  }
  const Var loss = ops::linear_cross_entropy(rows, pass.head(), targets);
  const Var more = adapters.acting ? adapters.acting->regularization(settings) : Var();
  return more.defined() ? ops::add(loss, more) : loss;
}

// By the names that the parameters have on disk.
void add_gradients(TensorOutput& out, Transformer& model, const AppliedModelAdapters& adapters,
                   ParameterGradients& gradients) {
  if (!adapters.all.empty()) {
    for (const Parameter* p : differentiated(model, adapters))
      out.add("grad." + p->name, gradients.find(*p)->tensor);
    return;
  }
  out.add_gradients("grad.", map_weights(model, find_family(model.config().model_type)), gradients);
}

// Room for the gradients of what is differentiated; what nothing depends on is zero.
void add_buffers(ParameterGradients& gradients, const Transformer& model,
                 const AppliedModelAdapters& adapters) {
  for (const Parameter* p : differentiated(model, adapters)) {
    GradBuffer& gradient = gradients.add(*p);
    gradient.tensor.fill_zero();
    gradient.written = true;
  }
}

// Errors: kUsage for options that do not go together.
std::unique_ptr<Transformer> load_for(const LogitsOptions& o, const Log& log) {
  const Device device = o.device == "ref" ? Device::kRef : Device::kCpu;
  const DType dtype = device == Device::kRef ? DType::kF64 : DType::kF32;
  const bool rounds = o.quantization == "nf4";
  const bool native = quantised_weights(o.weights) == QuantisedWeights::kNative;
  require(
      !native || (device == Device::kCpu && !o.grads), ErrorKind::kUsage, "--weights",
      "native weights have no gradients and are computed with on the cpu only; leave out --grads "
      "and --device ref, or this option");
  require(!native || !rounds, ErrorKind::kUsage, "--quantization",
          "rounds decoded weights; leave out --weights native, or this option");
  require(rounds || !o.double_quant, ErrorKind::kUsage, "--double-quant",
          "says how --quantization nf4 rounds, which is not given");
  auto model = native ? load_for_inference(o.model, dtype, log, QuantisedWeights::kNative)
                      : load_model(o.model, {.dtype = dtype, .device = device, .log = log});
  if (rounds) round_to_nf4(*model, o.double_quant);
  return model;
}

int run_logits(const LogitsOptions& o, CommandContext& context) {
  check_outputs({{"--out", o.out}}, {{"the model", o.model}, {"--input", o.input}});
  const auto model = load_for(o, context.log);
  const Body body = model->config().body_traits();
  const Input in = read_input(o.input, model->config());
  throw_if_interrupted();
  const AppliedModelAdapters adapters = o.adapters.apply(*model, context.log);
  Pass settings;
  settings.adapters = adapters.acting.get();
  Tape tape;
  ParameterGradients gradients;
  if (o.grads) {
    settings.tape = &tape;
    settings.gradients = &gradients;
    add_buffers(gradients, *model, adapters);
  }
  Tensor ids = in.ids;  // whose successors are predicted
  if (body.encoder)
    ids = in.decoder_ids.defined() ? in.decoder_ids
                                   : decoder_ids_from(in.labels, model->config(), o.input);
  const ModelInputs inputs =
      body.encoder ? ModelInputs{Rows::of(ids), rows_of_input(in)} : ModelInputs{rows_of_input(in)};
  ModelPass pass(*model, settings);
  const Var hidden = pass.hidden(inputs);
  throw_if_interrupted();
  TensorOutput out;
  const int64_t vocabulary = model->config().vocab_size;
  const Tensor logits = model->logits({.adapters = settings.adapters}, Var(hidden.value)).value;
  out.add("logits", logits.reshape({ids.size(0), ids.size(1), vocabulary}));
  Json summary = {{"logits", {ids.size(0), ids.size(1), vocabulary}}};
  if (o.loss || o.grads) {
    const Var loss = loss_of(pass, hidden, labels_of(in, ids, body, o.input),
                             in.labels.defined() ? in.labels : ids, adapters, settings);
    out.add("loss", loss.value);
    summary["loss"] = loss.value.item();
    if (o.grads) tape.backward(loss);
  }
  if (o.grads) add_gradients(out, *model, adapters, gradients);
  throw_if_interrupted();
  out.write(o.out);
  if (context.json) {
    context.print_json(summary);
  } else {
    context.log.info("wrote {} to {}", o.grads ? "logits, loss and gradients" : "logits", o.out);
  }
  return 0;
}

}  // namespace

Command logits_command() {
  return make_command<LogitsOptions>(
      {.name = "logits",
       .summary = "write a model's logits, loss and gradients for given token ids",
       .help =
           "Computes in fp32 without dropout. Labels of -100 are ignored. The labels of a decoder "
           "are shifted by\n"
           "one and default to the ids; those of an encoder_decoder (for decoder_input_ids) and of "
           "an encoder are at\n"
           "the positions where they are predicted. Gradients have the names that the parameters "
           "have on disk.\n\n"
           "  echo '{\"input_ids\": [[1, 2, 3, 4]]}' > in.json\n"
           "  lathe logits runs/demo/model --input in.json --out out.safetensors --loss --grads\n"},
      run_logits);
}

}  // namespace lathe
