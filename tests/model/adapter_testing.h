// Adapters for models that are not on disk, and golden ones (tools/make_adapter_goldens.py).
#pragma once

#include <filesystem>
#include <map>

#include "lathe/base/rng.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/adapter/row_adapters.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe::testing {

inline std::filesystem::path goldens() { return tests_folder() / "model" / "goldens"; }

inline Tensor array_of(const SafetensorsReader& reader, const std::string& name) {
  const ArraySpan* array = reader.find(name);
  require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
  Tensor t(Shape(std::span<const int64_t>(array->shape)),
           array->dtype == "I32" ? DType::kI32 : DType::kF32);
  std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
  return t;
}

inline std::filesystem::path base_of(const std::string& adapter) {
  return goldens() /
         read_adapter_config(goldens() / "adapters" / adapter / "adapter_config.json")
             .base_model_name_or_path.value() /
         "model";
}

inline ModelInputs inputs_of(const SafetensorsReader& given) {
  const bool encoder = given.find("decoder_input_ids") != nullptr;
  ModelInputs all{.rows = Rows::of(array_of(given, encoder ? "decoder_input_ids" : "input_ids"))};
  if (encoder) all.text = Rows::of(array_of(given, "input_ids"));
  return all;
}

// The same for all sequences.
inline RowAdapters everywhere(const Adaptation& what, const ModelInputs& inputs) {
  return RowAdapters(
      std::vector<Adaptation>(static_cast<size_t>(inputs.rows.sequences.count()), what),
      inputs.rows.sequences, inputs.text ? &inputs.text->sequences : nullptr);
}

inline Tensor logits_with(const Transformer& model, const ModelInputs& inputs,
                          const Adaptation& what) {
  const RowAdapters adapters = everywhere(what, inputs);
  ModelPass pass(model, {.adapters = &adapters});
  return pass.logits(pass.hidden(inputs)).value;
}

using Arrays = std::map<std::string, Tensor>;

inline void write_arrays(const std::filesystem::path& path, const Arrays& arrays) {
  std::vector<ArraySpan> spans;
  for (const auto& [name, t] : arrays) {
    const auto dims = t.shape().dims();
    spans.push_back({name, "F32", {dims.begin(), dims.end()}, {t.raw(), t.bytes()}});
  }
  write_safetensors(path, spans);
}

// The adapter of `rows` rows of a parameter, or of the rows of a table that are looked up.
inline AdaptedModule random_module(const Parameter& p, int64_t first, int64_t rows, int64_t rank,
                                   bool lookup) {
  ModuleSite site{.module = fmt::format("{}.{}{}", p.name, first, lookup ? ".rows" : ""),
                  .outputs = lookup ? p.shape[1] : rows,
                  .inputs = lookup ? rows : p.shape[1],
                  .is_table = lookup,
                  .rank = rank,
                  .alpha = 0.75 * static_cast<double>(rank)};
  return {.prefix = site.module + ".",
          .site = site,
          .at = {p.name, first, rows},
          .adapter = module_adapters()[0].make_with_defaults(site),
          .is_lookup = lookup};
}

// LoRAs of about two in three of the parts of all matrices that are multiplied, of the head, and of the
// rows of the token table.
inline std::shared_ptr<const Adapter> random_adapter(const Transformer& model, const Rng& rng,
                                                     double std = 0.3) {
  auto adapter = std::make_shared<Adapter>(AdapterConfig(), model);
  for (const Parameter* p : model.parameters()) {
    if (p->shape.rank() != 2) continue;
    const Rng own = rng.fork(p->name);
    const bool table = p->is_table && p->name != "head.weight";
    if (table && p->name != "embedding.weight") continue;  // of positions or scores
    if (table) adapter->add(random_module(*p, 0, p->shape[0], 2, true));
    if (table && !model.config().tie_word_embeddings) continue;
    const std::vector<int64_t> parts = p->parts.empty() ? std::vector{p->shape[0]} : p->parts;
    int64_t first = 0;
    for (size_t part = 0; part < parts.size(); first += parts[part++]) {
      const Rng of_part = own.fork(part);
      if (of_part.fork("has").below(0, 3) == 0) continue;
      const auto rank = 1 + static_cast<int64_t>(of_part.fork("rank").below(0, 3));
      adapter->add(random_module(*p, first, parts[part], rank, false));
    }
  }
  adapter->allocate(model);
  for (Parameter* p : adapter->parameters()) {
    const Tensor& value = p->value.tensor();
    std::vector<double> values;
    for (int64_t i = 0; i < p->shape.numel(); ++i)
      values.push_back(std * rng.fork(p->name).normal(static_cast<uint64_t>(i)));
    value.copy_from(Tensor::of<double>(values, p->shape, value.device()));
  }
  return adapter;
}

inline std::shared_ptr<const LoraAdapter> random_lora(const Transformer& model, const Rng& rng,
                                                      double std = 0.3) {
  return low_rank_updates(*random_adapter(model, rng, std), "random");
}

inline Steering random_steering(const Transformer& model, const Rng& rng) {
  std::map<int64_t, Tensor> directions;
  const int64_t layers = model.config().num_hidden_layers;
  for (int64_t layer = 0; layer < layers; ++layer) {
    Tensor v({model.config().hidden_size}, DType::kF32);
    for (int64_t i = 0; i < v.numel(); ++i)
      v.data<float>()[i] = static_cast<float>(
          rng.fork(static_cast<uint64_t>(layer)).normal(static_cast<uint64_t>(i)));
    directions[layer] = v;
  }
  return {.vectors = std::make_shared<const SteeringVectors>(std::move(directions)),
          .scale = 0.7,
          .first = static_cast<int64_t>(rng.fork("first").below(0, static_cast<uint64_t>(layers)))};
}

}  // namespace lathe::testing
