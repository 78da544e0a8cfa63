#include <algorithm>
#include <iterator>

#include "fuzz/fuzz.h"
#include "lathe/text/decode/decoder.h"
#include "text/component_samples.h"

namespace lathe::fuzz {
namespace {

std::string decode(Decoder::Stream& stream, std::string_view tokens) {
  std::string out;
  while (!tokens.empty()) {
    const size_t end = std::min(tokens.find('\n'), tokens.size());
    stream.push(tokens.substr(0, end), out);
    tokens.remove_prefix(std::min(end + 1, tokens.size()));
  }
  stream.finish(out);
  return out;
}

std::string decode_steadily(const Decoder& decoder, std::string_view tokens) {
  std::string out;
  Decoder::Stream stream = decoder.stream();
  while (!tokens.empty()) {
    const size_t end = std::min(tokens.find('\n'), tokens.size());
    if (stream.steady()) {
      out += decoder.text_in_the_middle(tokens.substr(0, end));
    } else {
      stream.push(tokens.substr(0, end), out);
    }
    tokens.remove_prefix(std::min(end + 1, tokens.size()));
  }
  const size_t before = out.size();
  const bool steady = stream.steady();
  stream.finish(out);
  promise(!steady || out.size() == before);
  return out;
}

}  // namespace

// The first byte chooses a decoder, the lines of the rest are tokens. A stream is as new when it
// has ended, and a steady one adds the text that a token has in the middle.
void check(std::string_view bytes) {
  static const std::vector<Decoder> decoders = [] {
    std::vector<Decoder> made;
    for (const char* json : testing::kDecoderSamples)
      made.push_back(Decoder::from_json(text_json::parse(json, "f"), "f"));
    return made;
  }();
  if (bytes.empty()) return;
  const Decoder& decoder = decoders[static_cast<uint8_t>(bytes[0]) % decoders.size()];
  const std::string_view tokens = bytes.substr(1);
  Decoder::Stream stream = decoder.stream();
  const std::string text = decode(stream, tokens);
  promise(decode(stream, tokens) == text);
  promise(decode_steadily(decoder, tokens) == text);
}

std::vector<Seed> seeds() {
  std::vector<Seed> seeds;
  for (size_t i = 0; i < std::size(testing::kDecoderSamples); ++i) {
    seeds.push_back({std::to_string(i),
                     std::string(1, static_cast<char>(i)) +
                         "\u2581the\n##ing\n<0xE4>\n<0xB8>\n<0xAD>\n \n  a\naab</w>\n|\n<pad>\n"
                         "<pad>\n\u0120b\n.\n n't\n\nx \n"});
  }
  return seeds;
}

}  // namespace lathe::fuzz
