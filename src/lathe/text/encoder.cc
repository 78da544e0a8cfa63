// The encoder's loop over the pieces of a text, and the memory of words it has met.
//
// Nearly all pieces of real text are short words that come again. A piece of at most 15 bytes is
// two machine words, so it is looked up without touching the string: first among the words met
// before (kCacheSlots, one slot per word, newest wins), then among the words that are one token;
// only then is it merged. Before that it is cut wherever no token reaches over a border between two
// characters (char_cuts.h), and the stretches, which repeat even where words do not (Chinese), are
// looked up in the same memory. Longer pieces are cut at once.
#include <algorithm>
#include <array>

#include "lathe/base/utf8.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {

class Encoder::Impl {
 public:
  explicit Impl(const TokenizerData& data) : data_(data), cache_(kCacheSlots) {}

  void encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& out) {
    if (options.add_special_tokens) out.insert(out.end(), data_.prefix.begin(), data_.prefix.end());
    segments_.clear();
    data_.raw_matcher.find(text, options.special_as_text, segments_);
    told_ = 0;
    for (const AddedTokenMatcher::Segment& s : segments_) {
      segment_begin_ = s.begin;
      if (s.id >= 0) {
        out.push_back(s.id);
      } else {
        encode_raw(text.substr(s.begin, s.end - s.begin), s.begin == 0, options, out);
      }
    }
    if (options.add_special_tokens) out.insert(out.end(), data_.suffix.begin(), data_.suffix.end());
  }

 private:
  static constexpr int kCacheBits = 14;
  static constexpr size_t kCacheSlots = size_t{1} << kCacheBits;
  static constexpr uint64_t kStretchMark = uint64_t{1} << 63;  // above a word's length in its key
  static constexpr size_t kCacheIds = 3;
  static constexpr size_t kProgressBytes = size_t{256} << 10;
  struct Slot {
    WordKey key{0, 0};
    uint32_t count = 0;
    std::array<int32_t, kCacheIds> ids{};
  };

  // Text without raw added tokens.
  void encode_raw(std::string_view text, bool begins_text, const EncodeOptions& options,
                  std::vector<int32_t>& out) {
    const Normalizer::Result normalized = data_.normalizer.apply(text, normalized_);
    text = normalized.text;
    const size_t start = begins_text ? normalized.start : 0;
    if (data_.normalized_matcher.empty()) return encode_plain(text, start, options, out);
    normalized_segments_.clear();
    data_.normalized_matcher.find(text, options.special_as_text, normalized_segments_);
    for (const AddedTokenMatcher::Segment& s : normalized_segments_) {
      if (s.id >= 0) {
        out.push_back(s.id);
      } else {
        encode_plain(text.substr(s.begin, s.end - s.begin), start - std::min(start, s.begin),
                     options, out);
      }
    }
  }

  // Text without any added tokens. `start` as in PreTokenizer::split.
  void encode_plain(std::string_view text, size_t start, const EncodeOptions& options,
                    std::vector<int32_t>& out) {
    if (const PieceScanner next = data_.pre_tokenizer.scanner()) {
      const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
      while (p < end) {
        const uint8_t* stop = p + std::min(static_cast<size_t>(end - p), kProgressBytes);
        while (p < stop) {
          const uint8_t* q = next(p, end);
          encode_piece(p, q, end, out);
          p = q;
        }
        tell(options, static_cast<size_t>(p - begin));
      }
      return;
    }
    text = data_.pre_tokenizer.split(text, start, pre_scratch_);
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    for (const Piece& piece : pre_scratch_.pieces) {
      encode_piece(begin + piece.begin, begin + piece.end, end, out);
      tell(options, piece.end);
    }
  }

  // `done` bytes of the present segment are encoded.
  void tell(const EncodeOptions& options, size_t done) {
    if (segment_begin_ + done < told_ + kProgressBytes || !options.progress) return;
    told_ = segment_begin_ + done;
    options.progress(told_);
  }

  void encode_piece(const uint8_t* p, const uint8_t* q, const uint8_t* limit,
                    std::vector<int32_t>& out) {
    const auto n = static_cast<size_t>(q - p);
    const std::string_view piece(reinterpret_cast<const char*>(p), n);
    if (n > BpeModel::kWordBytes) {
      if (const auto id = data_.model.whole_piece(piece)) return out.push_back(*id);
      return encode_stretches(p, q, limit, out);
    }
    const WordKey key = word_key(p, n, limit);
    if (recall(key, out)) return;
    const size_t before = out.size();
    if (const int32_t id = data_.model.whole_word(key); id >= 0) {
      out.push_back(id);
    } else {
      encode_stretches(p, q, limit, out);
    }
    remember(key, before, out);
  }

  // A piece that is no token by itself.
  void encode_stretches(const uint8_t* p, const uint8_t* q, const uint8_t* limit,
                        std::vector<int32_t>& out) {
    data_.model.cuts().for_each_stretch(p, q, [&](const uint8_t* begin, const uint8_t* end) {
      const auto n = static_cast<size_t>(end - begin);
      const std::string_view stretch(reinterpret_cast<const char*>(begin), n);
      if (n > BpeModel::kWordBytes) return data_.model.merge(stretch, scratch_, out);
      WordKey key = word_key(begin, n, limit);
      // Under ignore_merges a piece may be a token that merging does not make; its bytes inside
      // another piece are not that token.
      if (data_.model.options().ignore_merges) key.high |= kStretchMark;
      if (recall(key, out)) return;
      const size_t before = out.size();
      data_.model.merge(stretch, scratch_, out);
      remember(key, before, out);
    });
  }

  // Appends the ids of a word met before.
  bool recall(const WordKey& key, std::vector<int32_t>& out) const {
    const Slot& slot = cache_[slot_of(key)];
    if (slot.key != key) return false;
    for (uint32_t i = 0; i < slot.count; ++i) out.push_back(slot.ids[i]);
    return true;
  }

  // Keeps out[before, …), the ids of a word, if they are few.
  void remember(const WordKey& key, size_t before, const std::vector<int32_t>& out) {
    const size_t count = out.size() - before;
    if (count > kCacheIds) return;
    Slot& slot = cache_[slot_of(key)];
    slot.key = key;
    slot.count = static_cast<uint32_t>(count);
    std::copy(out.begin() + static_cast<ptrdiff_t>(before), out.end(), slot.ids.begin());
  }

  static size_t slot_of(const WordKey& key) { return key.hash() >> (64 - kCacheBits); }

  const TokenizerData& data_;
  std::vector<Slot> cache_;
  std::vector<AddedTokenMatcher::Segment> segments_, normalized_segments_;
  size_t segment_begin_ = 0, told_ = 0;  // in the text: of the present segment, as last told
  std::string normalized_;
  PreTokenizer::Scratch pre_scratch_;
  BpeModel::Scratch scratch_;
};

Encoder::Encoder(const TokenizerData& data) : impl_(std::make_unique<Impl>(data)) {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;

void Encoder::encode(std::string_view text, const EncodeOptions& options,
                     std::vector<int32_t>& out) {
  impl_->encode(text, options, out);
}

}  // namespace lathe
