#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/corpus/token_shard.h"

namespace lathe::fuzz {

// The first two bytes say how much of the rest is the .bin file; the index follows it.
void check(std::string_view bytes) {
  static const TempFolder folder;
  if (bytes.size() < 2) return;
  const size_t wanted = static_cast<uint8_t>(bytes[0]) * 256U + static_cast<uint8_t>(bytes[1]);
  bytes.remove_prefix(2);
  const size_t length = std::min(wanted, bytes.size());
  folder.write("shard.bin", bytes.substr(0, length));
  folder.write("shard.idx", bytes.substr(length));
  const TokenShard shard(folder / "shard");
  for (int64_t i = 0; i < shard.num_documents(); ++i) {
    const Range range = shard.document(i);
    if (range.size() > 0)
      require(shard.document(shard.document_of(range.begin)).begin == range.begin,
              ErrorKind::kFormat, "f", "document {} is lost", i);
  }
  const int64_t tokens = shard.num_tokens();
  shard.document_starts(0, tokens);
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  shard.read(0, tokens, ids, 1000);
}

std::vector<Seed> seeds() {
  const TempFolder folder;
  std::vector<Seed> made;
  for (const int64_t vocabulary : {1000, 100000}) {
    TokenShardWriter writer(folder / "s", vocabulary);
    writer.add_document(std::vector<int32_t>{1, 2, 3});
    writer.add_document({});
    writer.add_document(std::vector<int32_t>{999});
    writer.finish();
    const std::string bin = content_of(folder / "s.bin"), idx = content_of(folder / "s.idx");
    made.push_back({std::to_string(vocabulary), std::string{static_cast<char>(bin.size() / 256),
                                                            static_cast<char>(bin.size() % 256)} +
                                                    bin + idx});
  }
  return made;
}

}  // namespace lathe::fuzz
