#include "lathe/cli/commands/bench/tokenizer.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

constexpr int kDocumentCharacters = 4000;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

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
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.positional("file", file, "text to encode");
    v.field("seconds", seconds, "approximate time to measure for", between(0, 3600));
  }
};

// Bytes of text a second that decoding gives on one thread, and the bytes.
std::pair<double, int64_t> measure_decode(const Tokenizer& tokenizer, std::string_view text,
                                          double seconds) {
  std::vector<std::vector<int32_t>> lists;
  for (const std::string_view document : documents_of(text))
    lists.push_back(tokenizer.encode(document));
  std::vector<double> times;
  int64_t bytes = 0;
  const auto start = Clock::now();
  while (times.size() < 3 || seconds_since(start) < seconds) {
    const auto pass = Clock::now();
    bytes = 0;
    for (const std::vector<int32_t>& ids : lists)
      bytes += static_cast<int64_t>(tokenizer.decode(ids).size());
    times.push_back(seconds_since(pass));
    throw_if_interrupted();
  }
  return {static_cast<double>(bytes) / median(std::move(times)), bytes};
}

int run_bench_tokenizer(const BenchTokenizerOptions& options, CommandContext& context) {
  const auto load = Clock::now();
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer);
  const double load_ms = 1e3 * seconds_since(load);
  const MappedFile file(options.file);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const EncodeSpeed speed = measure_encode(tokenizer, text, options.seconds);
  const auto [decode_rate, decoded] = measure_decode(tokenizer, text, options.seconds);
  if (context.json) {
    context.print_json({{"mb_per_s", speed.mb_per_s},
                        {"bytes", speed.bytes},
                        {"documents", speed.documents},
                        {"tokens", speed.tokens},
                        {"threads", thread_count()},
                        {"passes", speed.passes},
                        {"decode_mb_per_s", decode_rate / 1e6},
                        {"decoded_bytes", decoded},
                        {"load_ms", load_ms}});
  } else {
    context.out << fmt::format(
        "{:.1f} MB/s on {} thread(s): {} documents, {} bytes, {} tokens, {:.2f} bytes a token\n"
        "decoding {:.1f} MB/s on one thread, loading {:.0f} ms\n",
        speed.mb_per_s, thread_count(), speed.documents, speed.bytes, speed.tokens,
        static_cast<double>(speed.bytes) / static_cast<double>(speed.tokens), decode_rate / 1e6,
        load_ms);
  }
  return 0;
}

}  // namespace

EncodeSpeed measure_encode(const Tokenizer& tokenizer, std::string_view text, double seconds) {
  require(!text.empty(), ErrorKind::kData, "bench tokenizer", "the text is empty");
  const std::vector<std::string_view> documents = documents_of(text);
  EncodeSpeed speed;
  speed.bytes = static_cast<int64_t>(text.size());
  speed.documents = static_cast<int64_t>(documents.size());
  std::vector<double> rates;
  const auto start = Clock::now();
  while (rates.size() < 3 || seconds_since(start) < seconds) {
    const auto pass = Clock::now();
    speed.tokens = encode_all(tokenizer, documents);
    rates.push_back(static_cast<double>(text.size()) / 1e6 / seconds_since(pass));
    if (interrupt_requested()) break;
  }
  throw_if_interrupted();
  speed.passes = static_cast<int>(rates.size());
  speed.mb_per_s = median(std::move(rates));
  return speed;
}

Command bench_tokenizer_command() {
  return make_command<BenchTokenizerOptions>(
      {.name = "tokenizer",
       .summary = "measure how fast a tokenizer encodes and decodes",
       .help =
           "Encodes the file in documents of 4,000 characters. Every pass starts with fresh\n"
           "encoders, so nothing is remembered from an earlier pass; the median is reported. Then\n"
           "the same for decoding, on one thread.\n\n"
           "  lathe bench tokenizer runs/tok book.txt --threads 1\n"},
      run_bench_tokenizer);
}

}  // namespace lathe
