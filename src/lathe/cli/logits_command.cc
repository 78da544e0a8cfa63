// `lathe logits`: the proof tool. Logits, loss and every parameter's gradient, under the names the
// parameters have on disk.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/cli/commands.h"
#include "lathe/cli/model_input.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/folder.h"
#include "lathe/model/weight_map.h"
#include "lathe/ops/cross_entropy.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct LogitsOptions {
  std::string model, input, out;
  bool loss = false, grads = false;
  std::string device = "cpu";

  template <class V>
  void visit(V& v) {
    v.positional("model", model, "folder of the model");
    v.field("input", input, "JSON file: input_ids, and optionally labels, attention_mask",
            required());
    v.field("out", out, "safetensors file to write", required());
    v.field("loss", loss, "also write the mean cross entropy over the labels");
    v.field("grads", grads, "also write grad.<name> for every parameter");
    v.choice("device", device, {"cpu", "ref"}, "ref: every operation in scalar double precision");
  }
};

// Labels for causal models: label t is the id at t + 1. -100 in the file and the last position are
// ignored.
Tensor shifted_labels(const Tensor& labels) {
  const int64_t batch = labels.size(0), tokens = labels.size(1);
  Tensor out(labels.shape(), DType::kI32);
  const int32_t* in = labels.data<int32_t>();
  int32_t* to = out.data<int32_t>();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < tokens; ++t)
      to[b * tokens + t] = t + 1 < tokens ? std::max(in[b * tokens + t + 1], -1) : -1;
  return out;
}

struct Input {
  Tensor ids, labels, mask;  // mask undefined: every token counts
};

Input read_input(const std::string& path) {
  const Json tree = read_json_file(path);
  for (const auto& [key, value] : tree.items())
    require(key == "input_ids" || key == "labels" || key == "attention_mask", ErrorKind::kData,
            path,
            "'{}' is not an input of a causal decoder; expected input_ids, labels, attention_mask",
            key);
  Input in;
  in.ids = id_matrix(id_rows(tree, "input_ids"), "input_ids");
  in.labels = tree.contains("labels") ? id_matrix(id_rows(tree, "labels"), "labels") : in.ids;
  if (tree.contains("attention_mask"))
    in.mask = id_matrix(id_rows(tree, "attention_mask"), "attention_mask");
  for (const Tensor* t : {&in.labels, &in.mask})
    require(!t->defined() || t->shape() == in.ids.shape(), ErrorKind::kData, path,
            "labels and attention_mask must have "
            "the shape {} of input_ids",
            in.ids.shape().str());
  return in;
}

// Padding: masked tokens form a segment of their own, and positions count the real tokens before.
void apply_mask(const Tensor& mask, Forward& f) {
  f.segments = {mask, mask};
  f.positions = Tensor(mask.shape(), DType::kI32);
  const int64_t tokens = mask.size(1);
  for (int64_t b = 0; b < mask.size(0); ++b) {
    int32_t count = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      const bool real = mask.data<int32_t>()[b * tokens + t] != 0;
      f.positions.data<int32_t>()[b * tokens + t] = std::max(count - (real ? 0 : 1), 0);
      count += real;
    }
  }
}

class OutputFile {
 public:
  void add(const std::string& name, const Tensor& t) {
    const Tensor f32 = t.to(DType::kF32);
    tensors_.push_back(f32);
    const auto dims = f32.shape().dims();
    arrays_.push_back({name, "F32", {dims.begin(), dims.end()}, {f32.raw(), f32.bytes()}});
  }
  void write(const std::string& path) const { write_safetensors(path, arrays_); }

 private:
  std::vector<Tensor> tensors_;
  std::vector<ArraySpan> arrays_;
};

int run_logits(const LogitsOptions& o, CommandContext& context) {
  const Input in = read_input(o.input);
  const Device device = o.device == "ref" ? Device::kRef : Device::kCpu;
  const DType dtype = device == Device::kRef ? DType::kF64 : DType::kF32;
  const auto model = load_model(o.model, {.dtype = dtype, .device = device});
  Forward f;
  if (in.mask.defined()) apply_mask(in.mask, f);
  Tape tape;
  if (o.grads) {
    f.tape = &tape;
    for (Parameter* p : model->parameters())
      p->grad = {Tensor::zeros(p->shape, dtype, device), true};
  }
  const Var hidden = model->hidden(f, in.ids);
  OutputFile out;
  out.add("logits", model->logits(Forward(), Var(hidden.value)).value);
  Json summary = {{"logits", {in.ids.size(0), in.ids.size(1), model->config().vocab_size}}};
  if (o.loss || o.grads) {
    const Var loss = ops::linear_cross_entropy(hidden, model->head(f), shifted_labels(in.labels));
    out.add("loss", loss.value);
    summary["loss"] = loss.value.item();
    if (o.grads) tape.backward(loss);
  }
  if (o.grads)
    for (const DiskTensor& t : map_weights(*model))
      out.add("grad." + t.name,
              t.gather([](Parameter& p) -> const Tensor& { return p.grad.tensor; }));
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
           "Computes in fp32 without dropout. Labels are shifted by one; -100 is ignored; without "
           "labels the ids\n"
           "themselves are used. Gradients carry the names that the parameters have on disk.\n\n"
           "  echo '{\"input_ids\": [[1, 2, 3, 4]]}' > in.json\n"
           "  lathe logits runs/demo/model --input in.json --out out.safetensors --loss --grads\n"},
      run_logits);
}

}  // namespace lathe
