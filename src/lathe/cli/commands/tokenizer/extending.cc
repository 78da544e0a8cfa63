#include "lathe/cli/commands/tokenizer/extending.h"

#include <nlohmann/json.hpp>

#include "lathe/cli/frame/interrupt.h"
#include "lathe/corpus/document_feed.h"

namespace lathe {

using Json = nlohmann::ordered_json;

ExtendedTokenizer learn_pieces(const Tokenizer& old, const ExtendOptions& options,
                               const DocumentConfig& documents, CorpusInput& input,
                               CommandContext& context) {
  std::optional<Progress> bar;
  const auto feed = [&](CorpusReceiver& receiver) {
    DocumentFeed fed(receiver);
    input.finish(read_documents(input.files(), documents, fed, input.hook("reading")));
  };
  const auto learning = [&](std::string_view phase, int64_t done, int64_t total) {
    throw_if_interrupted();
    if (!bar) bar.emplace(context.progress, std::string(phase), static_cast<double>(total), "");
    bar->update(static_cast<double>(done));
  };
  ExtendedTokenizer extended = extend_tokenizer(old, feed, options, learning);
  if (bar) bar->finish();
  if (extended.stats.forgotten > 0)
    context.log.warn(
        "{} rare words were dropped to stay within {} MiB; raise --memory-mib for an exact result",
        extended.stats.forgotten, options.memory_bytes >> 20);
  return extended;
}

Fertility& Fertility::operator+=(const Fertility& more) {
  before += more.before;
  after += more.after;
  return *this;
}

namespace {

Json facts_of(const TextLength& length) {
  return {{"tokens", length.tokens},
          {"tokens_per_character", length.tokens_per_character()},
          {"bytes_per_token", length.bytes_per_token()},
          {"unknown_tokens", length.unknown}};
}

}  // namespace

Json Fertility::facts() const { return {{"before", facts_of(before)}, {"after", facts_of(after)}}; }

std::vector<Fertility> measure_fertility(const Tokenizer& before, const Tokenizer& after,
                                         const DocumentConfig& documents, CorpusInput& input) {
  std::vector<Fertility> fertility(input.files().size());
  const auto receive = [&](Document&& document) {
    throw_if_interrupted();
    fertility[document.place.file] +=
        {text_length(before, document.text), text_length(after, document.text)};
    return true;
  };
  for_each_document(input.files(), documents, receive, input.hook("measuring"));
  return fertility;
}

}  // namespace lathe
