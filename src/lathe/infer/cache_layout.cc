#include "lathe/infer/cache_layout.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/model/model_pass.h"

namespace lathe {
namespace {

constexpr std::string_view kPrecision = "cache_precision";

// Notes what is written and gives back the same, as a cache that held nothing before.
class NotingCache : public AttentionCache {
 public:
  void write(const CacheLayer& layer, const Rows& rows, const Tensor& k, const Tensor& v) override {
    last_ = ops::KeyValues::packed(Var(k), Var(v), rows.sequences);
    const auto row_of = [](const Tensor& t) {
      std::vector<int64_t> dims;
      for (int dim = 1; dim < t.rank(); ++dim) dims.push_back(t.size(dim));
      return Shape(dims);
    };
    CachedRows kept{layer, row_of(k), Shape(), v.defined(), k.dtype(), {}};
    if (v.defined()) kept.v = row_of(v);
    const auto group = std::ranges::find_if(groups, [&](const CacheGroup& g) {
      return g.kind == layer.kind && g.reach == layer.reach && g.sinks == layer.sinks;
    });
    if (group == groups.end())
      groups.push_back({layer.kind, layer.reach, layer.sinks, {kept}});
    else
      group->layers.push_back(kept);
  }
  ops::KeyValues view(const CacheLayer&, const Rows&) const override { return last_; }

  std::vector<CacheGroup> groups;

 private:
  ops::KeyValues last_;
};

// What the head reads of one token, computed through `cache`.
Tensor state_of_one(const Transformer& model, AttentionCache& cache,
                    const std::optional<Streaming>& streaming = {}) {
  ModelPass pass(model, {.cache = &cache, .streaming = streaming});
  const Body body = model.config().body_traits();
  ModelInputs inputs{.rows = Rows::of(IdRows{{0}})};
  if (body.encoder) inputs.text = Rows::of(IdRows{{0}});
  if (body.prefix) inputs.rows.prefix = Tensor::of<int32_t>(std::vector<int32_t>{1}, {1});
  return pass.hidden(inputs).value;
}

}  // namespace

int64_t CachedRows::bytes() const {
  const int64_t values = k.numel() + (has_v ? v.numel() : 0);
  const int64_t scales = has_scales() ? k[0] + v[0] : 0;
  return values * static_cast<int64_t>(size_of(kept())) +
         scales * static_cast<int64_t>(sizeof(float));
}

std::vector<CacheGroup> kept_as(std::vector<CacheGroup> groups, DType precision) {
  bool any = false;
  for (CacheGroup& group : groups)
    for (CachedRows& layer : group.layers) {
      if (!layer.are_keys_and_values()) continue;
      any = true;
      require(size_of(precision) <= size_of(layer.dtype), ErrorKind::kConfig, kPrecision,
              "{}, but keys and values are computed in {} and have no more digits than that; take "
              "a smaller type, or the arithmetic with --precision {}",
              precision_name(precision), precision_name(layer.dtype), precision_name(precision));
      if (precision != layer.dtype) layer.kept_as = precision;
    }
  require(any, ErrorKind::kConfig, kPrecision,
          "{}, but no layer of this model keeps keys and values: what it keeps (latent vectors, "
          "inputs of convolutions) stays in the type of the arithmetic; leave the option out",
          precision_name(precision));
  return groups;
}

int64_t CacheGroup::bytes_per_token() const {
  int64_t bytes = 0;
  for (const CachedRows& layer : layers) bytes += layer.bytes();
  return bytes;
}

std::string CacheGroup::types() const {
  std::vector<std::string> names;
  for (const CachedRows& layer : layers) {
    const DTypeNames& type = dtype_names(layer.kept());
    const std::string name(type.precision.empty() ? type.name : type.precision);
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return join(names, " and ");
}

std::vector<CacheGroup> cache_groups(const Transformer& model,
                                     const std::optional<Streaming>& streaming) {
  NotingCache cache;
  state_of_one(model, cache, streaming);
  return std::move(cache.groups);
}

CacheGroup state_group(const Transformer& model) {
  NotingCache unused;
  CachedRows row;
  row.layer.kind = CacheLayer::Kind::kState;
  row.k = Shape{state_of_one(model, unused).size(1)};
  return {.kind = row.layer.kind, .layers = {row}};
}

std::vector<CacheGroup> mtp_cache_groups(const Transformer& model, int64_t depth) {
  const ModelInputs inputs{.rows = Rows::of(IdRows{{0}})};
  NotingCache others, cache;
  const Var hidden = ModelPass(model, {.cache = &others}).hidden(inputs);
  const Pass pass{.cache = &cache};
  model.mtp_hidden({&pass, &inputs.rows, Rng(0)}, depth, hidden, inputs.rows.ids);
  return std::move(cache.groups);
}

}  // namespace lathe
