#include <algorithm>

#include "fuzz/fuzz.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"
#include "text/reference_bpe.h"

namespace lathe::fuzz {
namespace {

constexpr size_t kMerges = 48, kLongestToken = 200, kText = 320;

// Bytes stand for themselves; from 0xC0 on, those for which there is one stand for a merged token.
std::string token_of(uint8_t byte, const std::vector<std::string>& merged) {
  if (byte >= 0xC0 && byte - size_t{0xC0} < merged.size()) return merged[byte - size_t{0xC0}];
  return std::string(1, static_cast<char>(byte));
}

ByteBpe model_of(std::string_view pairs, const ByteBpeOptions& options) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> merged;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const std::string left = token_of(static_cast<uint8_t>(pairs[i]), merged);
    const std::string right = token_of(static_cast<uint8_t>(pairs[i + 1]), merged);
    if (left.size() + right.size() > kLongestToken) continue;
    merges.emplace_back(left, right);
    merged.push_back(left + right);
  }
  return testing::small_model(merges, options);
}

}  // namespace

// Options, the number of merges, two bytes a merge, then the text: every way of encoding it gives
// what the definition gives.
void check(std::string_view bytes) {
  if (bytes.size() < 2) return;
  ByteBpeOptions options;
  options.ignore_merges = bytes[0] & 1;
  if (bytes[0] & 2) options.unknown = 'u';  // never needed, but closes the ways that do not know it
  const bool long_text = bytes[0] & 4;
  const size_t pairs = std::min<size_t>(static_cast<uint8_t>(bytes[1]), kMerges) * 2;
  bytes.remove_prefix(2);
  const TokenizerData data(std::make_unique<ByteBpe>(model_of(bytes.substr(0, pairs), options)), {},
                           {}, "f");
  const ByteBpe& model = testing::byte_bpe(data);
  std::string text(bytes.substr(std::min(pairs, bytes.size())).substr(0, kText));
  while (long_text && !text.empty() && 2 * text.size() <= kText) text += text;
  const std::vector<int32_t> merged = testing::reference_encode(model, text);
  const auto whole = data.vocabulary().find(text);
  const std::vector<int32_t> wanted = whole && options.ignore_merges ? std::vector{*whole} : merged;

  ByteBpe::Scratch scratch;
  std::vector<int32_t> ids;
  model.encode(text, scratch, ids);
  promise(ids == wanted);
  Encoder encoder(data);
  for (int time = 0; time < 2; ++time) {  // the second time from memory
    ids.clear();
    encoder.encode(text, {}, ids);
    promise(ids == wanted);
  }
  ids.clear();
  if (!options.unknown && model.merge_forward(text, scratch, ids)) promise(ids == merged);
}

std::vector<Seed> seeds() {
  using namespace std::string_literals;
  return {{"words",
           "\0\4thhe\xC0"
           "e \xC1the the then th"s},
          {"letters",
           "\4\3aa\xC0\xC0"
           "\xC1\xC1"
           "aaaab"s},
          {"chinese", "\5\4\xE4\xB8\xC0\xAD\xE5\x9B\xC2\xBD\xE4\xB8\xAD\xE5\x9B\xBD\xE4\xB8\xAD"s}};
}

}  // namespace lathe::fuzz
