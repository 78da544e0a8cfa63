// Fewer key/value heads (Ainslie et al. 2023, arXiv:2305.13245). Query head h reads key/value head
// h / (H/K), so with K' heads left the K/K' neighbours from j·K/K' on serve what the new head j
// serves, and it becomes their mean: weights, biases, and the gains of a norm over all keys at
// once. Where the heads of each run were equal, the model computes what it did before.

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/components.h"
#include "lathe/model/convert/conversion.h"

namespace lathe {
namespace {

// to [K'·D, ..] = the mean of every K/K' neighbouring heads of `from` [K·D, ..].
void pool_heads(const Tensor& from, const Tensor& to, int64_t new_heads) {
  const int64_t group = from.size(0) / to.size(0);
  const int64_t head = to.numel() / new_heads;  // elements
  const float* in = from.data<float>();
  float* out = to.data<float>();
  parallel_for(to.numel(), 1 << 14, [&](int64_t i) {
    const float* first = in + i / head * group * head + i % head;
    double sum = 0;
    for (int64_t g = 0; g < group; ++g) sum += first[g * head];
    out[i] = static_cast<float>(sum / static_cast<double>(group));
  });
}

// Queries, where there are any (three parts), as they are; keys and values averaged.
void pool_parts(const Parameter& old, Parameter& fresh, int64_t new_heads) {
  const bool queries = fresh.parts.size() == 3;
  int64_t old_row = 0, row = 0;
  for (size_t part = 0; part < fresh.parts.size(); ++part) {
    const Tensor from = old.value.tensor().narrow(0, old_row, old.parts[part]);
    const Tensor to = fresh.value.tensor().narrow(0, row, fresh.parts[part]);
    if (part == 0 && queries) {
      to.copy_from(from);
    } else {
      pool_heads(from, to, new_heads);
    }
    old_row += old.parts[part];
    row += fresh.parts[part];
  }
}

class KvHeadsConversion : public Conversion {
 public:
  explicit KvHeadsConversion(int64_t heads) : heads_(heads) {}

  ModelConfig config(const ModelConfig& from) const override {
    require(attention_of(from).traits().keeps_heads, ErrorKind::kConfig, "--kv-heads",
            "the model has {} attention, which keeps no key/value heads that could be averaged",
            from.attention.kind);
    require(from.kv_heads() % heads_ == 0, ErrorKind::kConfig, "--kv-heads",
            "{} key/value heads cannot be averaged to {}; use a divisor of {}", from.kv_heads(),
            heads_, from.kv_heads());
    ModelConfig to = from;
    to.num_key_value_heads = heads_;
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    carry_over(from, to, [&](const Parameter* old, Parameter& fresh) {
      if (old == nullptr || old->shape == fresh.shape) return false;
      const auto belongs_to = [&](std::string_view part) {
        return fresh.name.find(part) != std::string::npos;
      };
      // Names of nn/attention/grouped.cc and cross.cc.
      if (belongs_to(".attention.qkv.") || belongs_to(".cross.key_value.")) {
        pool_parts(*old, fresh, heads_);
      } else if (belongs_to(".attention.key_norm.") || belongs_to(".cross.key_norm.")) {
        pool_heads(old->value.tensor(), fresh.value.tensor(), heads_);
      } else {
        return false;
      }
      return true;
    });
  }

  std::string note(const ModelConfig& from) const override {
    return fmt::format("each new key/value head is the mean of {}; some training restores the loss",
                       from.kv_heads() / heads_);
  }

 private:
  int64_t heads_;
};

}  // namespace

std::unique_ptr<Conversion> make_kv_heads_conversion(const ConversionOptions& options) {
  if (!options.kv_heads) return nullptr;
  return std::make_unique<KvHeadsConversion>(*options.kv_heads);
}

}  // namespace lathe
