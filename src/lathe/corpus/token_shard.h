// Token shards: Megatron-LM's indexed data set, `PREFIX.bin` and `PREFIX.idx` (index version 1).
//
//   .bin   the token ids of all documents, one after the other
//   .idx   "MMIDIDX\0\0"  u64 version = 1   u8 dtype   u64 sequences S   u64 boundaries D
//          i32 sizes[S]         tokens of each sequence
//          i64 pointers[S]      byte offset of each sequence in .bin
//          i64 documents[D]     first sequence of each document, and S at the end
//
// All little-endian; dtype 1 uint8, 2 int8, 3 int16, 4 int32, 5 int64, 8 uint16. A document is one
// or more sequences. Here the shard is one stream of tokens with document boundaries in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/mapped_file.h"

namespace lathe {

// The numbers are written to disk: do not renumber.
enum class TokenDtype : uint8_t {
  kUint8 = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint16 = 8,
};

// Bytes of one token; 0 for a code that is none of the above.
int64_t token_bytes(TokenDtype dtype);

// A memory-mapped shard. Const functions are thread-safe.
class TokenShard {
 public:
  // `prefix` is the path without .bin or .idx (a path that ends in either is also accepted). Every
  // number in the index is checked against the files. Throws kIo when a file cannot be opened,
  // kFormat for damaged or foreign content.
  explicit TokenShard(const std::filesystem::path& prefix);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_documents() const { return num_documents_; }
  TokenDtype dtype() const { return dtype_; }
  const std::filesystem::path& prefix() const { return prefix_; }

  // Token positions [begin, end) of document i in the stream.
  Range document(int64_t i) const;
  // The document that holds the token at `position`.
  int64_t document_of(int64_t position) const;

  // Copies tokens [begin, end) of the stream to out, which has end - begin elements. Throws kShape
  // for a window outside the stream, kData for an id that is not in [0, vocab_size), naming the id,
  // its document, and what to do.
  void read(int64_t begin, int64_t end, std::span<int32_t> out, int64_t vocab_size) const;

  // Every token of the shard, with all threads. Throws kData as read() does.
  void check_ids(int64_t vocab_size) const;

  // Where documents begin inside the window: the offsets from `begin`, ascending, each in (0, end -
  // begin). With 0 in front these are the segments of a document mask. A document without tokens
  // has no beginning.
  std::vector<int64_t> document_starts(int64_t begin, int64_t end) const;

 private:
  void read_header();
  void check_sequences();
  void check_documents();
  int64_t start_of_sequence(int64_t i) const;  // token position; i may be the number of sequences
  int64_t first_sequence(int64_t document) const;

  std::filesystem::path prefix_;
  std::string where_;
  MappedFile bin_, idx_;
  TokenDtype dtype_ = TokenDtype::kUint16;
  int64_t sequences_ = 0, num_documents_ = 0, num_tokens_ = 0;
  const std::byte *sizes_ = nullptr, *pointers_ = nullptr, *documents_ = nullptr;  // unaligned
};

// Writes a shard document by document. Nothing appears under the final names before finish(), which
// puts .bin in place first and .idx last; a shard of that name is replaced. Memory: 4 bytes a
// document. Throws kIo for failed writes, kData for ids outside the vocabulary.
class TokenShardWriter {
 public:
  // Ids are stored as uint16 when vocab_size is at most 65535, else as int32.
  TokenShardWriter(const std::filesystem::path& prefix, int64_t vocab_size);

  void add_document(std::span<const int32_t> tokens);
  // `before_index` is called when .bin is in place and .idx is not yet: everything large has been
  // written, and the new tokens cannot be read yet. This is the moment to remove files that do not
  // belong to them.
  void finish(const std::function<void()>& before_index = {});

  int64_t num_documents() const { return static_cast<int64_t>(sizes_.size()); }
  int64_t num_tokens() const { return num_tokens_; }
  TokenDtype dtype() const { return dtype_; }

 private:
  std::string where_;
  TokenDtype dtype_;
  int64_t vocab_size_, num_tokens_ = 0;
  AtomicFile bin_, idx_;
  std::vector<int32_t> sizes_;
};

}  // namespace lathe
