// Text to token shards. Documents are read one after the other; a batch of them is encoded by all
// threads and written in the order of reading, so the shard does not depend on the number of
// threads.

#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/corpus/validation_part.h"
#include "lathe/io/json_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kBatchDocuments = 4096;
constexpr size_t kBatchBytes = 16 << 20;

struct ShardOptions {
  std::vector<std::string> files;
  std::string tokenizer, out;
  double val_fraction = 0;
  int64_t seed = 0;
  std::optional<std::string> eod;
  bool append_eod = true;
  bool parse_special = false, val_by_content = false;
  DocumentConfig documents;

  template <class V>
  void visit(V& v) {
    v.positional("files", files, "files of text or JSON, also packed, or folders of them");
    v.field("tokenizer", tokenizer, "folder or file of the tokenizer", required());
    v.field("out", out, "prefix of the shard: OUT.bin, OUT.idx and OUT.manifest.json", required());
    v.field("val_fraction", val_fraction,
            "share of the documents, drawn at random, that goes to OUT-valid instead",
            Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
    v.field("val_by_content", val_by_content,
            "draw by the text of a document, so that equal ones go to the same part");
    v.field("seed", seed, "seed of that draw");
    v.field("eod", eod, "the token written behind every document (default: the tokenizer's eos)");
    v.field("append_eod", append_eod, "write an end-of-document token behind every document");
    v.field("parse_special", parse_special,
            "read special tokens written in the text as such instead of as plain text");
    documents.visit(v);
  }
};

// The end-of-document token: the one asked for, else what tokenizer_config.json calls eos, else a
// name that tokenizers commonly use.
std::optional<int32_t> end_of_document(const ShardOptions& options, const Tokenizer& tokenizer) {
  if (!options.append_eod) return std::nullopt;
  if (options.eod) {
    const auto id = tokenizer.id_of(*options.eod);
    require(id.has_value(), ErrorKind::kUsage, "command line",
            "--eod '{}' is not a token of {}; name one of its tokens", *options.eod,
            options.tokenizer);
    return id;
  }
  const fs::path config = fs::path(options.tokenizer) / "tokenizer_config.json";
  std::error_code error;
  if (fs::exists(config, error)) {
    const Json tree = read_json_file(config);
    Json eos = tree.is_object() ? tree.value("eos_token", Json()) : Json();
    if (eos.is_object()) eos = eos.value("content", Json());
    if (eos.is_string())
      if (const auto id = tokenizer.id_of(eos.get<std::string>())) return id;
  }
  static constexpr std::array<const char*, 5> kUsual = {"<|endoftext|>", "<|end_of_text|>", "</s>",
                                                        "<eos>", "<|eos|>"};
  for (const char* name : kUsual)
    if (const auto id = tokenizer.id_of(name)) return id;
  fail(ErrorKind::kData, options.tokenizer,
       "names no end-of-text token; give one with --eod TOKEN, or --no-append-eod to write none. "
       "`lathe tokenizer train` makes one with --special-token '<|endoftext|>'");
}

// One shard being written and what its manifest will say.
struct Output {
  std::string prefix;
  TokenShardWriter writer;
  int64_t bytes = 0;
  std::vector<int64_t> documents_per_file;

  Output(const std::string& path, int64_t vocab_size, size_t files)
      : prefix(path), writer(path, vocab_size), documents_per_file(files, 0) {}
};

Json summary_of(const Output& out) {
  const auto tokens = static_cast<double>(out.writer.num_tokens());
  return {{"prefix", out.prefix},
          {"documents", out.writer.num_documents()},
          {"tokens", out.writer.num_tokens()},
          {"bytes", out.bytes},
          {"bytes_per_token", tokens > 0 ? static_cast<double>(out.bytes) / tokens : 0.0}};
}

const std::string& checked_prefix(const std::string& out) {
  const std::string name = fs::path(out).filename().string();
  require(!name.empty() && name != "." && name != "..", ErrorKind::kUsage, "command line",
          "--out {} is a folder, expected the beginning of two files' names; give one in it, as in "
          "{}{}data",
          out, out, out.ends_with('/') ? "" : "/");
  return out;
}

class Sharder {
 public:
  Sharder(const ShardOptions& options, CommandContext& context)
      : options_(options),
        context_(context),
        tokenizer_(load_tokenizer(options.tokenizer)),
        eod_(end_of_document(options, tokenizer_)),
        input_(options.files, context),
        train_(checked_prefix(options.out), tokenizer_.vocab_size(), input_.files().size()) {
    if (options.val_fraction == 0) return;
    valid_.emplace(options.out + "-valid", tokenizer_.vocab_size(), input_.files().size());
    split_.emplace(static_cast<uint64_t>(options.seed), options.val_fraction,
                   options.val_by_content);
  }

  int run() {
    counts_ = for_each_document(
        input_.files(), options_.documents,
        [&](Document&& document) {
          batch_bytes_ += document.text.size();
          batch_.push_back(std::move(document));
          if (batch_.size() >= kBatchDocuments || batch_bytes_ >= kBatchBytes) encode_batch();
          return true;
        },
        input_.hook("encoding"));
    encode_batch();
    input_.finish(counts_);
    check_split();
    finish();
    report();
    return 0;
  }

 private:
  void encode_batch() {
    std::vector<std::vector<int32_t>> ids(batch_.size());
    const EncodeOptions how{.special_as_text = !options_.parse_special,
                            .progress = [](size_t) { throw_if_interrupted(); }};
    parallel_dynamic(static_cast<int64_t>(batch_.size()), [&](int64_t i, int) {
      const auto at = static_cast<size_t>(i);
      throw_if_interrupted();
      ids[at] = tokenizer_.encode(batch_[at].text, how);
      if (eod_) ids[at].push_back(*eod_);
    });
    for (size_t i = 0; i < batch_.size(); ++i) {
      Output& out = split_ && split_->is_validation(batch_[i].text) ? *valid_ : train_;
      out.writer.add_document(ids[i]);
      out.bytes += static_cast<int64_t>(batch_[i].text.size());
      ++out.documents_per_file[batch_[i].place.file];
    }
    input_.note(human_count(static_cast<double>(train_.writer.num_tokens())) + " tokens");
    batch_.clear();
    batch_bytes_ = 0;
  }

  void check_split() const {
    if (!valid_) return;
    for (const Output* out : {&train_, &*valid_})
      require(
          out->writer.num_documents() > 0, ErrorKind::kData, out->prefix,
          "none of the {} documents fell into it with --val-fraction {}; cut the text into more "
          "documents (--split blank-lines), choose another share or another --seed",
          counts_.documents, options_.val_fraction);
  }

  // An older validation part goes before the new training data can be read, and not before all of
  // that is on disk.
  void finish() {
    const std::vector<ArtefactRef> inputs = input_.manifest_inputs();
    throw_if_interrupted();
    const StopShield together;
    train_.writer.finish([&] {
      if (remove_validation_part(options_.out) && !valid_)
        context_.log.info("{}-valid of an earlier split was removed; all documents are in {} now",
                          options_.out, options_.out);
    });
    write_shard_manifest(train_, inputs);
    if (!valid_) return;
    valid_->writer.finish();
    write_shard_manifest(*valid_, inputs);
  }

  void write_shard_manifest(const Output& out, const std::vector<ArtefactRef>& inputs) {
    Manifest manifest = new_manifest("shard", context_.command_line());
    manifest.seed = options_.seed;
    manifest.recipe = write_config(options_).dump(-1, ' ', false, Json::error_handler_t::replace);
    Json facts = summary_of(out);
    facts.erase("prefix");
    input_.add_facts(counts_, facts);
    facts["vocab_size"] = tokenizer_.vocab_size();
    if (eod_) facts["eod"] = *eod_;
    add_input(manifest, options_.tokenizer, "tokenizer");
    facts["documents_per_input"] = Json::array({0});  // the tokenizer gives none
    for (const int64_t documents : out.documents_per_file)
      facts["documents_per_input"].push_back(documents);
    manifest.inputs.insert(manifest.inputs.end(), inputs.begin(), inputs.end());
    manifest.facts = facts.dump();
    for (const char* extension : {".bin", ".idx"})
      add_output(manifest, out.prefix + extension, "shard");
    write_manifest(manifest_path(out.prefix, false), manifest);
  }

  void report() {
    const int64_t in_both = split_ ? split_->validation_also_in_training() : 0;
    if (in_both > 0)
      context_.log.warn(
          "{} of the {} validation documents stand in the training data as well; "
          "--val-by-content keeps equal documents in one part",
          in_both, valid_->writer.num_documents());
    if (context_.json) {
      Json result = summary_of(train_);
      input_.add_facts(counts_, result);
      if (valid_) {
        result["valid"] = summary_of(*valid_);
        result["valid"]["also_in_training"] = in_both;
      }
      result["seconds"] = input_.seconds();
      context_.print_json(result);
      return;
    }
    for (const Output* out : {&train_, valid_ ? &*valid_ : nullptr}) {
      if (out == nullptr) continue;
      const Json s = summary_of(*out);
      context_.out << fmt::format(
          "{}: {} documents, {} tokens, {} of text, {:.2f} bytes a token\n", out->prefix,
          out->writer.num_documents(), out->writer.num_tokens(),
          human_bytes(static_cast<double>(out->bytes)), s["bytes_per_token"].get<double>());
    }
  }

  const ShardOptions& options_;
  CommandContext& context_;
  Tokenizer tokenizer_;
  std::optional<int32_t> eod_;
  CorpusInput input_;
  Output train_;
  std::optional<Output> valid_;
  std::optional<ValidationSplit> split_;
  DocumentCounts counts_;
  std::vector<Document> batch_;
  size_t batch_bytes_ = 0;
};

int run_shard(const ShardOptions& options, CommandContext& context) {
  require(options.val_fraction > 0 || !options.val_by_content, ErrorKind::kUsage, "command line",
          "--val-by-content says how validation documents are drawn, but none are; add "
          "--val-fraction");
  const fs::path folder = fs::path(options.out).parent_path();
  refuse_foreign_validation_part(options.out, context.log);
  if (!folder.empty()) fs::create_directories(folder);
  return Sharder(options, context).run();
}

}  // namespace

Command shard_command() {
  return make_command<ShardOptions>(
      {.name = "shard",
       .summary = "turn text into token shards for training",
       .help =
           "Encodes documents with all cores and writes Megatron-LM's OUT.bin and OUT.idx, in the\n"
           "order of reading, with a manifest that names the tokenizer and every source file.\n"
           "A plain text file is one document unless --split says otherwise. JSON lines and JSON "
           "arrays are\n"
           "recognised by their content; all may be packed with gzip or zstd.\n\n"
           "  lathe shard book.txt --tokenizer runs/tok --out runs/data --split blank-lines\n"
           "  lathe shard corpus.jsonl.gz more/ --tokenizer runs/tok --out runs/data "
           "--val-fraction 0.01\n"
           "  lathe shard /usr/share/games/fortunes --tokenizer runs/tok --out runs/data "
           "--split separator\n"},
      run_shard);
}

}  // namespace lathe
