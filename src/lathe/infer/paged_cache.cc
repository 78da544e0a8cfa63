#include "lathe/infer/paged_cache.h"

#include <algorithm>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/tensor/int8_rows.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "cache";

int64_t blocks_of(int64_t tokens, int64_t size) { return (tokens + size - 1) / size; }

// `count` rows of x from `from` on to the rows of `store` from `to` on.
void copy_rows(const Tensor& x, int64_t from, int64_t count, const Tensor& store, int64_t to) {
  store.narrow(0, to, count).copy_from(x.narrow(0, from, count));
}

// The same in the type of `store`, to int8 with scales.
void keep_rows(const Tensor& x, int64_t from, int64_t count, const BlockStore& store,
               const BlockStore& scales, int64_t to) {
  if (!scales.defined()) return copy_rows(x, from, count, store.rows(), to);
  quantize_rows(x.narrow(0, from, count), store.rows().narrow(0, to, count),
                scales.rows().narrow(0, to, count));
}

// f(block, first token in it, first token, tokens) for the stretches of [from, to) that lie in one
// block each.
template <class F>
void for_each_stretch(std::span<const int32_t> blocks, int64_t size, int64_t from, int64_t to,
                      F&& f) {
  for (int64_t at = from; at < to;) {
    const int64_t end = std::min(to, (at / size + 1) * size);
    f(blocks[static_cast<size_t>(at / size)], at % size, at, end - at);
    at = end;
  }
}

}  // namespace

PagedCache::PagedCache(std::vector<CacheGroup> groups, const CachePlan& plan)
    : block_size_(plan.block_size), index_(plan.block_size, groups.size()) {
  require(plan.block_size > 0 && plan.blocks.size() == groups.size(), ErrorKind::kShape, kWhere,
          "blocks of {} tokens for {} groups of layers, expected at least 1 and {}",
          plan.block_size, plan.blocks.size(), groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    Group group{std::move(groups[g]), nullptr, {}, {}, {}};
    group.pool = std::make_unique<BlockPool>(plan.blocks[g],
                                             [this, g](int32_t block) { index_.forget(g, block); });
    for (const CachedRows& layer : group.layout.layers) {
      places_[{layer.layer.kind, layer.layer.index}] = {g, group.layers.size()};
      group.layers.push_back(make_layer(layer, plan.blocks[g], plan.commit));
      const Layer& made = group.layers.back();
      group.blocks.try_emplace(made.k.heads());  // filled by begin_pass()
      for (const BlockStore* store : {&made.k, &made.v, &made.k_scales, &made.v_scales})
        if (store->defined()) group.stores.push_back(*store);
    }
    groups_.push_back(std::move(group));
  }
}

PagedCache::Layer PagedCache::make_layer(const CachedRows& rows, int64_t blocks,
                                         bool commit) const {
  const int64_t heads = rows.heads();
  const auto store = [&](const Shape& row, DType dtype) {
    return BlockStore(row, heads, dtype, blocks, block_size_, commit);
  };
  Layer layer{
      .rows = rows, .k = store(rows.k, rows.kept()), .v = {}, .k_scales = {}, .v_scales = {}};
  if (rows.has_v) layer.v = store(rows.v, rows.kept());
  if (!rows.has_scales()) return layer;
  layer.k_scales = store(Shape{rows.k[0]}, DType::kF32);
  layer.v_scales = store(Shape{rows.v[0]}, DType::kF32);
  return layer;
}

size_t PagedCache::bytes() const {
  size_t total = 0;
  for (const Group& group : groups_)
    for (const BlockStore& store : group.stores) total += store.all().bytes();
  return total;
}

PagedCache::Id PagedCache::open(const PrefixIndex::Link& root, bool keeps_states) {
  Sequence fresh;
  fresh.chain = root;
  fresh.keeps_states = keeps_states;
  fresh.tables.resize(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) fresh.tables[g].head = head_of(groups_[g]);
  sequences_.emplace(next_id_, std::move(fresh));
  return next_id_++;
}

std::vector<int32_t> PagedCache::table(Id id, size_t g) const {
  const Table& table = at(id).tables[g];
  std::vector<int32_t> blocks(table.blocks.size(), PrefixIndex::kAbsent);
  table.for_each(
      [&](int64_t i) { blocks[static_cast<size_t>(i)] = table.blocks[static_cast<size_t>(i)]; });
  return blocks;
}

void PagedCache::release(size_t g, int32_t block) {
  groups_[g].pool->release(block, index_.has(g, block));
}

// The last blocks first, so that of a chain the end is evicted before the beginning.
void PagedCache::close(Id id) {
  Sequence& sequence = sequences_.at(id);
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Table& table = sequence.tables[g];
    for (int64_t i = std::ssize(table.blocks) - 1; i >= 0; --i)
      if (table.holds(i)) release(g, table.blocks[static_cast<size_t>(i)]);
  }
  sequences_.erase(id);
}

PagedCache::Id PagedCache::fork(Id id) {
  const Sequence copy = at(id);
  for (size_t g = 0; g < groups_.size(); ++g)
    copy.tables[g].for_each(
        [&](int64_t i) { groups_[g].pool->hold(copy.tables[g].blocks[static_cast<size_t>(i)]); });
  sequences_.emplace(next_id_, copy);
  return next_id_++;
}

int64_t PagedCache::head_of(const Group& group) const {
  return blocks_of(group.layout.kept_first(), block_size_);
}

// Kernels read whole tiles of keys, of which a query may see one key.
int64_t PagedCache::first_needed(const Group& group, int64_t length) const {
  if (group.layout.of_text() || group.layout.reach >= length) return 0;
  return (length - group.layout.reach) / kernels::kKeyTile * kernels::kKeyTile / block_size_;
}

int64_t PagedCache::adopt(Id id, std::span<const int32_t> tokens, int64_t most) {
  Sequence& sequence = sequences_.at(id);
  const auto chain = index_.find(tokens, *sequence.chain);
  const auto holds = [&](size_t g, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (index_.at(chain[static_cast<size_t>(i)])->blocks[g] == PrefixIndex::kAbsent) return false;
    return true;
  };
  auto blocks = std::ssize(chain);
  const auto length = [&] { return std::min(blocks * block_size_, most); };
  const auto all_hold = [&] {
    for (size_t g = 0; g < groups_.size(); ++g)
      if (grows(groups_[g], sequence) && !(holds(g, 0, std::min(blocks, sequence.tables[g].head)) &&
                                           holds(g, first_needed(groups_[g], length()), blocks)))
        return false;
    return true;
  };
  while (blocks > 0 && ((blocks - 1) * block_size_ >= most || !all_hold())) --blocks;
  if (blocks == 0) return 0;
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (!grows(groups_[g], sequence)) continue;
    Table& table = sequence.tables[g];
    table.first = first_needed(groups_[g], length());
    table.blocks.assign(static_cast<size_t>(blocks), PrefixIndex::kAbsent);
    for (int64_t i = 0; i < blocks; ++i) {
      if (!table.holds(i)) continue;
      const int32_t block = index_.at(chain[static_cast<size_t>(i)])->blocks[g];
      groups_[g].pool->hold(block);
      table.blocks[static_cast<size_t>(i)] = block;
    }
  }
  sequence.length = length();
  sequence.published = sequence.length / block_size_;
  if (sequence.published > 0) sequence.chain = chain[static_cast<size_t>(sequence.published - 1)];
  return sequence.length;
}

void PagedCache::publish(Id id, std::span<const int32_t> tokens) {
  Sequence& sequence = sequences_.at(id);
  const int64_t settled = std::min(std::ssize(tokens), sequence.length);
  for (; sequence.chain && (sequence.published + 1) * block_size_ <= settled;
       ++sequence.published) {
    std::vector<int32_t> blocks;
    for (size_t g = 0; g < groups_.size(); ++g) {
      const Table& table = sequence.tables[g];
      const bool has = grows(groups_[g], sequence) && table.holds(sequence.published);
      blocks.push_back(has ? table.blocks[static_cast<size_t>(sequence.published)]
                           : PrefixIndex::kAbsent);
    }
    sequence.chain =
        index_.add(*sequence.chain,
                   tokens.subspan(static_cast<size_t>(sequence.published * block_size_),
                                  static_cast<size_t>(block_size_)),
                   blocks);
  }
}

void PagedCache::truncate(Id id, int64_t length) {
  Sequence& sequence = sequences_.at(id);
  require(length <= sequence.length && length >= sequence.published * block_size_ &&
              length >= sequence.kept_from,
          ErrorKind::kUsage, kWhere,
          "{} tokens of a sequence of {}: {} can be found by others, and {} have been left behind",
          length, sequence.length, sequence.published * block_size_, sequence.kept_from);
  if (length == sequence.length) return;
  sequence.length = length;
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (!grows(groups_[g], sequence)) continue;
    std::vector<int32_t>& blocks = sequence.tables[g].blocks;
    for (; std::ssize(blocks) > blocks_of(length, block_size_); blocks.pop_back())
      release(g, blocks.back());
  }
}

bool PagedCache::own(Group& group, int32_t& block) {
  if (group.pool->holders(block) == 1) return true;
  const auto fresh = group.pool->take();
  if (!fresh) return false;
  for (const BlockStore& store : group.stores) store.copy_block(block, *fresh);
  group.pool->release(block, false);
  block = *fresh;
  return true;
}

// Room for the tokens [from, to), in blocks that nobody else holds.
bool PagedCache::extend(Group& group, Table& table, int64_t from, int64_t to) {
  if (from < to && from % block_size_ != 0 &&
      !own(group, table.blocks[static_cast<size_t>(from / block_size_)]))
    return false;
  while (std::ssize(table.blocks) * block_size_ < to) {
    const auto block = group.pool->take();
    if (!block) return false;
    table.blocks.push_back(*block);
  }
  return true;
}

void PagedCache::release_unneeded(Sequence& sequence) {
  sequence.kept_from = sequence.length;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Table& table = sequence.tables[g];
    for (const int64_t end = first_needed(groups_[g], sequence.length); table.first < end;
         ++table.first)
      if (table.first >= table.head) release(g, table.blocks[static_cast<size_t>(table.first)]);
  }
}

bool PagedCache::reserve(Id id, int64_t count, int64_t text) {
  Sequence& sequence = sequences_.at(id);
  release_unneeded(sequence);
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    bool enough = true;
    if (group.layout.of_text())
      enough = extend(group, sequence.tables[g], 0, text);
    else if (grows(group, sequence))
      enough = extend(group, sequence.tables[g], sequence.length, sequence.length + count);
    if (!enough) return false;
  }
  if (text > 0) sequence.text = text;
  return true;
}

bool PagedCache::fits(const Wanted& wanted) const {
  for (const Group& group : groups_) {
    const CacheGroup& layout = group.layout;
    if (layout.of_states() && !wanted.states) continue;
    int64_t tokens = layout.of_text() ? wanted.text : wanted.length;
    if (!layout.of_text() && layout.reach < tokens)
      tokens = std::min(tokens, layout.reach + layout.kept_first() + kernels::kKeyTile +
                                    wanted.most + 3 * block_size_);
    const int64_t holders = layout.of_text() ? 1 : wanted.sequences;
    if (blocks_of(tokens, block_size_) > group.pool->size() / holders) return false;
  }
  return true;
}

const PagedCache::Layer& PagedCache::layer_of(const CacheLayer& layer) const {
  const auto place = places_.find({layer.kind, layer.index});
  require(place != places_.end() && groups_[place->second.first].layout.reach == layer.reach &&
              groups_[place->second.first].layout.sinks == layer.sinks,
          ErrorKind::kShape, kWhere,
          "layer {} was not planned; make the cache from cache_groups() of this model",
          layer.index);
  return groups_[place->second.first].layers[place->second.second];
}

const PagedCache::Group& PagedCache::group_of(const CacheLayer& layer) const {
  return groups_[places_.at({layer.kind, layer.index}).first];
}

Tensor PagedCache::first_rows(size_t g, int64_t heads) const {
  size_t most = 1;
  for (const Id id : pass_) most = std::max(most, at(id).tables[g].blocks.size());
  const Tensor rows = Tensor::zeros({std::ssize(pass_), static_cast<int64_t>(most)}, DType::kI32);
  int32_t* to = rows.data<int32_t>();
  for (const Id id : pass_) {
    const Table& table = at(id).tables[g];
    table.for_each([&](int64_t i) {
      to[i] = static_cast<int32_t>(table.blocks[static_cast<size_t>(i)] * heads * block_size_);
    });
    to += most;
  }
  return rows;
}

void PagedCache::begin_pass(std::vector<Id> ids) {
  pass_ = std::move(ids);
  for (size_t g = 0; g < groups_.size(); ++g)
    for (auto& each : groups_[g].blocks) each.second = first_rows(g, each.first);
}

void PagedCache::end_pass(const Rows& rows) {
  for (size_t b = 0; b < pass_.size(); ++b)
    sequences_.at(pass_[b]).length = rows.length_of(static_cast<int64_t>(b));
  pass_.clear();
}

void PagedCache::write_rows(const Layer& layer, const Group& group, const Sequences& rows,
                            std::span<const int64_t> from, const Tensor& k, const Tensor& v) const {
  const auto g = static_cast<size_t>(&group - groups_.data());
  for (int64_t b = 0; b < rows.count(); ++b) {
    const Sequence& sequence = at(pass_[static_cast<size_t>(b)]);
    if (group.layout.of_states() && !sequence.keeps_states) continue;
    const Table& table = sequence.tables[g];
    const int64_t begin = from[static_cast<size_t>(b)], end = begin + rows.length(b);
    require(end <= std::ssize(table.blocks) * block_size_, ErrorKind::kShape, kWhere,
            "{} tokens of sequence {}, but there is room for {}; reserve it", end, b,
            std::ssize(table.blocks) * block_size_);
    for_each_stretch(table.blocks, block_size_, begin, end,
                     [&](int64_t block, int64_t inside, int64_t at, int64_t count) {
                       const int64_t first = rows.first(b) + at - begin;
                       const int64_t row = layer.k.first_row(block) + inside;
                       keep_rows(k, first, count, layer.k, layer.k_scales, row);
                       if (layer.v.defined())
                         keep_rows(v, first, count, layer.v, layer.v_scales, row);
                     });
  }
}

void PagedCache::write(const CacheLayer& layer, const Rows& rows, const Tensor& k,
                       const Tensor& v) {
  require(rows.sequences.count() == std::ssize(pass_), ErrorKind::kShape, kWhere,
          "{} sequences, expected the {} of the pass", rows.sequences.count(), pass_.size());
  const Layer& to = layer_of(layer);
  require(k.dtype() == to.rows.dtype, ErrorKind::kShape, kWhere, "keys are {}, expected {}",
          name_of(k.dtype()), name_of(to.rows.dtype));
  std::vector<int64_t> from(pass_.size(), 0);
  for (size_t b = 0; b < pass_.size() && layer.kind != CacheLayer::Kind::kCross; ++b) {
    from[b] = rows.context_of(static_cast<int64_t>(b));
    require(from[b] == at(pass_[b]).length, ErrorKind::kShape, kWhere,
            "sequence {} continues {} tokens, but the cache holds {}", b, from[b],
            at(pass_[b]).length);
  }
  write_rows(to, group_of(layer), rows.sequences, from, k, v);
}

// The last tokens before the pass and those of it, gathered from their blocks.
ops::KeyValues PagedCache::recent(const Layer& layer, const Group& group, const Rows& rows) const {
  const auto g = static_cast<size_t>(&group - groups_.data());
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < rows.sequences.count(); ++b)
    lengths.push_back(std::min(rows.context_of(b), group.layout.reach) + rows.sequences.length(b));
  const Sequences all(lengths);
  const Tensor joined(rows_shape(all.rows(), layer.rows.k), layer.rows.dtype);
  for (int64_t b = 0; b < all.count(); ++b) {
    const int64_t end = rows.length_of(b), begin = end - all.length(b);
    for_each_stretch(at(pass_[static_cast<size_t>(b)]).tables[g].blocks, block_size_, begin, end,
                     [&](int64_t block, int64_t inside, int64_t at, int64_t count) {
                       copy_rows(layer.k.rows(), layer.k.first_row(block) + inside, count, joined,
                                 all.first(b) + at - begin);
                     });
  }
  return ops::KeyValues::packed(Var(joined), Var(), all);
}

ops::KeyValues PagedCache::view(const CacheLayer& layer, const Rows& rows) const {
  const Layer& from = layer_of(layer);
  const Group& group = group_of(layer);
  if (layer.kind == CacheLayer::Kind::kRecent) return recent(from, group, rows);
  const auto texts = [&] {
    std::vector<int64_t> lengths;
    for (const Id id : pass_) lengths.push_back(at(id).text);
    return Sequences(lengths);
  };
  Sequences keys = layer.kind == CacheLayer::Kind::kCross ? texts() : rows.keys();
  return {Var(from.k.rows()),  Var(from.v.rows()),
          std::move(keys),     group.blocks.at(from.k.heads()),
          block_size_,         from.k_scales.rows(),
          from.v_scales.rows()};
}

std::span<std::byte> PagedCache::rows_of(size_t g, size_t store, int32_t block) const {
  const Tensor& all = groups_[g].stores[store].all();
  const size_t bytes = all.bytes() / static_cast<size_t>(groups_[g].pool->size());
  return {all.raw() + static_cast<size_t>(block) * bytes, bytes};
}

std::optional<PagedCache::Inserted> PagedCache::insert(const PrefixIndex::Link& parent,
                                                       std::span<const int32_t> tokens,
                                                       const std::vector<bool>& present) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    const BlockPool& pool = *groups_[g].pool;
    if (present[g] && pool.held() + pool.kept() == pool.size()) return std::nullopt;
  }
  std::vector<int32_t> blocks;
  for (size_t g = 0; g < groups_.size(); ++g)
    blocks.push_back(present[g] ? *groups_[g].pool->take() : PrefixIndex::kAbsent);
  const auto link = index_.add(parent, tokens, blocks);
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (!present[g]) continue;
    const bool findable = index_.has(g, blocks[g]);
    groups_[g].pool->release(blocks[g], findable);
    if (!findable) blocks[g] = PrefixIndex::kAbsent;
  }
  if (!link) return std::nullopt;
  return Inserted{*link, std::move(blocks)};
}

}  // namespace lathe
