// Attention in every combination of mask, bias and head sharing, through the kernel harness.
#include "kernels/attention_options.h"
#include "kernels/emulated.h"
#include "kernels/every_table.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

constexpr size_t kTables = 5;

// The operands of a case, in this order: tables in that of AttentionTables, then their gradients.
enum : size_t {
  kQ,
  kK,
  kV,
  kQuerySegments,
  kKeySegments,
  kPrefix,
  kFirst,
  kFirstKey,
  kBlocks,
  kKeyScales,
  kValueScales,
  kSinkQuery,
  kFirstTable,
  kOut = kFirstTable + kTables,
  kLse,
  kDout,
  kDq,
  kDk,
  kDv,
  kFirstGradient,
};

Spec indices(const Shape& shape, const std::vector<int32_t>& values) {
  return {.shape = shape, .kind = Kind::kIndex, .fill = [values](int64_t i, double) {
            return static_cast<double>(values[static_cast<size_t>(i)]);
          }};
}

// `keys`: the type in which keys and values are kept, kActivation for that of the queries.
std::vector<Spec> operands_of(const AttentionSizes& z, const AttentionOptions& o, Kind kind) {
  const AttentionLayout layout(z);
  const Shape q{z.queries(), z.heads, z.depth}, out{z.queries(), z.heads, z.value_depth};
  const Shape k{layout.key_rows(), z.kv_heads, z.depth},
      v{layout.key_rows(), z.kv_heads, z.value_depth};
  // Rows that are nobody's keys are NaN, so that reading one shows.
  const auto of_keys = [&](const Shape& shape, Kind of, auto&& value) {
    const int64_t row = shape.numel() / std::max<int64_t>(1, shape[0]);
    return Spec{.shape = shape,
                .kind = of,
                .fill = [is_key = layout.is_key, row, value](int64_t i, double normal) {
                  return is_key[static_cast<size_t>(i / row)] ? value(normal) : std::nan("");
                }};
  };
  // Integers cannot be NaN; their scales are.
  const bool int8 = kind == Kind::kInt8;
  const auto keys = [&](const Shape& shape) {
    if (!int8) return of_keys(shape, kind, [](double normal) { return normal; });
    return Spec{.shape = shape, .kind = kind, .fill = [](int64_t, double normal) {
                  return std::clamp(std::round(50 * normal), -127.0, 127.0);
                }};
  };
  const auto scales = [&](const Shape& shape) {
    return of_keys(int8 ? shape : Shape{0, 1}, Kind::kFloat,
                   [](double normal) { return 0.02 * std::abs(normal); });
  };
  const Role to = Role::kOut;
  std::vector<Spec> operands = {{q},
                                keys(k),
                                keys(v),
                                indices({z.queries()}, query_segments(z)),
                                indices({z.keys()}, key_segments(z)),
                                indices({z.batch()}, prefix_lengths(z)),
                                indices({z.batch() + 1}, layout.first),
                                indices({z.batch() + 1}, layout.first_key),
                                indices({z.batch(), layout.blocks_each()}, layout.blocks),
                                scales({layout.key_rows(), z.kv_heads}),
                                scales({layout.key_rows(), z.kv_heads}),
                                {q}};
  const auto add_tables = [&](Role role) {
    table_shapes(o, z).for_each([&](const std::optional<Shape>& shape) {
      operands.push_back({shape.value_or(Shape{1}), role, Kind::kFloat});
    });
  };
  add_tables(Role::kIn);
  operands.insert(operands.end(), {{out, to},
                                   {{z.heads, z.queries()}, to, Kind::kFloat, true},
                                   {out},
                                   {q, to},
                                   {k, to},
                                   {v, to}});
  add_tables(to);
  return operands;
}

// Those of the operands from `first` on that are given.
AttentionTables<TensorView> tables_from(size_t first, const AttentionSizes& z,
                                        const AttentionOptions& o, const Views& v) {
  return table_shapes(o, z).map([&](const std::optional<Shape>& shape) {
    const TensorView& table = v[first++];
    return shape ? table : TensorView{};
  });
}

AttentionSpec spec_of(const AttentionSizes& z, const AttentionOptions& o, const Views& v) {
  AttentionSpec spec = o.spec;
  spec.rows = {v[kFirst], v[kFirstKey], v[kBlocks], AttentionLayout(z).block_size};
  if (o.segments) spec.query_segments = v[kQuerySegments], spec.key_segments = v[kKeySegments];
  if (o.prefix) spec.prefix = v[kPrefix];
  if (v[kK].dtype == DType::kI8)
    spec.key_scales = v[kKeyScales], spec.value_scales = v[kValueScales];
  if (o.sink_query) spec.sink_query = v[kSinkQuery];
  spec.tables = tables_from(kFirstTable, z, o, v);
  return spec;
}

Kernels::AttentionGradients gradients_of(const AttentionSizes& z, const AttentionOptions& o,
                                         const Views& v) {
  Kernels::AttentionGradients gradients{v[kDq], v[kDk], v[kDv],
                                        tables_from(kFirstGradient, z, o, v)};
  gradients.tables.key_bias = {};
  return gradients;
}

Case forward_of(const std::string& name, const AttentionSizes& z, const AttentionOptions& o,
                Kind keys = Kind::kActivation) {
  return {name + "_forward", operands_of(z, o, keys), [z, o](const Kernels& k, const Views& v) {
            k.attention(v[kQ], v[kK], v[kV], v[kOut], v[kLse], spec_of(z, o, v));
          }};
}

std::vector<Case> cases_of(const std::string& name, const AttentionSizes& z,
                           const AttentionOptions& o) {
  const Case forward = forward_of(name, z, o);
  if (o.sink_query) return {forward};  // it has no gradient
  const Case backward{name + "_backward",
                      forward.operands,
                      [z, o](const Kernels& k, const Views& v) {
                        const AttentionSpec spec = spec_of(z, o, v);
                        k.attention(v[kQ], v[kK], v[kV], v[kOut], v[kLse], spec);
                        k.attention_backward(v[kQ], v[kK], v[kV], v[kOut], v[kLse], v[kDout], spec,
                                             gradients_of(z, o, v));
                      },
                      1e-5,
                      2e-2,
                      1.0};
  return {forward, backward};
}

const AttentionSizes kSizes[] = {
    AttentionSizes::equal(1, 1, 1, 1, 1, 1, 1),     AttentionSizes::equal(2, 9, 9, 4, 2, 16, 16),
    AttentionSizes::equal(1, 70, 70, 2, 1, 24, 24), AttentionSizes::equal(2, 1, 33, 4, 4, 8, 8),
    AttentionSizes::equal(1, 3, 40, 6, 2, 20, 12),  AttentionSizes::equal(1, 66, 131, 1, 1, 36, 20),
    AttentionSizes::equal(1, 70, 40, 2, 2, 12, 20), AttentionSizes::equal(2, 12, 5, 3, 1, 7, 9),
    AttentionSizes::equal(1, 0, 4, 1, 1, 8, 8),
};

// Each option alone.
std::vector<Case> single_cases() {
  struct Named {
    const char* name;
    AttentionOptions options;
  };
  using Pattern = BlockPattern::Kind;
  const uint64_t key = Rng(4).fork("weights").key();
  const AttentionSpec plain{.scale = 0.3f};
  const auto with = [&](auto&& change) {
    AttentionOptions o{.spec = plain};
    change(o);
    return o;
  };
  const Named all[] = {
      {"causal", {.spec = plain}},
      {"full", {.spec = {.scale = 0.3f, .causal = false}}},
      {"window1", {.spec = {.scale = 0.3f, .window = 1}}},
      {"window5_full", {.spec = {.scale = 0.3f, .causal = false, .window = 5}}},
      {"window_sinks", {.spec = {.scale = 0.3f, .window = 5, .sink_tokens = 2}}},
      {"streamed", {.spec = {.scale = 0.3f, .window = 5, .sink_tokens = 2}, .sink_query = true}},
      {"streamed_far", with([](AttentionOptions& o) {
         o.spec.window = 3, o.spec.sink_tokens = 70, o.sink_query = true;
         o.distances = 150, o.spec.distance_offset = 149;
       })},
      {"strided",
       {.spec = {.scale = 0.3f, .pattern = {.kind = Pattern::kStrided, .block = 16, .stride = 3}}}},
      {"fixed",
       {.spec = {.scale = 0.3f,
                 .pattern = {.kind = Pattern::kFixed, .block = 1, .stride = 7, .summary = 2}}}},
      {"softcap", {.spec = {.scale = 1.0f, .softcap = 2.0f}}},
      {"dropout", {.spec = {.scale = 0.3f, .dropout = 0.25f, .dropout_key = key}}},
      {"segments", {.spec = plain, .segments = true}},
      {"prefix", {.spec = plain, .prefix = true}},
      {"distance", with([](AttentionOptions& o) { o.distances = 11, o.spec.distance_offset = 8; })},
      {"key_bias", with([](AttentionOptions& o) { o.key_biases = 200; })},
      {"sink_logits", with([](AttentionOptions& o) { o.sink_logits = true; })},
      {"shaw", with([](AttentionOptions& o) { o.shaw_keys = 9, o.shaw_values = 9; })},
  };
  std::vector<Case> cases;
  for (const size_t size : {0, 1, 4, 5, 6, 8})
    for (const Named& n : all) {
      const AttentionSizes& z = kSizes[size];
      const std::string name = fmt::format("{}_{}", n.name, name_of(z));
      for (Case& c : cases_of(name, z, n.options)) cases.push_back(std::move(c));
    }
  return cases;
}
LATHE_KERNEL_SUITE(AttentionKernel, single_cases());

// Options at random, together.
std::vector<Case> random_cases() {
  std::vector<Case> cases;
  for (uint64_t i = 0; i < 84; ++i) {
    const AttentionSizes& z = kSizes[1 + i % 7];
    const AttentionOptions o = random_options(Draw(i), z);
    for (Case& c : cases_of(fmt::format("{:03}_{}", i, name_of(o, z)), z, o))
      cases.push_back(std::move(c));
  }
  return cases;
}
LATHE_KERNEL_SUITE(AttentionCombination, random_cases());

// The same over sequences of any length, with packed and with paged keys.
std::vector<Case> ragged_cases() {
  std::vector<Case> cases;
  for (uint64_t i = 0; i < 96; ++i) {
    const Draw draw(3000 + i);
    const AttentionSizes z = random_sizes(draw);
    const AttentionOptions o = random_options(draw, z);
    for (Case& c : cases_of(fmt::format("{:03}_{}", i, name_of(o, z)), z, o))
      cases.push_back(std::move(c));
  }
  return cases;
}
LATHE_KERNEL_SUITE(AttentionOfSequences, ragged_cases());

// Keys and values as a cache keeps them in a smaller type, under all of these options.
std::vector<Case> kept_cases() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, const AttentionSizes& z,
                       const AttentionOptions& o) {
    cases.push_back(forward_of("int8_" + name, z, o, Kind::kInt8));
    cases.push_back(forward_of("bf16_" + name, z, o, Kind::kBF16));
  };
  for (uint64_t i = 0; i < 84; ++i) {
    const AttentionSizes& z = kSizes[i % std::size(kSizes)];
    const AttentionOptions o = random_options(Draw(20000 + i), z);
    add(fmt::format("{:03}_{}", i, name_of(o, z)), z, o);
  }
  for (uint64_t i = 0; i < 96; ++i) {
    const Draw draw(21000 + i);
    const AttentionSizes z = random_sizes(draw);
    const AttentionOptions o = random_options(draw, z);
    add(fmt::format("ragged_{:03}_{}", i, name_of(o, z)), z, o);
  }
  for (const int64_t queries : {1, 63, 65, 130})
    add(fmt::format("wide_{}", queries), AttentionSizes::equal(1, queries, 130, 6, 2, 64, 80),
        {.spec = {.scale = 0.1f}});
  return cases;
}
LATHE_KERNEL_SUITE(AttentionOfKeptKeys, kept_cases());

std::vector<Case> pair_cases() {
  std::vector<Case> cases = single_cases();
  for (Case& c : kept_cases()) cases.push_back(std::move(c));
  for (Case& c : random_cases()) cases.push_back(std::move(c));
  for (Case& c : ragged_cases()) cases.push_back(std::move(c));
  for (Case& c : cases_of("wide_causal", AttentionSizes::equal(1, 130, 130, 2, 1, 64, 80),
                          {.spec = {.scale = 0.1f}}))
    cases.push_back(std::move(c));
  return cases;
}
class AttentionPairs : public ::testing::TestWithParam<Case> {};
TEST_P(AttentionPairs, AgreeWithTheReference) {
  for (const Kernels* k : {&pair_kernels(), &tile_kernels()}) check_bf16(GetParam(), *k);
}
INSTANTIATE_TEST_SUITE_P(, AttentionPairs, ::testing::ValuesIn(pair_cases()), case_name);

// A query that decodes sees what its row of the whole forward saw.
TEST(AttentionDecoding, EqualsTheRowsOfTheWhole) {
  constexpr int64_t kAll = 90, kHeads = 4, kDepth = 24;
  const auto z = AttentionSizes::equal(1, kAll, kAll, kHeads, 2, kDepth, kDepth);
  const Tensor q = random_tensor({kAll, kHeads, kDepth}, "q"),
               k = random_tensor({kAll, 2, kDepth}, "k"), v = random_tensor({kAll, 2, kDepth}, "v"),
               whole(q.shape(), DType::kF32);
  for (uint64_t i = 0; i < 60; ++i) {
    AttentionOptions o = random_options(Draw(1000 + i), z);
    SCOPED_TRACE(name_of(o, z));
    AttentionSpec& spec = o.spec;
    spec.causal = true;  // a later key must not have been seen
    spec.dropout = 0;
    const std::vector<int32_t> lengths{30};
    std::vector<int32_t> ids;
    for (int64_t s = 0; s < kAll; ++s) ids.push_back(static_cast<int32_t>(s / 40));
    const Tensor prefix = Tensor::of<int32_t>(lengths, {1}),
                 segments = Tensor::of<int32_t>(ids, {kAll});
    const auto table = [](bool on, const Shape& shape, std::string_view name) {
      return on ? random_tensor(shape, name) : Tensor();
    };
    const AttentionTables<Tensor> tables{
        .distance_bias = table(o.distances > 0, {kHeads, o.distances}, "distances"),
        .key_bias = table(o.key_biases > 0, {kHeads, kAll}, "bias"),
        .sink_logits = table(o.sink_logits, {kHeads}, "sinks"),
        .shaw_keys = table(o.shaw_keys > 0, {o.shaw_keys, kDepth}, "rk"),
        .shaw_values = table(o.shaw_values > 0, {o.shaw_values, kDepth}, "rv")};
    if (o.prefix) spec.prefix = prefix;
    spec.tables = tables.map([](const Tensor& t) { return t.view(); });
    if (o.segments) spec.query_segments = spec.key_segments = segments;
    const AttentionLayout all(z);
    spec.rows = all.view();
    cpu_kernels().attention(q, k, v, whole, TensorView{}, spec);
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{30, 1}, {63, 1}, {64, 3}, {81, 9}, {89, 1}}) {
      AttentionSpec part = spec;
      if (o.segments) part.query_segments = segments.narrow(0, first, count);
      const int64_t seen = first + count;
      const AttentionLayout some(AttentionSizes::equal(1, count, seen, kHeads, 2, kDepth, kDepth));
      part.rows = some.view();
      const Tensor out({count, kHeads, kDepth}, DType::kF32);
      cpu_kernels().attention(q.narrow(0, first, count), k, v, out, TensorView{}, part);
      const auto got = out.to_vector(), want = whole.narrow(0, first, count).to_vector();
      for (size_t j = 0; j < got.size(); ++j)
        ASSERT_NEAR(got[j], want[j], 1e-5) << first << " " << j;
    }
  }
}

// Twice the length takes twice the memory, not four times.
TEST(AttentionMemory, GrowsWithTheLength) {
  const MachineState restore;
  set_thread_count(2);
  const auto peak = [](int64_t length) {
    const Shape shape{length, 2, 16};
    const AttentionLayout layout(AttentionSizes::equal(1, length, length, 2, 2, 16, 16));
    const Tensor x = random_tensor(shape, "x"), table = random_tensor({2, 257}, "table"),
                 shaw = random_tensor({17, 16}, "shaw"), sinks = random_tensor({2}, "sinks"),
                 out(shape, DType::kF32), lse({2, length}, DType::kF32), dq(shape, DType::kF32),
                 dk(shape, DType::kF32), dv(shape, DType::kF32), dtable(table.shape(), DType::kF32),
                 dsinks(sinks.shape(), DType::kF32), dkeys(shaw.shape(), DType::kF32),
                 dvalues(shaw.shape(), DType::kF32);
    AttentionSpec spec{.scale = 0.25f, .softcap = 20.0f, .dropout = 0.1f};
    spec.tables = {
        .distance_bias = table, .sink_logits = sinks, .shaw_keys = shaw, .shaw_values = shaw};
    spec.distance_offset = 128;
    spec.rows = layout.view();
    host_allocator().reset_peak();
    cpu_kernels().attention(x, x, x, out, lse, spec);
    cpu_kernels().attention_backward(x, x, x, out, lse, x, spec,
                                     {dq,
                                      dk,
                                      dv,
                                      {.distance_bias = dtable,
                                       .sink_logits = dsinks,
                                       .shaw_keys = dkeys,
                                       .shaw_values = dvalues}});
    return static_cast<double>(host_allocator().peak_bytes());
  };
  const double once = peak(512);
  EXPECT_LT(peak(1024), 2.2 * once);
}

}  // namespace
}  // namespace lathe::kernels::testing
