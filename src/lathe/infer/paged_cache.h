// A cache of keys and values in blocks of tokens (PagedAttention, Kwon et al. 2023,
// arXiv:2309.06180). All memory is made at the start and never grows: where no block is left,
// reserve() says so, and the caller decides who has to wait.
//
// Layers that read the same tokens form a group (cache_layout.h), with a pool of blocks and a table
// per sequence of its own: block table[i] of a group holds the tokens [i·B, (i + 1)·B) in all its
// layers. A group with a limited reach (sliding windows; the inputs of a causal convolution) gives
// blocks back once no later token reads them; the sinks of a streamed text stay. A group of the
// encoder's text is filled by the first pass of a sequence and has no part in what follows. A group
// of hidden states has blocks only for the sequences that keep them.
//
// In a block each head's rows lie one behind the other (block_store.h): a step of many sequences mostly waits for them.
//
// Sequences share blocks. fork() makes a sequence that holds the same ones; a block is copied when
// one of its holders is about to write to it. publish() makes full blocks findable by their tokens,
// and adopt() begins a sequence with what is found. Whether what is found is what would have been
// computed is the caller's knowledge (why_prefixes_are_not_shared() in cache_plan.h).
//
// Not thread-safe. What write() and view() get must belong to the pass between begin_pass() and
// end_pass().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "lathe/infer/block_pool.h"
#include "lathe/infer/block_store.h"
#include "lathe/infer/cache_layout.h"
#include "lathe/infer/prefix_index.h"

namespace lathe {

struct CachePlan {
  int64_t block_size = 16;      // tokens in a block
  std::vector<int64_t> blocks;  // of each group
  // Touches all memory at the start, so that it cannot run out later; else a page is taken from the
  // system when it is first written to.
  bool commit = true;
};

class PagedCache : public AttentionCache {
 public:
  using Id = int64_t;

  // Allocates plan.blocks[g] blocks of every layer of groups[g].
  PagedCache(std::vector<CacheGroup> groups, const CachePlan& plan);
  PagedCache(const PagedCache&) = delete;
  PagedCache& operator=(const PagedCache&) = delete;

  // A sequence without tokens, and its end. Only sequences that begin at the same root share
  // prefixes (PrefixIndex::root()). With `keeps_states` it has room in a group of hidden states.
  Id open(const PrefixIndex::Link& root = {}, bool keeps_states = false);
  void close(Id id);
  // A sequence that holds what `id` holds. Memory is needed only when they part.
  Id fork(Id id);
  // A fork that is closed again unless somebody takes it.
  class Fork {
   public:
    Fork(PagedCache& cache, Id of) : cache_(&cache), id_(cache.fork(of)) {}
    Fork(Fork&& other) noexcept : cache_(other.cache_), id_(std::exchange(other.id_, {})) {}
    Fork& operator=(Fork&&) = delete;
    ~Fork() {
      if (id_) cache_->close(*id_);
    }
    Id take() { return *std::exchange(id_, {}); }

   private:
    PagedCache* cache_;
    std::optional<Id> id_;
  };
  int64_t length(Id id) const { return at(id).length; }
  // The blocks of a sequence in group g; kAbsent for those that were given back.
  std::vector<int32_t> table(Id id, size_t g) const;
  int64_t sequences() const { return static_cast<int64_t>(sequences_.size()); }

  // Begins the empty sequence `id` with what is known of these tokens, at most `most` of them.
  // Returns how many. The last block may be known beyond that; what is written there again is what
  // it holds.
  int64_t adopt(Id id, std::span<const int32_t> tokens, int64_t most);
  // Makes the full blocks of `id` findable by the tokens in them, as far as these go: those of
  // guesses are not among them.
  void publish(Id id, std::span<const int32_t> tokens);
  // Takes the tokens from `length` on back, and gives back the blocks that only they need. Errors:
  // kUsage if one of them can be found, or was needed to stay within the reach of a layer.
  void truncate(Id id, int64_t length);

  // Makes room for `count` more tokens, and for a text of `text` tokens if it is the first time.
  // False if the blocks of a group do not suffice; what was taken for it then stays with `id`.
  bool reserve(Id id, int64_t count, int64_t text = 0);
  // Whether reserve() could succeed for so many sequences that are alone and share nothing but a
  // text, if each grows to `length` tokens in passes of at most `most`.
  struct Wanted {
    int64_t length = 0, most = 0, text = 0, sequences = 1;
    bool states = false;
  };
  bool fits(const Wanted& wanted) const;

  // The sequences of the next pass, in the order of its rows, and the end of the pass.
  void begin_pass(std::vector<Id> ids);
  void end_pass(const Rows& rows);

  // Errors: kShape for a layer that was not planned, and rows that do not continue their sequence
  // or were not reserved.
  void write(const CacheLayer& layer, const Rows& rows, const Tensor& k, const Tensor& v) override;
  ops::KeyValues view(const CacheLayer& layer, const Rows& rows) const override;

  int64_t block_size() const { return block_size_; }
  size_t groups() const { return groups_.size(); }
  const CacheGroup& group(size_t g) const { return groups_[g].layout; }
  const BlockPool& pool(size_t g) const { return *groups_[g].pool; }
  const PrefixIndex& index() const { return index_; }
  size_t bytes() const;  // of all blocks
  // The arrays of a group: keys, values and their scales, layer by layer. What a file of prefixes
  // keeps of a block is its rows in each.
  size_t stores(size_t g) const { return groups_[g].stores.size(); }
  std::span<std::byte> rows_of(size_t g, size_t store, int32_t block) const;
  // Makes a block of tokens behind `parent` findable, for reading such a file. Returns the blocks
  // that are to be filled, kAbsent in groups that are not `present` or have the tokens already;
  // nothing if a group has no free block or another text has the same hash.
  struct Inserted {
    PrefixIndex::Link link;
    std::vector<int32_t> blocks;
  };
  std::optional<Inserted> insert(const PrefixIndex::Link& parent, std::span<const int32_t> tokens,
                                 const std::vector<bool>& present);

 private:
  struct Layer {
    CachedRows rows;
    BlockStore k, v;
    BlockStore k_scales, v_scales;  // [K] of a token, of int8 rows
  };
  struct Group {
    CacheGroup layout;
    std::unique_ptr<BlockPool> pool;
    std::vector<Layer> layers;
    std::vector<BlockStore> stores;  // of all layers
    // Of the pass: i32 [B,n], the first row of each block in stores of so many heads.
    std::map<int64_t, Tensor> blocks;
  };
  struct Table {
    std::vector<int32_t> blocks;
    int64_t head = 0;   // the blocks before it stay
    int64_t first = 0;  // those before it and not before `head` were given back

    bool holds(int64_t i) const { return i < head || i >= first; }
    // f(i) for the blocks that are held.
    template <class F>
    void for_each(F&& f) const {
      for (int64_t i = 0; i < std::ssize(blocks); ++i)
        if (holds(i)) f(i);
    }
  };
  struct Sequence {
    int64_t length = 0, text = 0;
    std::vector<Table> tables;  // of each group
    std::optional<PrefixIndex::Link> chain = PrefixIndex::Link();
    int64_t published = 0;  // blocks
    int64_t kept_from = 0;  // what was given back leaves room for texts no shorter than this
    bool keeps_states = false;
  };

  const Sequence& at(Id id) const { return sequences_.at(id); }
  const Layer& layer_of(const CacheLayer& layer) const;
  const Group& group_of(const CacheLayer& layer) const;
  // Whether the tokens of the sequence are in the group.
  static bool grows(const Group& group, const Sequence& sequence) {
    return !group.layout.of_text() && (!group.layout.of_states() || sequence.keeps_states);
  }
  int64_t first_needed(const Group& group, int64_t length) const;
  int64_t head_of(const Group& group) const;
  // Of the sequences of the pass, in stores of so many heads.
  Tensor first_rows(size_t g, int64_t heads) const;
  bool extend(Group& group, Table& table, int64_t from, int64_t to);
  bool own(Group& group, int32_t& block);
  void release(size_t g, int32_t block);
  void release_unneeded(Sequence& sequence);
  Layer make_layer(const CachedRows& rows, int64_t blocks, bool commit) const;
  void write_rows(const Layer& layer, const Group& group, const Sequences& rows,
                  std::span<const int64_t> from, const Tensor& k, const Tensor& v) const;
  ops::KeyValues recent(const Layer& layer, const Group& group, const Rows& rows) const;

  int64_t block_size_;
  std::vector<Group> groups_;
  std::map<std::pair<CacheLayer::Kind, int64_t>, std::pair<size_t, size_t>> places_;
  PrefixIndex index_;
  std::map<Id, Sequence> sequences_;
  Id next_id_ = 0;
  std::vector<Id> pass_;
};

}  // namespace lathe
