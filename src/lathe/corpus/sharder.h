// Turns documents into token shards: all threads encode a batch of documents, which is written in
// the order of reading, so a shard does not depend on the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/corpus/documents.h"
#include "lathe/corpus/validation_part.h"
#include "lathe/io/manifest.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct ShardConfig {
  std::vector<std::string> files;
  std::string tokenizer, out;
  double val_fraction = 0;
  int64_t seed = 0;
  std::optional<std::string> eod;
  bool append_eod = true;
  bool parse_special = false, val_by_content = false;
  DocumentConfig documents;

  void visit(Visitor& v);
};

// One of the shards that were written: OUT, or OUT-valid.
struct ShardSummary {
  std::string prefix;
  int64_t documents = 0, tokens = 0, bytes = 0;  // bytes of text

  double bytes_per_token() const {
    return tokens > 0 ? static_cast<double>(bytes) / static_cast<double>(tokens) : 0.0;
  }
  nlohmann::ordered_json to_json() const;
};

// What the manifests of the shards contain in addition to what the sharder knows.
struct ShardOrigin {
  std::string command;
  std::vector<ArtefactRef> inputs;  // the files, in the order of DocumentPlace::file
  std::function<void(nlohmann::ordered_json&)> add_facts;  // counts of what was read; may be empty
};

// Not thread-safe; uses all threads itself. Until save() returns, no file of an earlier shard is
// touched, and after an error or the destructor nothing is left.
class Sharder {
 public:
  // All threads call `check` while they encode; it may throw, which ends the work. Errors: kConfig
  // for val_by_content without val_fraction; kUsage or kData when there is no end-of-document
  // token, or OUT-valid is a shard of unknown origin; those of load_tokenizer.
  Sharder(const ShardConfig& config, size_t files, std::function<void()> check, const Log& log);
  ~Sharder();

  void add(Document&& document);
  // Of the training part so far, without the documents that are waiting to be encoded.
  int64_t tokens() const;

  // Encodes the waiting documents. Throws kData if one of the two parts of a split has no document.
  void finish_reading();
  // Gives the files their names and writes their manifests; an OUT-valid from an earlier split of
  // OUT is replaced or, if nothing is split now, removed.
  void save(const ShardOrigin& origin);

  ShardSummary train() const;
  std::optional<ShardSummary> valid() const;  // of a split
  // The number of validation documents whose text is also in the training part.
  int64_t validation_also_in_training();

 private:
  struct Part;

  void encode_batch();
  void write_shard_manifest(const Part& part, const ShardOrigin& origin) const;

  const ShardConfig config_;
  std::function<void()> check_;
  Log log_;
  Tokenizer tokenizer_;
  std::optional<int32_t> eod_;
  std::unique_ptr<Part> train_, valid_;
  std::optional<ValidationSplit> split_;
  std::vector<Document> batch_;
  size_t batch_bytes_ = 0;
};

}  // namespace lathe
