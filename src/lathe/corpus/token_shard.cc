#include "lathe/corpus/token_shard.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "lathe/base/error.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', '\0', '\0'};
constexpr uint64_t kVersion = 1;
constexpr size_t kHeaderBytes = sizeof(kMagic) + 8 + 1 + 8 + 8;

// The arrays of the index follow a header of 34 bytes, so nothing in it is aligned.
template <class T>
T load(const std::byte* at, int64_t index = 0) {
  T value;
  std::memcpy(&value, at + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

fs::path without_extension(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".bin" || extension == ".idx" ? path.parent_path() / path.stem() : path;
}

fs::path with_extension(const fs::path& prefix, const char* extension) {
  fs::path path = prefix;
  path += extension;
  return path;
}

// Copies and widens; returns the index of the first id outside [0, limit), or n.
template <class T>
int64_t widen(const std::byte* from, int64_t n, int64_t limit, int32_t* out) {
  int64_t bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto id = static_cast<int64_t>(load<T>(from, i));
    bad |= static_cast<int64_t>(id < 0) | static_cast<int64_t>(id >= limit);
    out[i] = static_cast<int32_t>(id);
  }
  if (bad == 0) return n;
  for (int64_t i = 0; i < n; ++i) {
    const auto id = static_cast<int64_t>(load<T>(from, i));
    if (id < 0 || id >= limit) return i;
  }
  return n;
}

template <class F>
auto with_token_type(TokenDtype dtype, F&& f) {
  switch (dtype) {
    case TokenDtype::kUint8:
      return f(uint8_t{});
    case TokenDtype::kInt8:
      return f(int8_t{});
    case TokenDtype::kInt16:
      return f(int16_t{});
    case TokenDtype::kInt32:
      return f(int32_t{});
    case TokenDtype::kInt64:
      return f(int64_t{});
    case TokenDtype::kUint16:
      return f(uint16_t{});
  }
  fail(ErrorKind::kFormat, "token shard", "unknown token dtype {}", static_cast<int>(dtype));
}

}  // namespace

int64_t token_bytes(TokenDtype dtype) {
  switch (dtype) {
    case TokenDtype::kUint8:
    case TokenDtype::kInt8:
      return 1;
    case TokenDtype::kInt16:
    case TokenDtype::kUint16:
      return 2;
    case TokenDtype::kInt32:
      return 4;
    case TokenDtype::kInt64:
      return 8;
  }
  return 0;
}

TokenShard::TokenShard(const fs::path& prefix)
    : prefix_(without_extension(prefix)),
      where_(with_extension(prefix_, ".idx").string()),
      bin_(with_extension(prefix_, ".bin"), MappedFile::Access::kRandom),
      idx_(with_extension(prefix_, ".idx")) {
  read_header();
  check_sequences();
  check_documents();
}

void TokenShard::read_header() {
  const auto bytes = idx_.bytes();
  require(bytes.size() >= kHeaderBytes && std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) == 0,
          ErrorKind::kFormat, where_, "is not the index of a Megatron-LM token shard");
  const std::byte* at = bytes.data() + sizeof(kMagic);
  const auto version = load<uint64_t>(at);
  require(version == kVersion, ErrorKind::kFormat, where_, "has index version {}, expected {}",
          version, kVersion);
  dtype_ = static_cast<TokenDtype>(load<uint8_t>(at + 8));
  require(token_bytes(dtype_) > 0, ErrorKind::kFormat, where_,
          "has the token dtype code {}, expected an integer type (1-5 or 8)",
          static_cast<int>(dtype_));
  const auto sequences = load<uint64_t>(at + 9), boundaries = load<uint64_t>(at + 17);
  // Bounded by the file's size before they are multiplied.
  const uint64_t rest = bytes.size() - kHeaderBytes;
  require(sequences <= rest / 12 && boundaries >= 1 && boundaries <= rest / 8 &&
              sequences * 12 + boundaries * 8 == rest,
          ErrorKind::kFormat, where_,
          "declares {} sequences and {} document boundaries, which do not fit its {} bytes; it is "
          "truncated or damaged",
          sequences, boundaries, bytes.size());
  sequences_ = static_cast<int64_t>(sequences);
  num_documents_ = static_cast<int64_t>(boundaries) - 1;
  sizes_ = bytes.data() + kHeaderBytes;
  pointers_ = sizes_ + sequences * 4;
  documents_ = pointers_ + sequences * 8;
}

void TokenShard::check_sequences() {
  const int64_t width = token_bytes(dtype_);
  const auto bin_bytes = static_cast<int64_t>(bin_.bytes().size());
  int64_t at = 0;
  for (int64_t i = 0; i < sequences_; ++i) {
    const int64_t size = load<int32_t>(sizes_, i), pointer = load<int64_t>(pointers_, i);
    // at <= bin_bytes and size < 2^31, so nothing here overflows.
    require(size >= 0 && pointer == at && size * width <= bin_bytes - at, ErrorKind::kFormat,
            where_,
            "sequence {} has {} tokens at byte {}, expected byte {} of {} in {}; the two files do "
            "not belong together or are damaged",
            i, size, pointer, at, bin_bytes, bin_.path().string());
    at += size * width;
  }
  require(at == bin_bytes, ErrorKind::kFormat, where_,
          "accounts for {} bytes of {}, which has {}; the two files do not belong together", at,
          bin_.path().string(), bin_bytes);
  num_tokens_ = at / width;
}

void TokenShard::check_documents() {
  int64_t last = 0;
  for (int64_t i = 0; i <= num_documents_; ++i) {
    const auto first = load<int64_t>(documents_, i);
    require(first >= last && first <= sequences_ && (i > 0 || first == 0), ErrorKind::kFormat,
            where_, "document {} begins at sequence {}, expected {} to {}", i, first, last,
            i > 0 ? sequences_ : 0);
    last = first;
  }
  require(last == sequences_, ErrorKind::kFormat, where_,
          "the documents end at sequence {} of {}; the index is damaged", last, sequences_);
}

int64_t TokenShard::start_of_sequence(int64_t i) const {
  return i == sequences_ ? num_tokens_ : load<int64_t>(pointers_, i) / token_bytes(dtype_);
}

int64_t TokenShard::first_sequence(int64_t document) const {
  return load<int64_t>(documents_, document);
}

Range TokenShard::document(int64_t i) const {
  require(i >= 0 && i < num_documents_, ErrorKind::kShape, where_,
          "document {} was requested, but the shard has {}", i, num_documents_);
  return {start_of_sequence(first_sequence(i)), start_of_sequence(first_sequence(i + 1))};
}

int64_t TokenShard::document_of(int64_t position) const {
  require(position >= 0 && position < num_tokens_, ErrorKind::kShape, where_,
          "token {} was requested, but the shard has {}", position, num_tokens_);
  // The last document that begins at or before the position; empty ones before it begin there too.
  int64_t low = 0, high = num_documents_;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (start_of_sequence(first_sequence(middle)) <= position ? low : high) = middle;
  }
  return low;
}

void TokenShard::read(int64_t begin, int64_t end, std::span<int32_t> out,
                      int64_t vocab_size) const {
  require(begin >= 0 && begin <= end && end <= num_tokens_ &&
              out.size() == static_cast<size_t>(end - begin),
          ErrorKind::kShape, where_,
          "tokens {} to {} were requested for {} elements, but there are {}", begin, end,
          out.size(), num_tokens_);
  const int64_t n = end - begin;
  const int64_t limit = std::min<int64_t>(vocab_size, std::numeric_limits<int32_t>::max());
  const int64_t bad = with_token_type(dtype_, [&](auto type) {
    using T = decltype(type);
    return widen<T>(bin_.bytes().data() + static_cast<size_t>(begin) * sizeof(T), n, limit,
                    out.data());
  });
  require(bad == n, ErrorKind::kData, with_extension(prefix_, ".bin").string(),
          "token {} (in document {}) is outside the vocabulary of {}; the shard was made with "
          "another tokenizer, make it again with this one",
          begin + bad, bad < n ? document_of(begin + bad) : 0, vocab_size);
}

void TokenShard::check_ids(int64_t vocab_size) const {
  constexpr int64_t kChunk = 1 << 16;
  parallel_ranges(num_tokens_, kChunk, [&](Range r, int) {
    std::vector<int32_t> ids(static_cast<size_t>(std::min(kChunk, r.size())));
    for (int64_t begin = r.begin; begin < r.end; begin += kChunk) {
      const int64_t end = std::min(begin + kChunk, r.end);
      read(begin, end, std::span(ids).first(static_cast<size_t>(end - begin)), vocab_size);
    }
  });
}

std::vector<int64_t> TokenShard::document_starts(int64_t begin, int64_t end) const {
  require(begin >= 0 && begin <= end && end <= num_tokens_, ErrorKind::kShape, where_,
          "the window {} to {} was requested, but the shard has {} tokens", begin, end,
          num_tokens_);
  std::vector<int64_t> starts;
  if (begin == end) return starts;
  for (int64_t i = document_of(begin) + 1; i < num_documents_; ++i) {
    const Range range = document(i);
    if (range.begin >= end) break;
    if (range.size() > 0) starts.push_back(range.begin - begin);
  }
  return starts;
}

TokenShardWriter::TokenShardWriter(const fs::path& prefix, int64_t vocab_size)
    : where_(prefix.string()),
      dtype_(vocab_size <= 65535 ? TokenDtype::kUint16 : TokenDtype::kInt32),
      vocab_size_(vocab_size),
      bin_(with_extension(prefix, ".bin")),
      idx_(with_extension(prefix, ".idx")) {
  require(vocab_size > 0 && vocab_size <= std::numeric_limits<int32_t>::max(), ErrorKind::kConfig,
          where_, "a vocabulary of {} cannot be stored", vocab_size);
}

void TokenShardWriter::add_document(std::span<const int32_t> tokens) {
  require(tokens.size() <= size_t{std::numeric_limits<int32_t>::max()}, ErrorKind::kData, where_,
          "document {} has {} tokens, more than the format's 2^31 - 1; split it", num_documents(),
          tokens.size());
  for (const int32_t id : tokens)
    require(id >= 0 && id < vocab_size_, ErrorKind::kData, where_,
            "document {} holds the id {}, outside the vocabulary of {}", num_documents(), id,
            vocab_size_);
  if (dtype_ == TokenDtype::kUint16) {
    std::vector<uint16_t> narrow(tokens.begin(), tokens.end());
    bin_.write(std::as_bytes(std::span(narrow)));
  } else {
    bin_.write(std::as_bytes(tokens));
  }
  sizes_.push_back(static_cast<int32_t>(tokens.size()));
  num_tokens_ += static_cast<int64_t>(tokens.size());
}

void TokenShardWriter::finish(const std::function<void()>& before_index) {
  const auto put = [&](const auto& value) { idx_.write(std::as_bytes(std::span(&value, 1))); };
  const auto count = static_cast<uint64_t>(sizes_.size());
  idx_.write(std::string_view(kMagic, sizeof(kMagic)));
  put(kVersion);
  put(static_cast<uint8_t>(dtype_));
  put(count);
  put(count + 1);
  idx_.write(std::as_bytes(std::span(sizes_)));
  int64_t at = 0;
  for (const int32_t size : sizes_) {
    put(at);
    at += size * token_bytes(dtype_);
  }
  for (uint64_t i = 0; i <= count; ++i) put(static_cast<int64_t>(i));
  bin_.commit();
  if (before_index) before_index();
  idx_.commit();
}

}  // namespace lathe
