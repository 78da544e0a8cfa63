#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/documents/index/index_update.h"
#include "lathe/documents/model_document_encoder.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct IndexOptions {
  std::vector<std::string> folders;
  std::string out;
  std::optional<std::string> encoder;
  int64_t chunk_tokens = 256, overlap = 32;

  void visit(Visitor& v) {
    v.positional("folders", folders, "folders, or files, of documents");
    v.field("out", out, "folder of the index; one that is there is brought up to date", required());
    v.field(
        "encoder", encoder,
        "model that makes vectors of texts, such as all-MiniLM-L6-v2; without one only words are found");
    v.field("chunk_tokens", chunk_tokens, "tokens that are shown together, at most",
            between(16, 8192));
    v.field("overlap", overlap, "tokens that two parts of a long paragraph share",
            between(0, 4096));
  }
};

void print(const IndexReport& report, const IndexOptions& o, CommandContext& context) {
  if (context.json) {
    Json skipped = Json::array();
    for (const SkippedFile& file : report.skipped)
      skipped.push_back({{"path", file.path}, {"reason", file.reason}});
    return context.print_json({{"files", report.files},
                               {"read", report.read},
                               {"chunks", report.chunks},
                               {"tokens", report.tokens},
                               {"skipped", std::move(skipped)}});
  }
  context.out << fmt::format("{}: {} ({} read now) in {}, {} tokens\n", o.out,
                             counted(report.files, "file"), report.read,
                             counted(report.chunks, "chunk"), report.tokens);
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < report.skipped.size() && i < kShown; ++i)
    context.out << fmt::format("skipped {}: it {}\n", report.skipped[i].path,
                               report.skipped[i].reason);
  if (report.skipped.size() > kShown)
    context.out << fmt::format("and {} more; --json lists them\n", report.skipped.size() - kShown);
}

int run_index(const IndexOptions& o, CommandContext& context) {
  require(o.overlap < o.chunk_tokens, ErrorKind::kUsage, "--overlap",
          "is {}, expected less than --chunk-tokens {}", o.overlap, o.chunk_tokens);
  IndexRequest request{
      .folders = {}, .out = o.out, .chunk_tokens = o.chunk_tokens, .overlap = o.overlap};
  for (const std::string& folder : o.folders) request.folders.emplace_back(folder);
  std::optional<Progress> progress;
  request.on_progress = [&](int64_t done, int64_t total) {
    throw_if_interrupted();
    if (!progress) progress.emplace(context.progress, "indexing", static_cast<double>(total), "B");
    progress->update(static_cast<double>(done));
  };
  std::unique_ptr<ModelDocumentEncoder> encoder;
  if (o.encoder)
    encoder = std::make_unique<ModelDocumentEncoder>(*o.encoder, context.log,
                                                     [] { throw_if_interrupted(); });
  request.encoder = encoder.get();
  context.begin_to_save();
  const IndexReport report = update_index(request);
  if (progress) progress->finish();
  print(report, o, context);
  return 0;
}

}  // namespace

Command index_command() {
  return make_command<IndexOptions>(
      {.name = "index",
       .summary = "make documents searchable",
       .help =
           "Reads the documents below folders (text, Markdown, HTML, JSON, CSV, LaTeX, reStructuredText, source code),\n"
           "cuts them along their structure, and writes an index of their words and, with --encoder, of their meaning.\n"
           "Again on the same index only what has changed is read; Ctrl-C keeps what was read so far. docs/documents.md\n"
           "explains it.\n\n"
           "  lathe index docs --out notes.index\n"
           "  lathe index papers notes.md --out notes.index --encoder models/all-MiniLM-L6-v2\n"
           "  lathe search notes.index --query 'how is the cache paged?'\n"},
      run_index);
}

}  // namespace lathe
