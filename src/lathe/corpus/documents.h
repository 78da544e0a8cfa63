// Raw text as a stream of documents, in a fixed order: files in the order given, documents in the
// order of the file. All commands use this reader: plain text, JSON lines and JSON arrays, each
// also compressed with gzip or zstd, recognised by content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "lathe/config/visit.h"
#include "lathe/corpus/text_files.h"

namespace lathe {

struct DocumentConfig {
  std::string format = "auto";
  std::string split = "file";
  std::string separator = "%";
  std::string text_field = "text";
  bool skip_bad = false;
  int64_t max_document_mib = 1024;
  // Not an option: a command that sets it gets this field of every JSON object as DocumentPlace::label.
  std::string label_field = {};

  void visit(Visitor& v);
};

struct DocumentPlace {
  size_t file = 0;         // index into the files
  int64_t line = 1;        // where it begins in its file
  std::string label = {};  // with config.label_field: that field's value, numbers as JSON has them
};

// Receives documents as they are read. A plain file that is one document comes in many pieces, so
// that its size does not matter; all others come in one piece.
class DocumentReceiver {
 public:
  virtual ~DocumentReceiver() = default;
  virtual void begin(const DocumentPlace& place) = 0;
  virtual void add(std::string_view piece) = 0;
  virtual bool end() = 0;  // false: no more documents are wanted
};

struct DocumentCounts {
  int64_t files = 0, documents = 0, bytes = 0;  // bytes of text in documents
  int64_t blank = 0;                            // skipped documents of white space only
  int64_t bad_records = 0, bad_files = 0;       // skipped with skip_bad
  std::string first_bad;                        // the error of the first of them
};

// Called with the number of bytes read from files so far (compressed bytes if they are compressed)
// before every document, and between the pieces of one that comes in pieces. May throw, which ends
// the reading.
using ReadHook = std::function<void(int64_t file_bytes)>;

// Reads all documents. A JSON value is an object with the text in config.text_field, or a string. A
// byte order mark at the start of a file is dropped; nothing else in a text is changed, not even
// single bytes that are not UTF-8. Documents of white space only are skipped. Memory is
// proportional to the largest document that comes in one piece.
//
// Throws kIo; kFormat for damaged or truncated compressed data; kData, naming the file, for content
// that is not text (text_format.h), and naming `file:line` for broken JSON, a field that is
// missing, null or not a string, or a document that is too large; kData if there is no document at
// all, and with config.label_field for a file that is not JSON.
DocumentCounts read_documents(std::span<const std::filesystem::path> files,
                              const DocumentConfig& config, DocumentReceiver& receiver,
                              const ReadHook& hook = {});

struct Document {
  std::string text;
  DocumentPlace place;
};

// As read_documents, but every document is passed as a whole: `receiver` returns false to stop.
DocumentCounts for_each_document(std::span<const std::filesystem::path> files,
                                 const DocumentConfig& config,
                                 const std::function<bool(Document&&)>& receiver,
                                 const ReadHook& hook = {});

}  // namespace lathe
