// Documents as the trainers of tokenizers take texts.
#pragma once

#include "lathe/corpus/documents.h"
#include "lathe/text/text_receiver.h"

namespace lathe {

class DocumentFeed : public DocumentReceiver {
 public:
  explicit DocumentFeed(TextReceiver& to) : to_(to) {}
  void begin(const DocumentPlace&) override {}
  void add(std::string_view piece) override { to_.add(piece); }
  bool end() override {
    to_.end_text();
    return true;
  }

 private:
  TextReceiver& to_;
};

}  // namespace lathe
