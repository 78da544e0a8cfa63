#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

struct EncodeCommandOptions {
  std::string tokenizer, input, out;
  bool special = true, add_special = false;
  std::optional<std::string> pattern;
  std::optional<int64_t> nbest, sample;
  double alpha = 1, dropout = 0;
  int64_t seed = 0;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field("input", input, "file to encode, as one text", required());
    v.field("out", out, "JSON file for the list of ids", required());
    v.field("special", special, "recognise special tokens written in the text");
    v.field("add_special", add_special,
            "add the tokens that the tokenizer puts around a text (BOS, EOS)");
    visit_pattern(v, pattern);
    v.field("nbest", nbest, "list the N best segmentations instead, best first (Unigram)",
            at_least(1));
    v.field("sample", sample, "list N segmentations that are drawn at random instead (Unigram)",
            at_least(1));
    v.field("alpha", alpha,
            "for --sample: a segmentation is drawn with probability proportional to its own, to "
            "the power of this; 0 draws all alike");
    v.field(
        "dropout", dropout,
        "BPE-dropout: the probability that a merge is passed over; 1 leaves the smallest tokens",
        between(0, 1));
    v.field("seed", seed, "seed of --sample and --dropout", at_least(0));
  }
};

void write_list(AtomicFile& file, std::span<const int32_t> ids) {
  file.write("[");
  for (size_t begin = 0; begin < ids.size(); begin += kIdsAtOnce) {
    throw_if_interrupted();
    const auto some = ids.subspan(begin, std::min(kIdsAtOnce, ids.size() - begin));
    file.write(fmt::format("{}{}", begin > 0 ? ", " : "", fmt::join(some, ", ")));
  }
  file.write("]");
}

void write_ids(const std::string& path, std::span<const int32_t> ids) {
  AtomicFile file(path);
  write_list(file, ids);
  file.write("\n");
  file.commit(throw_if_interrupted);
}

using Lists = std::vector<std::vector<int32_t>>;

void write_lists(const std::string& path, const Lists& lists) {
  AtomicFile file(path);
  file.write("[");
  for (size_t i = 0; i < lists.size(); ++i) {
    if (i > 0) file.write(",\n ");
    write_list(file, lists[i]);
  }
  file.write("]\n");
  file.commit(throw_if_interrupted);
}

// Several segmentations of the text, for --nbest and --sample.
Lists segmentations(const EncodeCommandOptions& options, const Tokenizer& tokenizer,
                    std::string_view text, const EncodeOptions& encode) {
  Lists lists;
  if (options.nbest) {
    for (auto& s : tokenizer.nbest(text, *options.nbest, encode)) lists.push_back(std::move(s.ids));
    return lists;
  }
  const Rng rng = Rng(static_cast<uint64_t>(options.seed)).fork("segmentation");
  for (int64_t i = 0; i < *options.sample; ++i) {
    throw_if_interrupted();
    lists.push_back(
        tokenizer.sample(text, options.alpha, rng.fork(static_cast<uint64_t>(i)), encode));
  }
  return lists;
}

std::vector<int32_t> encode_whole(const EncodeCommandOptions& options, const Tokenizer& tokenizer,
                                  std::string_view text, EncodeOptions encode,
                                  CommandContext& context) {
  if (options.dropout > 0) {
    const Rng rng = Rng(static_cast<uint64_t>(options.seed)).fork("dropout");
    return tokenizer.encode_with_dropout(text, options.dropout, rng, encode);
  }
  Progress progress(context.progress, "encoding", static_cast<double>(text.size()), "B");
  encode.progress = [&](size_t done) {
    throw_if_interrupted();
    progress.update(static_cast<double>(done));
  };
  std::vector<int32_t> ids = tokenizer.encode(text, encode);
  progress.finish();
  return ids;
}

void check(const EncodeCommandOptions& o) {
  const int ways = (o.nbest ? 1 : 0) + (o.sample ? 1 : 0) + (o.dropout > 0 ? 1 : 0);
  require(ways <= 1, ErrorKind::kUsage, "command line",
          "--nbest, --sample and --dropout exclude each other; give one of them");
}

int run_encode(const EncodeCommandOptions& options, CommandContext& context) {
  check(options);
  const Tokenizer tokenizer = load_tokenizer_of(options.tokenizer, options.pattern);
  const std::string text = read_file(options.input);
  const EncodeOptions encode{.special_as_text = !options.special,
                             .add_special_tokens = options.add_special};
  nlohmann::ordered_json facts = {{"bytes", text.size()}, {"out", options.out}};
  if (options.nbest || options.sample) {
    const Lists lists = segmentations(options, tokenizer, text, encode);
    write_lists(options.out, lists);
    facts["segmentations"] = lists.size();
  } else {
    const std::vector<int32_t> ids = encode_whole(options, tokenizer, text, encode, context);
    write_ids(options.out, ids);
    facts["tokens"] = ids.size();
  }
  if (context.json) context.print_json(facts);
  return 0;
}

}  // namespace

Command tokenizer_encode_command() {
  return make_command<EncodeCommandOptions>(
      {.name = "encode",
       .summary = "text to token ids",
       .help = "The whole file is one text; any bytes are allowed.\n\n"
               "  lathe tokenizer encode runs/tok --input book.txt --out ids.json\n"
               "  lathe tokenizer encode t5.model --input line.txt --nbest 8 --out lists.json\n"},
      run_encode);
}

}  // namespace lathe
