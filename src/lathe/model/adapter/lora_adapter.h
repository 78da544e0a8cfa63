// A LoRA adapter (Hu et al. 2021, arXiv:2106.09685) of one model, as PEFT saves it: a folder with
// adapter_config.json and adapter_model.safetensors. Its tensors name modules of the base,
//   base_model.model.<module>.lora_A.weight            [r, inputs]
//   base_model.model.<module>.lora_B.weight            [outputs, r]
//   base_model.model.<module>.lora_embedding_A, _B     [r, vocabulary], [width, r]
//   base_model.model.<…>.experts(.base_layer).lora_A.weight, .lora_B.weight
//                                                      [E·r, inputs], [outputs, r·E]: of the stacked
//       matrices gate_up_proj and down_proj of E experts (target_parameters); the shapes say which.
//       Expert e has the rows e·r, e·r + 1, … of A and the columns e, e + E, … of B
// which the table of the base's weights (model/weight_map.h) maps to rows of parameters. An adapter
// of the output head acts on the head alone, also where that is tied to the token table.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/model/transformer.h"

namespace lathe {

// ΔW = scale · B·A of the rows [first_row, first_row + B's rows) of one parameter.
struct LowRankUpdate {
  int64_t first_row = 0;
  Tensor a;  // [r, inputs]
  Tensor b;  // [outputs, r]
  double scale = 1;

  int64_t rank() const { return b.size(1); }
  // The y of these rows += scale · (x·Aᵀ)·Bᵀ; x [N,inputs], y [N, of the whole parameter].
  void add_product(const Tensor& x, const Tensor& y) const;
  // ΔW [outputs, inputs] in the type of A.
  Tensor delta() const;
};
// The same of a table whose rows are looked up: the rows of ΔWᵀ.
struct LookupUpdate {
  Tensor a;  // [vocabulary, r]
  Tensor b;  // [width, r]
  double scale = 1;

  // y [N,width] += scale · A[ids]·Bᵀ; ids i32 [N].
  void add_lookup(const Tensor& ids, const Tensor& y) const;
  Tensor delta() const;  // [vocabulary, width]
};

// Immutable and thread-safe.
class LoraAdapter {
 public:
  using Updates = std::map<std::string, std::vector<LowRankUpdate>, std::less<>>;
  using Lookups = std::map<std::string, LookupUpdate, std::less<>>;

  // By the names of parameters.
  LoraAdapter(Updates products, Lookups lookups);

  std::span<const LowRankUpdate> product(std::string_view parameter) const;
  const LookupUpdate* lookup(std::string_view parameter) const;  // nullptr if there is none
  const Updates& products() const { return products_; }
  const Lookups& lookups() const { return lookups_; }
  size_t bytes() const { return bytes_; }
  // What makes it unfit for a model (it was loaded for another), and what to do; empty if nothing
  // does.
  std::string why_not(const Transformer& model) const;
  // A hash of all of it: adapters with the same one compute the same.
  const std::string& identity() const { return identity_; }

 private:
  Updates products_;
  Lookups lookups_;
  size_t bytes_ = 0;
  std::string identity_;
};

// In the type of the model's activations. Errors: those of read_lora_config(); kIo; kFormat for a
// damaged file, tensors that are not a LoRA's, one of a pair without the other, values that are not
// finite; kData for an adapter of another base: a module that the model does not have, or has in
// another shape.
std::shared_ptr<const LoraAdapter> load_lora(const std::filesystem::path& folder,
                                             Transformer& model, const Log& log = {});

}  // namespace lathe
