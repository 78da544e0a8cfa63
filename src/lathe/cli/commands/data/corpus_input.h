// The common part of the commands that read documents: find the files, show progress, report what
// was skipped, and name the files in the manifest.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"
#include "lathe/corpus/documents.h"
#include "lathe/io/manifest.h"

namespace lathe {

class CorpusInput {
 public:
  // Lists the files (Errors as of list_text_files) and logs which files in folders are skipped.
  CorpusInput(std::span<const std::string> paths, CommandContext& context);

  const std::vector<std::filesystem::path>& files() const { return found_.files; }

  // For read_documents: stops on Ctrl-C and updates a progress bar `label`.
  ReadHook hook(std::string label);
  void note(std::string text) { note_ = std::move(text); }  // after the bar
  // Ends the bar; warns about what was skipped with --skip-bad.
  void finish(const DocumentCounts& counts);
  double seconds() const { return progress_ ? progress_->seconds() : 0; }

  // "blank", "bad_records", "bad_files", "left_out_files" if there are any.
  void add_facts(const DocumentCounts& counts, nlohmann::ordered_json& facts) const;
  // Every file with its hash; a pipe has none, because it can be read only once.
  std::vector<ArtefactRef> manifest_inputs() const;

 private:
  CommandContext& context_;
  TextFiles found_;
  std::optional<Progress> progress_;
  std::string note_;
};

}  // namespace lathe
