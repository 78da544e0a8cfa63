#include "lathe/eval/run/contamination.h"

#include <algorithm>

#include "lathe/corpus/whole_texts.h"
#include "lathe/corpus/word_hashes.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

void add_texts_of(const LineageNode& node, std::vector<std::filesystem::path>& texts) {
  if (node.kind == "text" && node.state == LineageNode::State::kIntact &&
      std::ranges::find(texts, std::filesystem::path(node.path)) == texts.end())
    texts.emplace_back(node.path);
  for (const LineageNode& parent : node.parents) add_texts_of(parent, texts);
}

}  // namespace

Contamination::Contamination(const std::vector<AskedTask>& tasks, int64_t ngram)
    : ngram_(ngram), found_(tasks.size()), too_short_(tasks.size()) {
  for (size_t t = 0; t < tasks.size(); ++t)
    for (const EvalItem& item : tasks[t].items) {
      const auto& row = tasks[t].task.rows().rows[static_cast<size_t>(item.id)].fields;
      const auto grams = ngram_hashes(word_hashes(texts_in(row)), static_cast<size_t>(ngram_));
      too_short_[t] += grams.empty();
      for (const uint64_t gram : grams)
        grams_.emplace(gram, Place{static_cast<uint32_t>(t), item.id});
    }
}

void Contamination::look_in(const std::filesystem::path& file,
                            const std::function<void()>& before_each) {
  for_each_whole_text(file, [&](std::string_view text) {
    before_each();
    for (const uint64_t gram : ngram_hashes(word_hashes(text), static_cast<size_t>(ngram_))) {
      const auto [first, last] = grams_.equal_range(gram);
      for (auto at = first; at != last; ++at) found_[at->second.task].insert(at->second.item);
    }
  });
}

std::vector<std::filesystem::path> texts_of_lineage(const std::filesystem::path& model) {
  std::vector<std::filesystem::path> texts;
  if (find_manifest(model)) add_texts_of(trace_lineage(model), texts);
  return texts;
}

}  // namespace lathe
