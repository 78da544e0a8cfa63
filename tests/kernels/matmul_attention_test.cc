#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

TensorView transposed(TensorView t) {
  std::swap(t.shape[0], t.shape[1]);
  std::swap(t.stride[0], t.stride[1]);
  return t;
}

std::vector<Case> matmul_cases() {
  struct Sizes {
    int64_t m, n, k;
  };
  std::vector<Case> all;
  for (const Sizes z : {Sizes{1, 1, 1},
                        {1, 65, 130},
                        {3, 5, 7},
                        {0, 4, 4},
                        {4, 0, 3},
                        {4, 3, 0},
                        {33, 17, 64},
                        {70, 48, 1}})
    for (int layout = 0; layout < 4; ++layout)
      for (bool accumulate : {false, true})
        for (bool wide : {false, true}) {
          const bool ta = layout & 1, tb = layout & 2;
          const Kind kind = wide ? Kind::kFloat : Kind::kActivation;
          const Spec a{ta ? Shape{z.k, z.m} : Shape{z.m, z.k}};
          const Spec b{tb ? Shape{z.n, z.k} : Shape{z.k, z.n}};
          const Spec bias{{z.n}};
          const Spec c{{z.m, z.n}, accumulate ? Role::kInOut : Role::kOut, kind};
          const bool with_bias = wide != ta;
          all.push_back({fmt::format("{}x{}x{}_{}{}{}{}", z.m, z.n, z.k, ta ? "t" : "n",
                                     tb ? "t" : "n", accumulate ? "_add" : "", wide ? "_f32" : ""),
                         {a, b, bias, c},
                         [=](const Kernels& k, const Views& v) {
                           k.matmul(ta ? transposed(v[0]) : v[0], tb ? transposed(v[1]) : v[1],
                                    with_bias ? v[2] : TensorView{}, v[3],
                                    accumulate ? Write::kAccumulate : Write::kOverwrite);
                         }});
        }
  return all;
}
LATHE_KERNEL_SUITE(MatmulKernel, matmul_cases());

struct AttentionSizes {
  int64_t batch, queries, keys, heads, kv_heads, depth;
};

struct AttentionVariant {
  const char* name;
  AttentionSpec spec;
  bool segments = false;
};

std::vector<AttentionVariant> attention_variants() {
  const uint64_t key = Rng(4).fork("attention").key();
  return {
      {"causal", {.scale = 0.3f}},
      {"full", {.scale = 0.3f, .causal = false}},
      {"window1", {.scale = 0.3f, .window = 1}},
      {"window5", {.scale = 0.3f, .window = 5}},
      {"window5_full", {.scale = 0.3f, .causal = false, .window = 5}},
      {"softcap", {.scale = 1.0f, .softcap = 2.0f}},
      {"dropout", {.scale = 0.3f, .dropout = 0.25f, .dropout_key = key}},
      {"segments", {.scale = 0.3f}, true},
      {"segments_full", {.scale = 0.3f, .causal = false}, true},
      {"everything",
       {.scale = 0.5f, .window = 7, .softcap = 3.0f, .dropout = 0.1f, .dropout_key = key},
       true},
  };
}

std::vector<Case> attention_cases() {
  std::vector<Case> all;
  for (const AttentionSizes z : {AttentionSizes{1, 1, 1, 1, 1, 1},
                                 {2, 9, 9, 4, 2, 16},
                                 {1, 70, 70, 2, 1, 24},
                                 {2, 1, 33, 4, 4, 8},
                                 {1, 3, 40, 6, 2, 20},
                                 {1, 66, 131, 1, 1, 64},
                                 {1, 0, 4, 1, 1, 8}})
    for (const AttentionVariant& variant : attention_variants()) {
      const auto name = [&](const char* kernel) {
        return fmt::format("{}_{}_{}x{}x{}x{}x{}x{}", kernel, variant.name, z.batch, z.queries,
                           z.keys, z.heads, z.kv_heads, z.depth);
      };
      const Shape q{z.batch, z.queries, z.heads, z.depth};
      const Shape kv{z.batch, z.keys, z.kv_heads, z.depth};
      const Spec lse{{z.batch, z.heads, z.queries}, Role::kOut, Kind::kFloat, true};
      // Query segment 9 has no keys: such a query sees nothing.
      const Spec query_segments{
          .shape = {z.batch, z.queries}, .kind = Kind::kIndex, .fill = [z](int64_t i, double) {
            const int64_t t = i % z.queries;
            return t % 5 == 4 ? 9.0 : (z.keys - z.queries + t) / 6;
          }};
      const Spec key_segments{.shape = {z.batch, z.keys},
                              .kind = Kind::kIndex,
                              .fill = [z](int64_t i, double) { return i % z.keys / 6; }};
      const auto spec_of = [variant](const Views& v) {
        AttentionSpec spec = variant.spec;
        if (variant.segments) {
          spec.query_segments = v[3];
          spec.key_segments = v[4];
        }
        return spec;
      };
      const std::vector<Spec> operands{{q},          {kv},           {kv}, query_segments,
                                       key_segments, {q, Role::kOut}};
      std::vector<Spec> forward = operands;
      forward.push_back(lse);
      all.push_back({name("forward"), forward, [=](const Kernels& k, const Views& v) {
                       k.attention(v[0], v[1], v[2], v[5], v[6], spec_of(v));
                     }});
      all.push_back({name("no_lse"), operands, [=](const Kernels& k, const Views& v) {
                       k.attention(v[0], v[1], v[2], v[5], TensorView{}, spec_of(v));
                     }});
      std::vector<Spec> backward = forward;
      for (const Spec& s :
           {Spec{q}, Spec{q, Role::kOut}, Spec{kv, Role::kOut}, Spec{kv, Role::kOut}})
        backward.push_back(s);
      all.push_back({name("backward"), backward,
                     [=](const Kernels& k, const Views& v) {
                       k.attention(v[0], v[1], v[2], v[5], v[6], spec_of(v));
                       k.attention_backward(v[0], v[1], v[2], v[5], v[6], v[7], spec_of(v),
                                            {v[8], v[9], v[10]});
                     },
                     1e-5, 2e-2, 1.0});
    }
  return all;
}
LATHE_KERNEL_SUITE(AttentionKernel, attention_cases());

}  // namespace
}  // namespace lathe::kernels::testing
