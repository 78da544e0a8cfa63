#include "lathe/text/model/forward_bpe.h"

#include <algorithm>

#include "lathe/base/utf8.h"
#include "lathe/text/model/pair_table.h"
#include "lathe/text/vocabulary.h"

namespace lathe {
namespace {

constexpr size_t kFirstSlots = 1 << 12;

uint64_t key_of(int32_t node, uint8_t byte) {
  return uint64_t{static_cast<uint32_t>(node)} << 8 | byte;
}

uint64_t hash_of(uint64_t key) { return key * 0x9E3779B97F4A7C15ull; }

}  // namespace

ForwardBpe::ForwardBpe(std::vector<TokenOrigin> origins)
    : origins_(std::move(origins)),
      lengths_(origins_.size(), 0),
      shorter_(origins_.size(), -1),
      token_of_(1, -1),
      children_(kFirstSlots) {}

std::unique_ptr<ForwardBpe> ForwardBpe::make(const Vocabulary& vocabulary,
                                             const std::vector<int32_t>& tokens,
                                             std::vector<TokenOrigin> origins) {
  for (int32_t token : tokens) {
    const TokenOrigin& origin = origins[static_cast<size_t>(token)];
    if (origin.left < 0) continue;
    for (int32_t part : {origin.left, origin.right})
      if (origins[static_cast<size_t>(part)].rank >= origin.rank) return nullptr;
  }
  std::unique_ptr<ForwardBpe> made(new ForwardBpe(std::move(origins)));
  for (int32_t token : tokens)
    if (!made->add(token, vocabulary.bytes(token))) return nullptr;
  for (int32_t token : tokens) made->link(token, vocabulary.bytes(token));
  return made;
}

int32_t ForwardBpe::child(int32_t node, uint8_t byte) const {
  const uint64_t key = key_of(node, byte);
  const Child& c = children_.find(hash_of(key), [key](Child other) { return other.key() == key; });
  return c.free() ? -1 : static_cast<int32_t>(c.word & kMaxNodes);
}

// Enters the beginnings of `bytes` into the tree. False when it is full.
bool ForwardBpe::add(int32_t token, std::string_view bytes) {
  int32_t node = 0;
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      if (token_of_.size() >= kMaxNodes) return false;
      if (2 * token_of_.size() > children_.slots().size())
        children_.grow([](Child entry) { return hash_of(entry.key()); });
      next = static_cast<int32_t>(token_of_.size());
      token_of_.push_back(-1);
      const uint64_t key = key_of(node, byte);
      children_.add(hash_of(key), {key << kNodeBits | static_cast<uint64_t>(next)});
    }
    node = next;
  }
  token_of_[static_cast<size_t>(node)] = token;
  lengths_[static_cast<size_t>(token)] = static_cast<uint32_t>(bytes.size());
  return true;
}

void ForwardBpe::link(int32_t token, std::string_view bytes) {
  const uint8_t* p = as_bytes(bytes);
  shorter_[static_cast<size_t>(token)] = longest(p, p + bytes.size() - 1);
}

// The longest token that [p, end) begins with; -1 when p == end.
int32_t ForwardBpe::longest(const uint8_t* p, const uint8_t* end) const {
  int32_t best = -1;
  for (int32_t node = 0; p < end; ++p) {
    node = child(node, *p);
    if (node < 0) break;
    if (token_of_[static_cast<size_t>(node)] >= 0) best = token_of_[static_cast<size_t>(node)];
  }
  return best;
}

bool ForwardBpe::go_together(int32_t left, int32_t right, const PairTable& pairs) const {
  for (int32_t bound = PairTable::kNoRank;;) {
    if (pairs.rank(left, right) < bound) return false;
    const TokenOrigin &l = origins_[static_cast<size_t>(left)],
                      &r = origins_[static_cast<size_t>(right)];
    if (l.left < 0 && r.left < 0) return true;
    // Of equal merges the left one comes first; so does one across the border before its like on
    // the right.
    if (l.rank > r.rank) {
      bound = l.rank;
      left = l.right;
    } else {
      bound = r.rank + 1;
      right = r.left;
    }
  }
}

void ForwardBpe::encode(std::string_view piece, const PairTable& pairs, Scratch& s,
                        std::vector<int32_t>& out) const {
  const uint8_t *begin = as_bytes(piece), *end = begin + piece.size();
  s.dead.assign(piece.size() / 64 + 1, 0);
  const auto dead = [&s](size_t i) { return s.dead[i >> 6] >> (i & 63) & 1; };
  const size_t first = out.size();
  size_t at = 0;
  int32_t token = longest(begin, end);
  while (at < piece.size()) {
    ++s.steps;
    if (token < 0) {  // nothing that begins here goes with the token before
      s.dead[at >> 6] |= uint64_t{1} << (at & 63);
      token = out.back();
      out.pop_back();
      at -= lengths_[static_cast<size_t>(token)];
      token = shorter_[static_cast<size_t>(token)];
      continue;
    }
    const size_t next = at + lengths_[static_cast<size_t>(token)];
    if (dead(next) || (out.size() > first && !go_together(out.back(), token, pairs))) {
      token = shorter_[static_cast<size_t>(token)];
      continue;
    }
    out.push_back(token);
    at = next;
    token = longest(begin + at, end);
  }
}

}  // namespace lathe
