#include "lathe/corpus/sharder.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/parallel.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/json_file.h"

namespace lathe {

void ShardConfig::visit(Visitor& v) {
  v.positional("files", files, "files of text or JSON, plain or compressed, or folders of them");
  v.field("tokenizer", tokenizer, "folder or file of the tokenizer", required());
  v.field("out", out, "prefix of the shard: OUT.bin, OUT.idx and OUT.manifest.json", required());
  v.field("val_fraction", val_fraction,
          "share of the documents, drawn at random, that goes to OUT-valid instead",
          Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
  v.field("val_by_content", val_by_content,
          "draw by the content of each document, so that equal documents go to the same part");
  v.field("seed", seed, "seed of that draw");
  v.field("eod", eod, "the token written after every document (default: the tokenizer's eos)");
  v.field("append_eod", append_eod, "write an end-of-document token after every document");
  v.field("parse_special", parse_special,
          "read special tokens written in the text as such instead of as plain text");
  documents.visit(v);
}

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kBatchDocuments = 4096;
constexpr size_t kBatchBytes = 16 << 20;

// The end-of-document token: the one asked for, else what tokenizer_config.json calls eos, else a
// name that tokenizers commonly use.
std::optional<int32_t> end_of_document(const ShardConfig& config, const Tokenizer& tokenizer) {
  if (!config.append_eod) return std::nullopt;
  if (config.eod) {
    const auto id = tokenizer.id_of(*config.eod);
    require(id.has_value(), ErrorKind::kUsage, "command line",
            "--eod '{}' is not a token of {}; name one of its tokens", *config.eod,
            config.tokenizer);
    return id;
  }
  const fs::path file = fs::path(config.tokenizer) / "tokenizer_config.json";
  std::error_code error;
  if (fs::exists(file, error)) {
    const Json tree = read_json_file(file);
    Json eos = tree.is_object() ? tree.value("eos_token", Json()) : Json();
    if (eos.is_object()) eos = eos.value("content", Json());
    if (eos.is_string())
      if (const auto id = tokenizer.id_of(eos.get<std::string>())) return id;
  }
  static constexpr std::array<const char*, 5> kUsual = {"<|endoftext|>", "<|end_of_text|>", "</s>",
                                                        "<eos>", "<|eos|>"};
  for (const char* name : kUsual)
    if (const auto id = tokenizer.id_of(name)) return id;
  fail(ErrorKind::kData, config.tokenizer,
       "does not name an end-of-text token; give one with --eod TOKEN, or write none with "
       "--no-append-eod. `lathe tokenizer train` makes one with --special-token '<|endoftext|>'");
}

const ShardConfig& checked(const ShardConfig& config, const Log& log) {
  require(config.val_fraction > 0 || !config.val_by_content, ErrorKind::kUsage, "command line",
          "--val-by-content says how validation documents are drawn, but none are; add "
          "--val-fraction");
  const std::string& out = config.out;
  const std::string name = fs::path(out).filename().string();
  refuse_foreign_validation_part(out, log);
  require(!name.empty() && name != "." && name != "..", ErrorKind::kUsage, "command line",
          "--out {} is a folder, expected the prefix of two file names; give one in the folder, as "
          "in {}{}data",
          out, out, out.ends_with('/') ? "" : "/");
  return config;
}

}  // namespace

Json ShardSummary::to_json() const {
  return {{"prefix", prefix},
          {"documents", documents},
          {"tokens", tokens},
          {"bytes", bytes},
          {"bytes_per_token", bytes_per_token()}};
}

// One shard being written and what its manifest will say.
struct Sharder::Part {
  std::string prefix;
  TokenShardWriter writer;
  int64_t bytes = 0;
  std::vector<int64_t> documents_per_file;

  Part(const std::string& path, int64_t vocab_size, size_t files)
      : prefix(path), writer(path, vocab_size), documents_per_file(files, 0) {}

  ShardSummary summary() const {
    return {prefix, writer.num_documents(), writer.num_tokens(), bytes};
  }
};

Sharder::Sharder(const ShardConfig& config, size_t files, std::function<void()> check,
                 const Log& log)
    : config_(checked(config, log)),
      check_(std::move(check)),
      log_(log),
      tokenizer_(load_tokenizer(config.tokenizer)),
      eod_(end_of_document(config, tokenizer_)) {
  const fs::path folder = fs::path(config.out).parent_path();
  if (!folder.empty()) fs::create_directories(folder);
  train_ = std::make_unique<Part>(config.out, tokenizer_.vocab_size(), files);
  if (config.val_fraction == 0) return;
  valid_ = std::make_unique<Part>(config.out + "-valid", tokenizer_.vocab_size(), files);
  split_.emplace(static_cast<uint64_t>(config.seed), config.val_fraction, config.val_by_content);
}

Sharder::~Sharder() = default;

void Sharder::add(Document&& document) {
  batch_bytes_ += document.text.size();
  batch_.push_back(std::move(document));
  if (batch_.size() >= kBatchDocuments || batch_bytes_ >= kBatchBytes) encode_batch();
}

int64_t Sharder::tokens() const { return train_->writer.num_tokens(); }

void Sharder::encode_batch() {
  std::vector<std::vector<int32_t>> ids(batch_.size());
  const EncodeOptions how{.special_as_text = !config_.parse_special,
                          .progress = [this](size_t) { check_(); }};
  parallel_dynamic(static_cast<int64_t>(batch_.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    check_();
    ids[at] = tokenizer_.encode(batch_[at].text, how);
    if (eod_) ids[at].push_back(*eod_);
  });
  for (size_t i = 0; i < batch_.size(); ++i) {
    Part& part = split_ && split_->is_validation(batch_[i].text) ? *valid_ : *train_;
    part.writer.add_document(ids[i]);
    part.bytes += static_cast<int64_t>(batch_[i].text.size());
    ++part.documents_per_file[batch_[i].place.file];
  }
  batch_.clear();
  batch_bytes_ = 0;
}

void Sharder::finish_reading() {
  encode_batch();
  if (!valid_) return;
  const int64_t documents = train_->writer.num_documents() + valid_->writer.num_documents();
  for (const Part* part : {train_.get(), valid_.get()})
    require(part->writer.num_documents() > 0, ErrorKind::kData, part->prefix,
            "none of the {} documents was drawn for it with --val-fraction {}; split the text into "
            "more documents (--split blank-lines), or choose another fraction or another --seed",
            documents, config_.val_fraction);
}

// An older validation part goes before the new training data can be read, and not before all of
// that is on disk.
void Sharder::save(const ShardOrigin& origin) {
  train_->writer.finish([&] {
    if (remove_validation_part(config_.out) && !valid_)
      log_.info("{}-valid of an earlier split was removed; all documents are in {} now",
                config_.out, config_.out);
  });
  write_shard_manifest(*train_, origin);
  if (!valid_) return;
  valid_->writer.finish();
  write_shard_manifest(*valid_, origin);
}

void Sharder::write_shard_manifest(const Part& part, const ShardOrigin& origin) const {
  Manifest manifest = new_manifest("shard", origin.command);
  manifest.seed = config_.seed;
  manifest.recipe = write_config(config_).dump(-1, ' ', false, Json::error_handler_t::replace);
  Json facts = part.summary().to_json();
  facts.erase("prefix");
  if (origin.add_facts) origin.add_facts(facts);
  facts["vocab_size"] = tokenizer_.vocab_size();
  if (eod_) facts["eod"] = *eod_;
  add_input(manifest, config_.tokenizer, "tokenizer");
  facts["documents_per_input"] = Json::array({0});  // the tokenizer gives none
  for (const int64_t documents : part.documents_per_file)
    facts["documents_per_input"].push_back(documents);
  manifest.inputs.insert(manifest.inputs.end(), origin.inputs.begin(), origin.inputs.end());
  manifest.facts = facts.dump();
  for (const char* extension : {".bin", ".idx"})
    add_output(manifest, part.prefix + extension, "shard");
  write_manifest(manifest_path(part.prefix, false), manifest);
}

ShardSummary Sharder::train() const { return train_->summary(); }

std::optional<ShardSummary> Sharder::valid() const {
  return valid_ ? std::optional(valid_->summary()) : std::nullopt;
}

int64_t Sharder::validation_also_in_training() {
  return split_ ? split_->validation_also_in_training() : 0;
}

}  // namespace lathe
