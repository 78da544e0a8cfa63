#include "lathe/cli/commands/bench/tokenizer.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

constexpr int kDocumentCharacters = 4000;

std::vector<std::string_view> documents_of(std::string_view text) {
  std::vector<std::string_view> documents;
  const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
  while (p < end) {
    const uint8_t* q = p;
    for (int i = 0; i < kDocumentCharacters && q < end; ++i) q += decode_utf8(q, end).size;
    documents.push_back(text.substr(static_cast<size_t>(p - begin), static_cast<size_t>(q - p)));
    p = q;
  }
  return documents;
}

// Tokens in all documents, each thread with an encoder of its own.
int64_t encode_all(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents) {
  std::vector<int64_t> tokens(static_cast<size_t>(thread_count()), 0);
  parallel_ranges(static_cast<int64_t>(documents.size()), 1, [&](Range range, int thread) {
    Encoder encoder = tokenizer.encoder();
    std::vector<int32_t> ids;
    for (int64_t i = range.begin; i < range.end; ++i) {
      ids.clear();
      encoder.encode(documents[static_cast<size_t>(i)], {}, ids);
      tokens[static_cast<size_t>(thread)] += static_cast<int64_t>(ids.size());
    }
  });
  return std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
}

struct BenchTokenizerOptions {
  std::string tokenizer, file;
  double seconds = 2;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.positional("file", file, "text to encode");
    v.field("seconds", seconds, "approximate time to measure for", between(0, 3600));
  }
};

int run_bench_tokenizer(const BenchTokenizerOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer);
  const MappedFile file(options.file);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const EncodeSpeed speed = measure_encode(tokenizer, text, options.seconds);
  if (context.json) {
    context.print_json({{"mb_per_s", speed.mb_per_s},
                        {"bytes", speed.bytes},
                        {"documents", speed.documents},
                        {"tokens", speed.tokens},
                        {"threads", thread_count()},
                        {"passes", speed.passes}});
  } else {
    context.out << fmt::format(
        "{:.1f} MB/s on {} thread(s): {} documents, {} bytes, {} tokens, {:.2f} bytes a token\n",
        speed.mb_per_s, thread_count(), speed.documents, speed.bytes, speed.tokens,
        static_cast<double>(speed.bytes) / static_cast<double>(speed.tokens));
  }
  return 0;
}

}  // namespace

EncodeSpeed measure_encode(const Tokenizer& tokenizer, std::string_view text, double seconds) {
  using Clock = std::chrono::steady_clock;
  require(!text.empty(), ErrorKind::kData, "bench tokenizer", "the text is empty");
  const std::vector<std::string_view> documents = documents_of(text);
  EncodeSpeed speed;
  speed.bytes = static_cast<int64_t>(text.size());
  speed.documents = static_cast<int64_t>(documents.size());
  std::vector<double> rates;
  const auto start = Clock::now();
  double elapsed = 0;
  while (rates.size() < 3 || elapsed < seconds) {
    const auto pass = Clock::now();
    speed.tokens = encode_all(tokenizer, documents);
    const auto now = Clock::now();
    rates.push_back(static_cast<double>(text.size()) / 1e6 /
                    std::chrono::duration<double>(now - pass).count());
    elapsed = std::chrono::duration<double>(now - start).count();
    if (interrupt_requested()) break;
  }
  throw_if_interrupted();
  speed.passes = static_cast<int>(rates.size());
  std::nth_element(rates.begin(), rates.begin() + speed.passes / 2, rates.end());
  speed.mb_per_s = rates[static_cast<size_t>(speed.passes / 2)];
  return speed;
}

Command bench_tokenizer_command() {
  return make_command<BenchTokenizerOptions>(
      {.name = "tokenizer",
       .summary = "measure how fast a tokenizer encodes",
       .help =
           "Encodes the file in documents of 4,000 characters. Every pass starts with fresh\n"
           "encoders, so nothing is remembered from an earlier pass; the median is reported.\n\n"
           "  lathe bench tokenizer runs/tok book.txt --threads 1\n"},
      run_bench_tokenizer);
}

}  // namespace lathe
