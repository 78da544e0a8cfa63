#include "fuzz/fuzz.h"
#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/corpus/documents.h"

namespace lathe::fuzz {

// The first byte chooses how the rest is read: as JSON lines, as what its content says (packed,
// too), or as plain text split in one of three ways.
void check(std::string_view bytes) {
  static const TempFolder folder;
  if (bytes.empty()) return;
  DocumentConfig config;
  const char kind = bytes[0];
  if (kind == 'b') config.split = "blank-lines";
  if (kind == 's') config.split = "separator";
  const std::filesystem::path file =
      folder.write(kind == 'j' ? "f.jsonl" : "f.txt", bytes.substr(1));
  config.skip_bad = kind == 'k';
  int64_t size = 0;
  const DocumentCounts counts = for_each_document({&file, 1}, config, [&](Document&& d) {
    size += static_cast<int64_t>(d.text.size());
    return true;
  });
  promise(counts.bytes == size);
}

std::vector<Seed> seeds() {
  return {{"jsonl", "j{\"text\": \"one\", \"n\": 1}\n\n{\"text\": \"t\\u00e9\\n\"}\n"},
          {"blank_lines", "b\xEF\xBB\xBFone\r\ntwo\r\n\r\nthree\n"},
          {"separator", "sone\n%\ntwo\n"},
          {"array", "k[{\"text\": \"one\"}, null, \"two\",\n{\"text\": 3}]"},
          {"gzip", "f" + testing::gzip_packed("one\n\ntwo\n")},
          {"zstd", "f" + testing::zstd_packed("[\"one\", \"two\"]")},
          {"whole", "fone\n"}};
}

}  // namespace lathe::fuzz
