#include <algorithm>

#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/format/token_sections.h"
#include "text/sample_json.h"

namespace lathe::fuzz {

// Lists read where they stand are those of the whole document. (Where a key is there twice, the
// tree of values keeps one; the readers of both lists refuse that later.)
void check(std::string_view bytes) {
  std::optional<CutDocument> cut = cut_token_sections(bytes);
  if (!cut || !is_valid_utf8(bytes)) return;
  text_json::Json whole = text_json::Json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  promise(!whole.is_discarded() && whole.contains("model"));
  TokenSections wanted = [&] {
    try {
      return token_sections(whole["model"], "f");
    } catch (const Error&) {
      __builtin_trap();
    }
  }();
  promise(cut->sections.merges == wanted.merges);
  if (cut->sections.vocab.size() == wanted.vocab.size()) {
    std::ranges::sort(cut->sections.vocab);
    std::ranges::sort(wanted.vocab);
    promise(cut->sections.vocab == wanted.vocab);
  }
  promise(cut->sections.scores == wanted.scores);
  for (const char* list : {"vocab", "merges"})
    if (whole["model"].contains(list)) whole["model"][list].clear();
  promise(cut->rest == whole);
}

std::vector<Seed> seeds() {
  const text_json::Json document = text_json::Json::parse(testing::sample_json({}));
  return {{"small", R"( {"a" : [1, {"vocab": 3}] , "model" : { "x":-1.5e3 , "merges" : [ "a b" ,
[ "\"" , "\\" ] ] , "vocab" : { "\ud83d\ude00" : 0 , "b":2147483647 } } } )"},
          {"scores", R"({"model": {"vocab": [["a", -1.5e-3], ["\u0061b", 0], ["c", -12]]}})"},
          {"indented", document.dump(1)},
          {"ascii", document.dump(-1, ' ', /*ensure_ascii=*/true)},
          {"pairs", testing::sample_json({.merges_as_pairs = true})}};
}

}  // namespace lathe::fuzz
