// Finds the blocks of a cache that hold the beginning of a text. Blocks form chains: what a block
// holds depends on all tokens before it, so a block is found by a hash of its tokens and of the
// block before. A hash is never trusted: the tokens of every block on the way are compared.
//
// A cache may keep a block of tokens in several places, one for each of its groups (paged_cache.h),
// and some may be evicted before others; the index only says which are there.
//
// What a block holds depends on the adapters of its text, too: chains begin at a root, and only texts
// with equal adapters have the same one.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lathe {

class PrefixIndex {
 public:
  static constexpr int32_t kAbsent = -1;

  // Where a chain has come to: after no block, or after one that is or was in the index. A chain
  // goes on only behind the very entry that it came from, not behind an equal one made later.
  struct Link {
    uint64_t hash = 0, serial = 0;
  };
  // Where the chains of texts begin that were computed with adapters of this identity; Link() for an
  // empty one. The serial numbers of roots have the highest bit set, those of entries never.
  static Link root(std::string_view identity);
  static bool is_root(uint64_t serial) { return serial == 0 || serial >> 63 != 0; }
  struct Entry {
    uint64_t serial = 0, parent = 0, parent_hash = 0;  // serial numbers begin at 1
    std::vector<int32_t> tokens;
    std::vector<int32_t> blocks;  // of each group; kAbsent where it was evicted
  };

  using Hash = std::function<uint64_t(uint64_t parent, std::span<const int32_t> tokens)>;

  // `hash` is for tests, which force collisions; the default is a mix of all bits.
  PrefixIndex(int64_t block_size, size_t groups, Hash hash = {});

  // The entries of the longest chain from `root` that begins `tokens`, whole blocks only.
  std::vector<Link> find(std::span<const int32_t> tokens, const Link& root) const;
  std::vector<Link> find(std::span<const int32_t> tokens) const { return find(tokens, Link()); }
  const Entry* at(const Link& link) const;  // nullptr if it is no longer there

  // Adds the block `tokens` behind `parent`, or finds it; `blocks` are entered where the entry has
  // none. Returns where the chain has come to; nothing if another text has the same hash, in which
  // case nothing is added and the chain ends.
  std::optional<Link> add(const Link& parent, std::span<const int32_t> tokens,
                          std::span<const int32_t> blocks);
  // Whether `block` of `group` can be found.
  bool has(size_t group, int32_t block) const;
  // The block is about to hold something else.
  void forget(size_t group, int32_t block);

  size_t size() const { return entries_.size(); }
  // f(Link, entry) for every entry, parents before their children.
  template <class F>
  void for_each(F&& f) const {
    for (const Link& link : in_order()) f(link, *at(link));
  }

 private:
  std::vector<Link> in_order() const;
  bool is_orphan(const Entry& entry) const;
  void remove(std::unordered_map<uint64_t, Entry>::iterator entry);

  int64_t block_size_;
  Hash hash_;
  uint64_t serials_ = 0;
  std::unordered_map<uint64_t, Entry> entries_;
  std::vector<std::unordered_map<int32_t, uint64_t>> of_block_;  // by group: the entry's hash
};

}  // namespace lathe
