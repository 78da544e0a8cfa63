#include "lathe/infer/prefix_index.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/rng.h"
#include "lathe/io/hash.h"

namespace lathe {
namespace {

uint64_t mixed_hash(uint64_t parent, std::span<const int32_t> tokens) {
  Rng stream = Rng::from_key(parent);
  for (const int32_t token : tokens) stream = stream.fork(static_cast<uint64_t>(token));
  return stream.key();
}

}  // namespace

PrefixIndex::PrefixIndex(int64_t block_size, size_t groups, Hash hash)
    : block_size_(block_size), hash_(hash ? std::move(hash) : mixed_hash), of_block_(groups) {}

PrefixIndex::Link PrefixIndex::root(std::string_view identity) {
  if (identity.empty()) return {};
  const std::string hash = hash_text(identity);  // 128 bits
  const auto half = [&](size_t at) { return std::stoull(hash.substr(at, 16), nullptr, 16); };
  return {half(0), half(16) | uint64_t{1} << 63};
}

const PrefixIndex::Entry* PrefixIndex::at(const Link& link) const {
  const auto found = entries_.find(link.hash);
  return found != entries_.end() && found->second.serial == link.serial ? &found->second : nullptr;
}

std::vector<PrefixIndex::Link> PrefixIndex::find(std::span<const int32_t> tokens,
                                                 const Link& root) const {
  std::vector<Link> chain;
  Link last = root;
  for (; static_cast<int64_t>(tokens.size()) >= block_size_;
       tokens = tokens.subspan(static_cast<size_t>(block_size_))) {
    const auto block = tokens.first(static_cast<size_t>(block_size_));
    const uint64_t hash = hash_(last.hash, block);
    const auto found = entries_.find(hash);
    if (found == entries_.end() || found->second.parent != last.serial ||
        !std::ranges::equal(found->second.tokens, block))
      break;
    last = {hash, found->second.serial};
    chain.push_back(last);
  }
  return chain;
}

std::optional<PrefixIndex::Link> PrefixIndex::add(const Link& parent,
                                                  std::span<const int32_t> tokens,
                                                  std::span<const int32_t> blocks) {
  require(static_cast<int64_t>(tokens.size()) == block_size_ && blocks.size() == of_block_.size(),
          ErrorKind::kShape, "cache", "{} tokens and {} blocks, expected {} and {}", tokens.size(),
          blocks.size(), block_size_, of_block_.size());
  const uint64_t hash = hash_(parent.hash, tokens);
  auto found = entries_.find(hash);
  if (found != entries_.end() && found->second.parent != parent.serial &&
      is_orphan(found->second)) {
    remove(found);
    found = entries_.end();
  }
  if (found == entries_.end()) {
    Entry fresh{++serials_,
                parent.serial,
                parent.hash,
                {tokens.begin(), tokens.end()},
                std::vector<int32_t>(blocks.size(), kAbsent)};
    found = entries_.emplace(hash, std::move(fresh)).first;
  }
  Entry& entry = found->second;
  if (entry.parent != parent.serial || !std::ranges::equal(entry.tokens, tokens))
    return std::nullopt;
  for (size_t group = 0; group < blocks.size(); ++group) {
    if (blocks[group] == kAbsent || entry.blocks[group] != kAbsent) continue;
    entry.blocks[group] = blocks[group];
    of_block_[group][blocks[group]] = hash;
  }
  return Link{hash, entry.serial};
}

// Its parent was evicted, so it cannot be found any more.
bool PrefixIndex::is_orphan(const Entry& entry) const {
  return !is_root(entry.parent) && at({entry.parent_hash, entry.parent}) == nullptr;
}

void PrefixIndex::remove(std::unordered_map<uint64_t, Entry>::iterator entry) {
  for (size_t group = 0; group < of_block_.size(); ++group)
    of_block_[group].erase(entry->second.blocks[group]);
  entries_.erase(entry);
}

bool PrefixIndex::has(size_t group, int32_t block) const {
  return of_block_[group].contains(block);
}

void PrefixIndex::forget(size_t group, int32_t block) {
  const auto place = of_block_[group].find(block);
  if (place == of_block_[group].end()) return;
  const auto found = entries_.find(place->second);
  of_block_[group].erase(place);
  found->second.blocks[group] = kAbsent;
  if (std::ranges::all_of(found->second.blocks, [](int32_t b) { return b == kAbsent; }))
    entries_.erase(found);
}

std::vector<PrefixIndex::Link> PrefixIndex::in_order() const {
  std::vector<Link> all;
  for (const auto& [hash, entry] : entries_) all.push_back({hash, entry.serial});
  // A parent is older than its children.
  std::ranges::sort(all, {}, &Link::serial);
  return all;
}

}  // namespace lathe
