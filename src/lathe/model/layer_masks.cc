#include "lathe/model/layer_masks.h"

#include <fmt/format.h>

#include "lathe/base/catalogue.h"

namespace lathe {

namespace {

// What a layer_type lets a token see, beside its own past.
struct LayerType {
  std::string_view name;
  bool window = false;
  kernels::BlockPattern::Kind pattern = kernels::BlockPattern::Kind::kNone;
};
constexpr LayerType kLayerTypes[] = {
    {"full_attention"},
    {.name = "sliding_attention", .window = true},
    {.name = "strided_attention", .pattern = kernels::BlockPattern::Kind::kStrided},
    {.name = "fixed_attention", .pattern = kernels::BlockPattern::Kind::kFixed},
};

}  // namespace

std::vector<std::string> attention_layer_types() { return names_of(kLayerTypes); }

kernels::AttentionSpec mask_of(const ModelConfig& config, int64_t layer) {
  using Kind = kernels::BlockPattern::Kind;
  const ModelConfig c = resolved(config);
  const LayerType& type = find_in(kLayerTypes, "model.layer_types", c.layer_type(layer));
  kernels::AttentionSpec mask;
  if (type.window || type.pattern != Kind::kNone) mask.sink_tokens = c.attention.sink_tokens;
  if (type.window) mask.window = *c.sliding_window;
  if (type.pattern != Kind::kNone)
    mask.pattern = {.kind = type.pattern,
                    .block = c.attention.sparse_block,
                    .stride = *c.attention.sparse_stride,
                    .local = c.attention.sparse_local.value_or(1),
                    .summary = c.attention.sparse_summary};
  return mask;
}

void resolve_masks(ModelConfig& c) {
  const bool sliding = c.has_layer("sliding_attention"), strided = c.has_layer("strided_attention"),
             fixed = c.has_layer("fixed_attention");
  const AttentionConfig unused;
  if (!sliding) c.sliding_window.reset();
  c.attention.sparse_local =
      strided && !c.attention.sparse_local ? c.attention.sparse_stride : c.attention.sparse_local;
  if (!strided) c.attention.sparse_local.reset();
  if (!fixed) c.attention.sparse_summary = unused.sparse_summary;
  if (!strided && !fixed) {
    c.attention.sparse_block = unused.sparse_block;
    c.attention.sparse_stride.reset();
    if (!sliding) c.attention.sink_tokens = unused.sink_tokens;
  }
}

void check_masks(const ModelConfig& c) {
  const KeyErrors errors("model");
  const AttentionConfig& a = c.attention;
  if (c.has_layer("sliding_attention") && !c.sliding_window)
    errors.refuse("sliding_window",
                  "layer_types has sliding_attention layers; set the number of tokens that they "
                  "attend to, e.g. sliding_window = 512");
  const Body body = c.body_traits();
  for (const char* type : {"strided_attention", "fixed_attention"}) {
    if (!c.has_layer(type)) continue;
    if (body.encoder || !body.causal)
      errors.refuse("layer_types",
                    fmt::format("{} layers only look back, but body = \"{}\" has a stack that "
                                "attends in both directions; use \"sliding_attention\"",
                                type, c.body));
    if (!a.sparse_stride)
      errors.refuse(
          "attention.sparse_stride",
          fmt::format("layer_types has {} layers; set the distance between their blocks, near the "
                      "square root of the number of blocks, e.g. sparse_stride = 32",
                      type));
  }
  if (c.has_layer("fixed_attention") && a.sparse_summary > *a.sparse_stride)
    errors.refuse(
        "attention.sparse_summary",
        fmt::format(
            "{} is more than the {} blocks in a group (sparse_stride); use at most that many",
            a.sparse_summary, *a.sparse_stride));
}

}  // namespace lathe
