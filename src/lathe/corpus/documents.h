// Raw text as a stream of documents, in a fixed order: files in the order given, documents in the
// order of the file. One reader for every command: plain text, JSON lines and JSON arrays, each
// also packed with gzip or zstd, recognised by content.
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

  void visit(Visitor& v);
};

struct DocumentPlace {
  size_t file = 0;   // index into the files
  int64_t line = 1;  // where it begins in its file
};

// Takes documents as they are read. A plain file that is one document comes in many pieces, so that
// its size does not matter; all others come in one.
class DocumentReceiver {
 public:
  virtual ~DocumentReceiver() = default;
  virtual void begin(const DocumentPlace& place) = 0;
  virtual void add(std::string_view piece) = 0;
  virtual bool end() = 0;  // false: no more documents are wanted
};

struct DocumentCounts {
  int64_t files = 0, documents = 0, bytes = 0;  // bytes of text in documents
  int64_t blank = 0;                            // documents of white space only, left out
  int64_t bad_records = 0, bad_files = 0;       // left out under skip_bad
  std::string first_bad;                        // what was wrong with the first of them
};

// Called with the bytes of files read so far (packed ones where they are packed) before every
// document, and between the pieces of one that comes in pieces. May throw, which ends the reading.
using ReadHook = std::function<void(int64_t file_bytes)>;

// Reads all documents. A value of JSON is an object with the text in config.text_field, or a string.
// A byte order mark at the start of a file is dropped; nothing else of a text is changed, single
// bytes that are not UTF-8 included. Documents of white space only are left out. Memory follows the
// largest document that comes in one piece.
//
// Throws kIo; kFormat for damaged or truncated compressed data; kData naming the file for content
// that is no text (text_format.h), naming `file:line` for broken JSON, a field that is missing, null
// or no string, a document that is too large; kData when there is no document at all.
DocumentCounts read_documents(std::span<const std::filesystem::path> files,
                              const DocumentConfig& config, DocumentReceiver& receiver,
                              const ReadHook& hook = {});

struct Document {
  std::string text;
  DocumentPlace place;
};

// As read_documents, for those who need every document whole: `receiver` returns false to stop.
DocumentCounts for_each_document(std::span<const std::filesystem::path> files,
                                 const DocumentConfig& config,
                                 const std::function<bool(Document&&)>& receiver,
                                 const ReadHook& hook = {});

}  // namespace lathe
