#include "lathe/cli/commands/data/corpus_input.h"

#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/frame/interrupt.h"

namespace lathe {

namespace fs = std::filesystem;

CorpusInput::CorpusInput(std::span<const std::string> paths, CommandContext& context)
    : context_(context), found_(list_text_files(paths)) {
  if (found_.left_out_count() > 0)
    context.log.info(
        "skipping {} in folders, which do not have the extension of a text file: {}; to read a "
        "file anyway, name it on the command line",
        counted(found_.left_out_count(), "file"), found_.left_out_text());
}

ReadHook CorpusInput::hook(std::string label) {
  progress_.emplace(context_.progress, std::move(label),
                    static_cast<double>(total_bytes(found_.files)), "B");
  return [this](int64_t file_bytes) {
    throw_if_interrupted();
    progress_->update(static_cast<double>(file_bytes), note_);
  };
}

void CorpusInput::finish(const DocumentCounts& counts) {
  if (progress_) progress_->finish(note_);
  if (counts.bad_records + counts.bad_files > 0)
    context_.log.warn("skipping {} and {} without text; the first: {}",
                      counted(counts.bad_records, "JSON record"), counted(counts.bad_files, "file"),
                      counts.first_bad);
}

void CorpusInput::add_facts(const DocumentCounts& counts, nlohmann::ordered_json& facts) const {
  const auto add = [&](const char* name, int64_t count) {
    if (count > 0) facts[name] = count;
  };
  add("blank", counts.blank);
  add("bad_records", counts.bad_records);
  add("bad_files", counts.bad_files);
  add("left_out_files", found_.left_out_count());
}

std::vector<ArtefactRef> CorpusInput::manifest_inputs() const {
  Manifest manifest;
  for (const fs::path& file : found_.files) {
    throw_if_interrupted();
    std::error_code error;
    if (fs::is_regular_file(file, error))
      add_input(manifest, file, "text");
    else
      manifest.inputs.push_back({file.string(), "", "stream", ""});
  }
  return manifest.inputs;
}

}  // namespace lathe
