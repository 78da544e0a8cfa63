// An adapter of one model (Houlsby et al. 2019, arXiv:1902.00751, and what followed): small tensors
// beside a model's own, that are trained in place of them. The same object serves training, the
// gradients of `lathe logits`, and inference; nn/adapters.h is how it acts.
//
// A folder of PEFT has adapter_config.json and adapter_model.safetensors, whose names are
//   base_model.model.<module>.<tensor>    tensors of a kind (kinds/), for the module's matrix
//   base_model.model.<module>.<weight>    values in place of the module's own: modules_to_save,
//                                         biases ("….base_layer.bias"), norms ("….ln_tuning_layers.…")
//   base_model.model.<module>.token_adapter.trainable_tokens_delta   rows of the token table
//   base_model.model.<…>.experts(.base_layer).lora_A.weight, .lora_B.weight
//                                         [E·r, inputs], [outputs, r·E]: of the stacked matrices of E
//       experts (target_parameters); shapes say of which. Expert e has the rows e·r, e·r + 1, … of A
//       and the columns e, e + E, … of B
//   prompt_embeddings                     the vectors of virtual tokens
// Modules are named as transformers names them, which the table of the base's weights
// (model/weight_map.h) maps to rows of parameters. What acts on the output head acts on the head
// alone, also where that is tied to the token table.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/model/adapter/adapter_config.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Rows [first_row, first_row + rows) of a parameter. `order`, if defined, is which of the rows in the
// file each of them is, i32 [rows].
struct RowsOfParameter {
  std::string parameter;
  int64_t first_row = 0, rows = 0;
  Tensor order = {};
};

// The adapter of one matrix.
struct AdaptedModule {
  std::string prefix;  // of its tensors in the file
  ModuleSite site;
  RowsOfParameter at;
  std::unique_ptr<ModuleAdapter> adapter;
  bool is_lookup = false;  // of a table where its rows are looked up; else of products
};

// A value in place of the model's own.
struct ReplacedValue {
  std::string name;  // in the file
  RowsOfParameter at;
  bool transposed = false;  // a matrix that the file has as [inputs, outputs]
  double added = 0;         // what is stored is the value plus this
  Tensor only_rows = {};    // i32: those rows of a table, in place of `at`'s
  bool in_products = true, in_lookups = true;
  Parameter value = {};  // as the file has it
};

// Const functions are thread-safe.
class Adapter : public Module {
 public:
  Adapter(AdapterConfig config, const Transformer& model);

  const AdapterConfig& config() const { return config_; }
  AdapterConfig& config() { return config_; }  // of what is written
  const std::vector<AdaptedModule>& modules() const { return modules_; }
  const std::vector<ReplacedValue>& replaced() const { return replaced_; }
  const PromptEncoder* prompt() const { return prompt_.get(); }
  bool is_prefix() const { return is_prefix_; }
  int64_t prefix_layers() const { return prefix_layers_; }  // that have keys and values of it
  int64_t prefix_heads() const { return prefix_heads_; }    // of each layer
  int64_t virtual_tokens() const { return prompt_ != nullptr ? config_.num_virtual_tokens : 0; }
  // A loss to add to the model's own, without which training would go astray; undefined for most.
  Var regularization(const Pass& pass) const;

  // With names as in adapter_model.safetensors, apart from PiSSA's beginning and an encoder's.
  std::vector<Parameter*> parameters();
  std::vector<const Parameter*> parameters() const;
  std::string_view kind() const override { return "Adapter"; }
  void visit(ModuleVisitor& v) override;
  size_t bytes() const;
  // What makes it unfit for a model (it was made for another), and what to do; empty if nothing does.
  std::string why_not(const Transformer& model) const;

  // How it is put together (load_adapter.cc, make_adapter.cc, save_adapter.cc).
  void add(AdaptedModule module) { modules_.push_back(std::move(module)); }
  void add(ReplacedValue value) { replaced_.push_back(std::move(value)); }
  void set_prompt(std::unique_ptr<PromptEncoder> prompt, bool is_prefix) {
    prompt_ = std::move(prompt);
    is_prefix_ = is_prefix;
  }
  // Names and memory for all parameters; shared tensors are given to the modules.
  void allocate(const Transformer& model);
  TensorsByName& shared() { return shared_; }
  const TensorsByName& shared() const { return shared_; }
  void share();

 private:
  AdapterConfig config_;
  std::map<std::string, Shape> shapes_;  // of the model's parameters that it acts on
  DType activations_;
  Device device_;
  int64_t prefix_layers_, prefix_heads_;
  std::vector<AdaptedModule> modules_;
  std::vector<ReplacedValue> replaced_;
  TensorsByName shared_;
  std::unique_ptr<PromptEncoder> prompt_;
  bool is_prefix_ = false;
};

// In the type of the model's activations; vectors are in f32 where those have 16 bits. Errors: those
// of read_adapter_config(); kIo; kFormat for a damaged file, tensors that are not of the kind, a
// module without one of its tensors, values that are not finite; kData for an adapter of another
// base: a module that the model does not have, or has in another shape.
std::unique_ptr<Adapter> load_adapter(const std::filesystem::path& folder, Transformer& model,
                                      const Log& log = {});

// A fresh adapter, which changes nothing yet where its kind can begin so. Each module draws from
// rng.fork(its name). Errors: kConfig for targets that are not in the model (naming those that are),
// or that the kind cannot act on.
std::unique_ptr<Adapter> make_adapter(const AdapterConfig& config, Transformer& model,
                                      const Rng& rng);

// Writes adapter_config.json and adapter_model.safetensors, in f32, which PEFT opens; where an
// encoder makes the vectors of virtual tokens, also encoder.safetensors, with which load_adapter()
// goes on training it. PiSSA is saved as a LoRA of twice the rank on the unchanged base. The folder
// exists. Error kIo.
void save_adapter(const Adapter& adapter, const Transformer& model,
                  const std::filesystem::path& folder);

}  // namespace lathe
