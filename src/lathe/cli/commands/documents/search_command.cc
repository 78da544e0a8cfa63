#include <iostream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/documents/index_encoder.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/documents/search/document_index.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct SearchOptions {
  std::string index;
  std::optional<std::string> query, queries, mode;
  int64_t k = 10;

  void visit(Visitor& v) {
    v.positional("index", index, "folder that `lathe index` made");
    v.field("query", query, "what to look for");
    v.field("queries", queries, "file of JSON lines {\"query\": …}; one line of results for each");
    v.field("k", k, "results, at most", between(1, 10'000));
    v.choice(
        "mode", mode, search_mode_names(),
        "bm25: by words; vector: by meaning; hybrid: both (the default where there are vectors)");
  }
};

std::vector<std::string> queries_of(const SearchOptions& o) {
  require(o.query.has_value() != o.queries.has_value(), ErrorKind::kUsage, "lathe search",
          "give either --query TEXT or --queries FILE");
  if (o.query) return {*o.query};
  std::vector<std::string> out;
  std::istringstream lines(read_file(*o.queries));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const Json one = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    require(one.is_object() && one.contains("query") && one["query"].is_string(), ErrorKind::kData,
            *o.queries, "line {} is no {{\"query\": \"…\"}}", out.size() + 1);
    out.push_back(one["query"].get<std::string>());
  }
  return out;
}

SearchMode mode_of(const SearchOptions& o, const DocumentIndex& index) {
  if (!o.mode) return index.has_vectors() ? SearchMode::kHybrid : SearchMode::kBm25;
  const auto names = search_mode_names();
  const auto it = std::ranges::find(names, *o.mode);
  return static_cast<SearchMode>(it - names.begin());
}

Json as_json(const std::vector<FoundChunk>& found) {
  Json results = Json::array();
  for (const FoundChunk& one : found)
    results.push_back({{"path", one.path},
                       {"start", one.begin},
                       {"end", one.end},
                       {"score", one.score},
                       {"cosine", one.cosine},
                       {"coverage", one.coverage},
                       {"text", one.text},
                       {"title", one.title},
                       {"headings", one.trail}});
  return {{"results", std::move(results)}};
}

void print(const std::vector<FoundChunk>& found, std::ostream& out) {
  for (const FoundChunk& one : found) {
    out << fmt::format("{:.3f}  {}:{}-{}{}\n", one.score, one.path, one.begin, one.end,
                       one.trail.empty() ? "" : "  " + one.trail);
    std::string text = readable_utf8(one.text.substr(0, 300));
    for (char& c : text) c = c == '\n' ? ' ' : c;
    out << "       " << text << (one.text.size() > 300 ? " …\n" : "\n");
  }
  if (found.empty()) out << "nothing found\n";
}

int run_search(const SearchOptions& o, CommandContext& context) {
  const std::vector<std::string> queries = queries_of(o);
  DocumentIndex index(o.index);
  const SearchMode mode = mode_of(o, index);
  const auto encoder = mode == SearchMode::kBm25 ? nullptr : encoder_of(index, context.log);
  std::vector<float> vector(encoder ? static_cast<size_t>(encoder->dimensions()) : 0);
  for (const std::string& query : queries) {
    throw_if_interrupted();
    if (encoder) encoder->encode(std::span(&query, 1), vector.data());
    const std::vector<FoundChunk> found = index.search(query, vector, mode, o.k);
    if (context.json)
      context.out << as_json(found).dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    else
      print(found, context.out);
  }
  return 0;
}

}  // namespace

Command search_command() {
  return make_command<SearchOptions>(
      {.name = "search",
       .summary = "find passages in documents",
       .help =
           "Prints the passages of an index that fit a question best, with their files and bytes.\n\n"
           "  lathe search notes.index --query 'how is the cache paged?' --k 5\n"
           "  lathe search notes.index --queries questions.jsonl --mode bm25 --json\n"},
      run_search);
}

}  // namespace lathe
