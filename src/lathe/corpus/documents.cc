#include "lathe/corpus/documents.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/json_values.h"
#include "lathe/corpus/line_reader.h"
#include "lathe/corpus/text_format.h"
#include "lathe/io/packed_file.h"

namespace lathe {

void DocumentConfig::visit(Visitor& v) {
  v.choice("format", format, {"auto", "text", "jsonl", "json"},
           "format of the files: plain text, one JSON value per line, or one JSON array; auto "
           "detects it from each file's content");
  v.choice("split", split, {"file", "blank-lines", "separator"},
           "what ends a document in a plain text file");
  v.field("separator", separator, "the line that separates documents with --split separator");
  v.field("text_field", text_field, "the field of a JSON object that holds the text");
  v.field("skip_bad", skip_bad,
          "skip and count JSON records without text and files that are not text");
  v.field("max_document_mib", max_document_mib,
          "refuse larger documents where a document is held in memory as a whole",
          between(1, 1 << 20));
}

namespace {

namespace fs = std::filesystem;
constexpr size_t kPieceBytes = 256 << 10;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

// An error's "[place] text" in two.
struct Said {
  std::string place, text;
};
Said said_by(const Error& e) {
  const std::string all = e.what();
  const size_t end = all.find("] ");
  return {all.substr(1, end - 1), all.substr(end + 2)};
}

nlohmann::ordered_json parsed(std::string_view value, const fs::path& file, int64_t line) {
  const std::string name = file.string();
  try {
    return parse_json(value, name,
                      {.first_line = static_cast<size_t>(line), .error_kind = ErrorKind::kData});
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(fmt::format("[{}:", name))) throw;
    fail(ErrorKind::kData, fmt::format("{}:{}", name, line), "{}", said_by(e).text);
  }
}

// Of an object without the text: what it has instead, and what to do.
std::string fields_of(const nlohmann::ordered_json& object, std::string_view remedy) {
  std::vector<std::string> keys;
  std::string list;
  for (const auto& [key, value] : object.items()) {
    if (keys.size() < 20) keys.push_back(key);
    if (value.is_array() && list.empty()) list = key;
  }
  std::string text = fmt::format("its fields are: {}. {}", join(keys, ", "), remedy);
  if (!list.empty())
    text += fmt::format(
        ". If the documents are in the array '{}', take it out first (`jq '.[\"{}\"]'`)", list,
        list);
  return text;
}

// A label may be a number, too. Throws kData.
std::string label_of(const nlohmann::ordered_json& object, const std::string& field,
                     const std::string& where) {
  const auto it = object.find(field);
  if (it == object.end())
    fail(ErrorKind::kData, where, "has no field '{}' to group by; {}", field,
         fields_of(object, "Group by one of them"));
  if (it->is_string()) return it->get<std::string>();
  require(it->is_number() || it->is_boolean(), ErrorKind::kData, where,
          "the field '{}' to group by is of the type {}, expected a string or a number", field,
          it->type_name());
  return it->dump();
}

struct LabelledText {
  std::string text, label;
};

// The text of one JSON value. Throws kData.
LabelledText text_of_json(std::string_view value, const fs::path& file, int64_t line,
                          const DocumentConfig& config) {
  const std::string& field = config.text_field;
  const auto tree = parsed(value, file, line);
  const auto where = fmt::format("{}:{}", file.string(), line);
  const bool labelled = !config.label_field.empty();
  if (tree.is_string() && !labelled) return {tree.get<std::string>(), {}};
  require(tree.is_object(), ErrorKind::kData, where,
          "is not a JSON object but a JSON {}, expected {{\"{}\": \"...\"}}{}", tree.type_name(),
          field, labelled ? "" : " or a string");
  const auto it = tree.find(field);
  if (it == tree.end())
    fail(ErrorKind::kData, where, "has no field '{}'; {}", field,
         fields_of(tree, "Name the right one with --text-field"));
  require(it->is_string(), ErrorKind::kData, where, "the field '{}' is {}, expected a string",
          field,
          it->is_null() ? std::string("null") : fmt::format("of the type {}", it->type_name()));
  return {it->get<std::string>(),
          labelled ? label_of(tree, config.label_field, where) : std::string()};
}

class Reader {
 public:
  Reader(std::span<const fs::path> files, const DocumentConfig& config, DocumentReceiver& receiver,
         const ReadHook& hook)
      : files_(files),
        config_(config),
        max_bytes_(static_cast<size_t>(config.max_document_mib) << 20),
        receiver_(receiver),
        hook_(hook) {}

  DocumentCounts run() {
    for (place_.file = 0; go_on_ && place_.file < files_.size(); ++place_.file) {
      ++counts_.files;
      read_file();
    }
    require(counts_.documents > 0, ErrorKind::kData,
            files_.empty() ? std::string("corpus") : files_[0].string(),
            "the corpus is empty: there is no text in {}{}; give files that contain text",
            counted(counts_.files, "file"),
            counts_.first_bad.empty() ? "" : " (" + counts_.first_bad + ")");
    return counts_;
  }

 private:
  const fs::path& path() const { return files_[place_.file]; }

  void read_file() {
    PackedFile file(path());
    std::string_view head = file.peek(kHeadBytes);
    if (head.starts_with(kByteOrderMark)) head.remove_prefix(kByteOrderMark.size());
    if (const auto why = why_not_text(head)) {
      require(config_.skip_bad, ErrorKind::kData, path().string(), "{}", *why);
      ++counts_.bad_files;
      return remember_bad(fmt::format("[{}] {}", path().string(), *why));
    }
    const TextFormat format = format_of(head);
    require(format != TextFormat::kPlain || config_.label_field.empty(), ErrorKind::kData,
            path().string(),
            "is plain text, which has no field '{}' to group by; give JSON lines, or do not group",
            config_.label_field);
    if (file.peek(kByteOrderMark.size()) == kByteOrderMark) {
      char mark[kByteOrderMark.size()];
      file.read(mark);
    }
    switch (format) {
      case TextFormat::kPlain:
        config_.split == "file" ? read_whole(file) : read_split(std::move(file));
        break;
      case TextFormat::kJsonLines:
        read_json_lines(std::move(file));
        break;
      case TextFormat::kJsonValues:
        read_json_values(std::move(file));
        break;
    }
  }

  TextFormat format_of(std::string_view head) const {
    if (config_.format == "text") return TextFormat::kPlain;
    if (config_.format == "jsonl") return TextFormat::kJsonLines;
    if (config_.format == "json") return TextFormat::kJsonValues;
    return text_format(head, path());
  }

  // What f returns. Where only the content said that a file is JSON, an error says so.
  template <class F>
  auto explained(F&& f) const {
    try {
      return f();
    } catch (const Error& e) {
      if (config_.format != "auto" || is_json_name(path())) throw;
      fail(e.kind(), path().string(),
           "begins like JSON and was read as JSON: {}; if it is plain text, use --format text",
           e.what());
    }
  }

  // A piece at a time; what is white space so far is held back, as it may be all there is.
  void read_whole(PackedFile& file) {
    if (!piece_) piece_ = std::make_unique_for_overwrite<char[]>(kPieceBytes);
    std::string held;
    bool begun = false;
    place_.line = 1;
    while (const size_t got = file.read({piece_.get(), kPieceBytes})) {
      tell(file.file_bytes());
      const std::string_view piece(piece_.get(), got);
      check_still_text(piece);
      if (!begun) {
        held += piece;
        require(held.size() <= max_bytes_, ErrorKind::kData, path().string(),
                "begins with more than {} MiB of white space; leave the file out",
                config_.max_document_mib);
        if (is_blank(piece)) continue;
        begun = true;
        receiver_.begin(place_);
        add(std::exchange(held, std::string()));
      } else {
        add(piece);
      }
    }
    finish_file(file.file_bytes());
    begun ? end() : count_blank();
  }

  // Documents are runs of lines between lines that are blank or equal to the separator.
  void read_split(PackedFile file) {
    const bool at_blank = config_.split == "blank-lines";
    LineReader lines(std::move(file), max_bytes_);
    std::string text;
    std::string_view line;
    int64_t first = 1;
    while (go_on_ && lines.next(line)) {
      tell(lines.file_bytes());
      std::string_view bare = line;
      if (bare.ends_with('\r')) bare.remove_suffix(1);
      if (at_blank ? is_blank(bare) : bare == config_.separator) {
        if (!text.empty()) emit_plain(text, first);
        text.clear();
        continue;
      }
      if (text.empty()) first = lines.line_number();
      require(text.size() + line.size() < max_bytes_, ErrorKind::kData,
              fmt::format("{}:{}", path().string(), first),
              "the document is larger than {} MiB; raise --max-document-mib or split it "
              "differently",
              config_.max_document_mib);
      text.append(line);
      text += '\n';
    }
    if (go_on_ && !text.empty()) emit_plain(text, first);
    finish_file(lines.file_bytes());
  }

  void emit_plain(std::string_view text, int64_t line) {
    check_still_text(text);
    emit(text, line);
  }

  // A text with binary data behind it. What came before was handed on, so it is not left out.
  void check_still_text(std::string_view part) const {
    if (!looks_binary(part)) return;
    if (const auto why = why_not_text(part))
      fail(ErrorKind::kData, path().string(), "begins like text, but a later part {}", *why);
  }

  void read_json_lines(PackedFile file) {
    LineReader lines(std::move(file), max_bytes_);
    std::string_view line;
    while (go_on_ && lines.next(line)) {
      tell(lines.file_bytes());
      if (!is_blank(line)) emit_json(line, lines.line_number());
    }
    finish_file(lines.file_bytes());
  }

  void read_json_values(PackedFile file) {
    JsonValues values(std::move(file), max_bytes_);
    std::string_view value;
    while (go_on_ && explained([&] { return values.next(value); })) {
      tell(values.file_bytes());
      emit_json(value, values.line_number());
    }
    finish_file(values.file_bytes());
  }

  void emit_json(std::string_view value, int64_t line) {
    LabelledText document;
    try {
      document = explained([&] { return text_of_json(value, path(), line, config_); });
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kData) throw;
      const Said said = said_by(e);
      require(config_.skip_bad, ErrorKind::kData, said.place,
              "{}. Or skip such records with --skip-bad", said.text);
      ++counts_.bad_records;
      return remember_bad(e.what());
    }
    place_.label = std::move(document.label);
    emit(document.text, line);
  }

  void emit(std::string_view text, int64_t line) {
    if (is_blank(text)) return count_blank();
    place_.line = line;
    receiver_.begin(place_);
    add(text);
    end();
  }
  void add(std::string_view text) {
    counts_.bytes += static_cast<int64_t>(text.size());
    receiver_.add(text);
  }
  void end() {
    ++counts_.documents;
    go_on_ = receiver_.end();
  }
  void count_blank() { ++counts_.blank; }
  void remember_bad(const std::string& what) {
    if (counts_.first_bad.empty()) counts_.first_bad = what;
  }

  void tell(int64_t bytes_of_file) const {
    if (hook_) hook_(bytes_before_ + bytes_of_file);
  }
  void finish_file(int64_t bytes_of_file) {
    tell(bytes_of_file);
    bytes_before_ += bytes_of_file;
  }

  std::span<const fs::path> files_;
  const DocumentConfig& config_;
  const size_t max_bytes_;
  DocumentReceiver& receiver_;
  const ReadHook& hook_;
  DocumentCounts counts_;
  DocumentPlace place_;
  bool go_on_ = true;
  int64_t bytes_before_ = 0;  // of the files before this one
  std::unique_ptr<char[]> piece_;
};

class WholeDocuments : public DocumentReceiver {
 public:
  WholeDocuments(std::span<const fs::path> files, const DocumentConfig& config,
                 const std::function<bool(Document&&)>& receiver)
      : files_(files), config_(config), receiver_(receiver) {}

  void begin(const DocumentPlace& place) override { document_ = {std::string(), place}; }
  void add(std::string_view piece) override {
    const size_t size = document_.text.size() + piece.size();
    require(size <= static_cast<size_t>(config_.max_document_mib) << 20, ErrorKind::kData,
            files_[document_.place.file].string(),
            "is a document larger than {} MiB; raise --max-document-mib or cut it with --split",
            config_.max_document_mib);
    document_.text += piece;
  }
  bool end() override { return receiver_(std::move(document_)); }

 private:
  std::span<const fs::path> files_;
  const DocumentConfig& config_;
  const std::function<bool(Document&&)>& receiver_;
  Document document_;
};

}  // namespace

DocumentCounts read_documents(std::span<const fs::path> files, const DocumentConfig& config,
                              DocumentReceiver& receiver, const ReadHook& hook) {
  return Reader(files, config, receiver, hook).run();
}

DocumentCounts for_each_document(std::span<const fs::path> files, const DocumentConfig& config,
                                 const std::function<bool(Document&&)>& receiver,
                                 const ReadHook& hook) {
  WholeDocuments whole(files, config, receiver);
  return read_documents(files, config, whole, hook);
}

}  // namespace lathe
