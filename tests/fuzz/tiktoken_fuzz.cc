#include "fuzz/fuzz.h"
#include "lathe/text/tokenizer.h"

namespace lathe::fuzz {

void check(std::string_view bytes) {
  const Tokenizer tokenizer = Tokenizer::from_tiktoken(bytes, "f", Pattern::kCl100k);
  tokenizer.decode(tokenizer.encode("The river's 42 boats\n\n  \xE6\xB2\xB3\xFF"));
}

std::vector<Seed> seeds() { return {{"few", "YQ== 0\nYg== 1\nYWI= 2\nIA== 3\nIGE= 4\nIGFi 5\n"}}; }

}  // namespace lathe::fuzz
