// A file of a document: the first byte chooses its kind, the rest are its bytes.
#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/documents/ask/answer_text.h"
#include "lathe/documents/cut/cutter.h"
#include "lathe/documents/cut/words.h"
#include "lathe/documents/index/postings.h"

namespace lathe::fuzz {

// Stretches, pieces and chunks lie within the file, in order where they may not overlap.
void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::vector<std::string> kinds = readable_extensions();
  const std::string& kind = kinds[static_cast<unsigned char>(bytes[0]) % kinds.size()];
  bytes.remove_prefix(1);
  for (PostingsReader reader(bytes); reader.next();) promise(reader.piece() >= 0);
  sentences_of_answer(bytes);
  if (!is_valid_utf8(bytes)) return;
  const auto size = static_cast<int64_t>(bytes.size());
  const Document document = read_document(bytes, kind);
  int64_t last = 0;
  for (const Stretch& stretch : document.stretches) {
    promise(last <= stretch.begin && stretch.begin < stretch.end && stretch.end <= size);
    last = stretch.end;
  }
  const CutOptions options{.chunk_tokens = 16, .overlap = 4, .tokens = [](std::string_view text) {
                             return static_cast<int64_t>(text.size() / 4 + 1);
                           }};
  for (const Chunk& chunk : cut(bytes, document, options)) {
    promise(0 <= chunk.begin && chunk.begin < chunk.end && chunk.end <= size);
    promise(!chunk.pieces.empty());
    for (const Piece& piece : chunk.pieces) {
      promise(chunk.begin <= piece.begin && piece.end <= chunk.end);
      for_each_word(piece.words,
                    [](const std::string& word) { promise(!word.empty() && word.size() <= 64); });
    }
  }
}

std::vector<Seed> seeds() {
  const std::string text =
      "# Title\n\nOne. Two! 水。\n\n- item\n\n```\ncode\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n"
      "<p>A <b>b</b> &amp; &#65;<script>x</script></p>\n{\"k\": \"v\\u00e9\", \"n\": [1]}\n"
      "\\section{S} text % comment\nHead\n====\na,\"b\"\"c\",d\n";
  std::vector<Seed> out;
  for (size_t i = 0; i < readable_extensions().size(); ++i)
    out.push_back({"kind" + std::to_string(i), std::string(1, static_cast<char>(i)) + text});
  return out;
}

}  // namespace lathe::fuzz
