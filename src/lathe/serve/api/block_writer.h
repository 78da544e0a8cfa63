// An answer as a row of blocks, each a thought, a text or a call of a tool: what /v1/messages and /v1/responses have in
// common.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/serve/api/endpoint.h"

namespace lathe {

struct AnswerBlock {
  enum class Kind : uint8_t { kThought, kText, kCall };
  Kind kind = Kind::kText;
  size_t index = 0;
  std::string id;    // made up; a call's is the one under which its result comes back
  std::string name;  // of a call
  std::string text;  // so far; the arguments of a call
};

// What was said, as an earlier turn of a conversation in the form of OpenAI's chat.
nlohmann::ordered_json turn_of(const std::vector<AnswerBlock>& blocks);
// The arguments of a call as an object; empty where it was cut.
nlohmann::ordered_json arguments_of(const AnswerBlock& call);

class BlockWriter : public AnswerWriter {
 public:
  BlockWriter(std::shared_ptr<ApiReply> reply, bool streams)
      : reply_(std::move(reply)), streams_(streams) {}

  void token(const AnswerToken& token) final;
  void end(const AnswerEnd& end) final;
  void done(const GenerationUsage& usage) final;
  void fail(const ApiError& error) final { reply_->error(error); }

 protected:
  using Json = nlohmann::ordered_json;
  ApiReply& reply() { return *reply_; }
  const std::vector<AnswerBlock>& blocks() const { return blocks_; }

  // Ids of blocks, as the interface names them.
  virtual std::string id_of(AnswerBlock::Kind kind) const = 0;
  // Events of a stream: its beginning, and those of each block. `piece` has been added to its text.
  virtual void begin() = 0;
  virtual void open(const AnswerBlock& block) = 0;
  virtual void add(const AnswerBlock& block, const std::string& piece) = 0;
  virtual void close(const AnswerBlock& block) = 0;
  // The end of a stream, or all of the answer.
  virtual void finish(const AnswerEnd& end, const GenerationUsage& usage, bool streams) = 0;

 private:
  void begin_once();
  void take(const std::vector<AnswerPart>& parts);
  void begin_block(AnswerBlock::Kind kind, std::string name = {});
  void close_last();

  std::shared_ptr<ApiReply> reply_;
  bool streams_, begun_ = false;
  std::vector<AnswerBlock> blocks_;
  AnswerEnd end_;
};

}  // namespace lathe
