#include "lathe/infer/paged_cache.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/infer/cache_plan.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

// As cached_logits(), through blocks of this size.
Tensor paged_logits(const Transformer& model, const Tensor& ids, const std::vector<int64_t>& pieces,
                    int64_t block_size) {
  const int64_t batch = ids.size(0), tokens = ids.size(1);
  auto groups = cache_groups(model);
  const std::vector<int64_t> blocks(groups.size(), batch * (tokens / block_size + 1));
  PagedCache cache(std::move(groups), {.block_size = block_size, .blocks = blocks});
  std::vector<PagedCache::Id> sequences;
  for (int64_t b = 0; b < batch; ++b) sequences.push_back(cache.open());
  ModelPass pass(model, {.cache = &cache});
  const ModelInputs whole = inputs_for(model, ids);
  Tensor all;
  int64_t at = 0;
  for (const int64_t length : pieces) {
    ModelInputs inputs{.rows = Rows::of(columns_of(ids, at, length))};
    inputs.rows.context.assign(static_cast<size_t>(batch), at);
    inputs.rows.prefix = whole.rows.prefix;
    if (const Tensor& types = whole.rows.token_types; types.defined())
      inputs.rows.token_types = flat(columns_of(types.reshape({batch, tokens}), at, length));
    if (at == 0) inputs.text = whole.text;
    for (int64_t b = 0; b < batch; ++b)
      EXPECT_TRUE(cache.reserve(sequences[static_cast<size_t>(b)], length,
                                inputs.text ? inputs.text->sequences.length(b) : 0));
    cache.begin_pass(sequences);
    const Tensor logits = pass.logits(pass.hidden(inputs)).value;
    cache.end_pass(inputs.rows);
    if (!all.defined()) all = Tensor({batch, tokens, logits.size(1)}, logits.dtype());
    all.narrow(1, at, length).copy_from(logits.reshape({batch, length, logits.size(1)}));
    at += length;
  }
  for (const PagedCache::Id id : sequences) cache.close(id);
  for (size_t g = 0; g < cache.groups(); ++g) EXPECT_EQ(cache.pool(g).held(), 0);
  return all;
}

class EveryModel : public ::testing::TestWithParam<Variant> {};

TEST_P(EveryModel, PagedIsContiguous) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const auto model = make_model(GetParam().config, dtype, Device::kCpu);
    if (!model->config().body_traits().causal) return;
    const Tensor ids = some_ids(2, 9);
    for (const std::vector<int64_t>& pieces :
         {std::vector<int64_t>{9}, {4, 1, 3, 1}, {5, 1, 1, 1, 1}})
      for (const int64_t block : {1, 3, 16})
        ASSERT_EQ(paged_logits(*model, ids, pieces, block).to_vector(),
                  cached_logits(*model, ids, pieces).to_vector())
            << pieces.size() << " pieces, blocks of " << block;
  }
}

INSTANTIATE_TEST_SUITE_P(PagedCache, EveryModel, ::testing::ValuesIn(covering_variants(2)),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return std::to_string(each.index) + "_" + name.substr(0, 80);
                         });

// One sequence at a time through a cache of `blocks` blocks of four tokens.
class Texts {
 public:
  explicit Texts(const Transformer& model, int64_t blocks,
                 std::optional<DType> cache_precision = {})
      : model_(model),
        cache_(
            groups_of(model, {.cache_precision = cache_precision}),
            {.block_size = 4, .blocks = std::vector<int64_t>(cache_groups(model).size(), blocks)}) {
  }

  // The last logits after `more` tokens; empty if there is no room.
  std::vector<double> append(PagedCache::Id id, const std::vector<int32_t>& more) {
    if (!cache_.reserve(id, std::ssize(more))) return {};
    ModelInputs inputs{.rows = Rows::of(IdRows{more})};
    inputs.rows.context = {cache_.length(id)};
    cache_.begin_pass({id});
    ModelPass pass(model_, {.cache = &cache_});
    const Tensor logits = pass.logits(pass.hidden(inputs)).value;
    cache_.end_pass(inputs.rows);
    return logits.narrow(0, logits.size(0) - 1, 1).clone().to_vector();
  }
  std::vector<double> fresh(const std::vector<int32_t>& text) {
    const PagedCache::Id id = cache_.open();
    const auto logits = append(id, text);
    cache_.close(id);
    return logits;
  }
  PagedCache& cache() { return cache_; }

 private:
  const Transformer& model_;
  PagedCache cache_;
};

// A step that fails between its forks and their sequences leaves nothing behind.
TEST(PagedCache, AForkThatNobodyTakesIsClosed) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Texts texts(*model, 8);
  PagedCache& cache = texts.cache();
  const PagedCache::Id one = cache.open();
  texts.append(one, {1, 2, 3, 4, 5, 6});
  PagedCache::Id taken = 0;
  try {
    std::vector<PagedCache::Fork> forks;
    forks.emplace_back(cache, one);
    forks.emplace_back(cache, one);  // moves the first
    taken = forks[0].take();
    EXPECT_EQ(cache.sequences(), 3);
    throw std::runtime_error("in the middle");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(cache.sequences(), 2);
  cache.close(one);
  EXPECT_EQ(cache.pool(0).held(), 2);
  cache.close(taken);
  EXPECT_EQ(cache.pool(0).held(), 0);
}

void expect_samples_to_part(std::optional<DType> cache_precision) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Texts texts(*model, 8, cache_precision);
  const PagedCache::Id one = texts.cache().open();
  texts.append(one, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(texts.cache().pool(0).held(), 2);
  const PagedCache::Id two = texts.cache().fork(one), three = texts.cache().fork(one);
  EXPECT_EQ(texts.cache().pool(0).held(), 2);
  const auto a = texts.append(two, {7});
  EXPECT_EQ(texts.cache().pool(0).held(), 3);  // the half-full block was copied
  const auto b = texts.append(three, {8}), c = texts.append(one, {9});
  EXPECT_EQ(texts.cache().pool(0).held(), 4);  // the last holder writes in place
  const auto blocks = [&](PagedCache::Id id) { return texts.cache().table(id, 0); };
  EXPECT_EQ(blocks(one), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(blocks(two), (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(blocks(three), (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(a, texts.fresh({1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(b, texts.fresh({1, 2, 3, 4, 5, 6, 8}));
  EXPECT_EQ(c, texts.fresh({1, 2, 3, 4, 5, 6, 9}));
  for (const auto id : {one, two, three}) texts.cache().close(id);
  EXPECT_EQ(texts.cache().pool(0).held(), 0);
}

TEST(PagedCache, SamplesShareBlocksUntilTheyPart) {
  expect_samples_to_part({});
  expect_samples_to_part(DType::kI8);
}

TEST(PagedCache, FindsPrefixesUntilTheirBlocksAreNeeded) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Texts texts(*model, 4);
  PagedCache& cache = texts.cache();
  const std::vector<int32_t> text = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const PagedCache::Id one = cache.open();
  const auto want = texts.append(one, text);
  cache.publish(one, text);
  cache.close(one);
  EXPECT_EQ(cache.pool(0).kept(), 2);
  const PagedCache::Id two = cache.open();
  EXPECT_EQ(cache.adopt(two, text, 7), 7);  // no more than is wanted
  texts.append(two, {8});
  EXPECT_EQ(texts.append(two, {9, 10}), want);
  cache.close(two);
  const PagedCache::Id three = cache.open();
  EXPECT_EQ(cache.adopt(three, text, 9), 8);
  EXPECT_EQ(texts.append(three, {9, 10}), want);
  cache.close(three);
  // Three blocks for somebody else leave the beginning, which is of more use than the end.
  EXPECT_FALSE(texts.fresh(std::vector<int32_t>(12, 3)).empty());
  const PagedCache::Id four = cache.open();
  EXPECT_EQ(cache.adopt(four, text, 9), 4);
  cache.close(four);
}

TEST(PagedCache, SaysWhenThereIsNoRoom) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Texts texts(*model, 3);
  PagedCache& cache = texts.cache();
  EXPECT_TRUE(cache.fits({.length = 12, .most = 12}));
  EXPECT_FALSE(cache.fits({.length = 13, .most = 13}));
  const PagedCache::Id one = cache.open(), two = cache.open();
  EXPECT_FALSE(texts.append(one, {1, 2, 3, 4, 5}).empty());
  EXPECT_TRUE(texts.append(two, {1, 2, 3, 4, 5}).empty());
  EXPECT_TRUE(cache.reserve(one, 3));
  cache.close(two);
  EXPECT_TRUE(cache.reserve(one, 7));
  cache.close(one);
}

// A layer with a window gives back what it leaves, in whole tiles of keys; others keep all.
TEST(PagedCache, WindowsGiveBackWhatTheyLeave) {
  ModelConfig c = tiny_config();
  c.sliding_window = 10;
  c.layer_types = {"sliding_attention", "full_attention"};
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  Texts texts(*model, 100);
  PagedCache& cache = texts.cache();
  ASSERT_EQ(cache.groups(), 2u);
  EXPECT_EQ(cache.group(0).reach, 9);
  const PagedCache::Id id = cache.open();
  texts.append(id, std::vector<int32_t>(200, 5));
  EXPECT_TRUE(cache.reserve(id, 1));
  EXPECT_EQ(cache.pool(0).held(), 51 - 128 / 4);  // of 201 tokens those from 128 on
  EXPECT_EQ(cache.pool(1).held(), 51);
  EXPECT_EQ(cache.table(id, 0)[31], PrefixIndex::kAbsent);
  EXPECT_NE(cache.table(id, 0)[32], PrefixIndex::kAbsent);
  cache.close(id);
  EXPECT_EQ(cache.pool(0).held() + cache.pool(1).held(), 0);
}

TEST(PagedCache, RefusesRowsThatDoNotGoOnFromWhatItHolds) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Texts texts(*model, 4);
  PagedCache& cache = texts.cache();
  const PagedCache::Id id = cache.open();
  const auto error_of = [&](const IdRows& ids, int64_t context) {
    return error_text([&] {
      Rows rows = Rows::of(ids);
      rows.context.assign(ids.size(), context);
      const Pass pass{.cache = &cache};
      cache.begin_pass({id});
      model->hidden({&pass, &rows});
    });
  };
  EXPECT_EQ(error_of({{1, 2}}, 1), "[cache] sequence 0 continues 1 tokens, but the cache holds 0");
  EXPECT_EQ(error_of({{1}, {2}}, 0), "[cache] 2 sequences, expected the 1 of the pass");
  EXPECT_EQ(error_of({{1, 2}}, 0),
            "[cache] 2 tokens of sequence 0, but there is room for 0; reserve it");
  PagedCache other({}, {.block_size = 4, .blocks = {}});
  EXPECT_NE(error_text([&] {
              Rows rows = Rows::of(IdRows{{1}});
              const Pass pass{.cache = &other};
              other.begin_pass({other.open()});
              model->hidden({&pass, &rows});
            }).find("layer 0 was not planned"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
